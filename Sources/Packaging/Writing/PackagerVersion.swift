// What the bytes of a made answer depend on, and therefore what its ETag is made of:
//
//   generation            the exact blobs behind the asset
//   PackagerVersion       the rules of this module, from the cut of a segment to the order of attributes
//   canonical parameters  what the answer is (kind, rendition, segment number, target duration) and what
//                         the caller put in (URI prefix and suffix, base URL), each in one spelling
//
// Nothing else: no clock, no random number, no node name, no order of arrival. So two nodes that hold the
// same generation give the same bytes and the same ETag, a range may come from either, and a cache keeps
// its objects over a restart.

/// The version of the rules by which this module turns a packaging index into bytes.
public enum PackagerVersion {
  /// To be raised by every change that alters a byte of any init segment, media segment, playlist or MPD.
  public static let number: UInt32 = 3
}
