// HLS AES-128 (RFC 8216bis §4.4.4.4 and §5.2): a whole resource, be it a segment, a part or an init segment, is one
// AES-128-CBC message with PKCS #7 padding (RFC 5652 §6.3). The container does not matter and the playlist alone tells
// that there is encryption. The initialization vector stands in `EXT-X-KEY`, since what a player would take instead, the
// media sequence number, must not change with the window of a live playlist.
//
// Padding always adds: 1 to 16 bytes, each of which is their number. So the length of what is sent follows from the
// length of what is read, and a HEAD request needs no encryption. A range of an encrypted resource is a range of its
// ciphertext: CBC makes every block depend on those before it, so the whole is made once and cut.

/// HLS AES-128 of whole resources.
public enum SegmentCipher {
  /// Length of an encrypted resource of `plainBytes` bytes; the largest number where it would not fit.
  public static func encryptedBytes(_ plainBytes: UInt64) -> UInt64 {
    let whole = plainBytes - plainBytes % 16
    return whole > UInt64.max - 16 ? .max : whole + 16
  }

  /// The encrypted resource.
  ///
  /// - Parameters:
  ///   - resource: the bytes in clear; encrypted in place where nobody else holds the array.
  ///   - iv: 16 bytes, the `IV` of the playlist.
  /// - Complexity: one pass; at most one growth of the array.
  public static func encrypt(_ resource: consuming [UInt8], iv: [UInt8], cipher: some BlockCipher) -> [UInt8]
  {
    precondition(iv.count == 16, "an initialization vector has 16 bytes")
    let padding = 16 - resource.count % 16
    resource.append(contentsOf: repeatElement(UInt8(padding), count: padding))
    var vector = UInt128(bigEndianBytes: iv)
    resource.withUnsafeMutableBytes { cipher.encryptCBC($0, vector: &vector) }
    return resource
  }
}
