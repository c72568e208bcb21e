/// How the segments of an asset travel. Every form is cut at the same instants.
public enum DeliveryForm: Sendable, Hashable, CaseIterable {
  /// Fragmented MP4, a resource for each segment.
  case fragments
  /// MPEG transport stream, a resource for each segment.
  case transport
  /// Fragmented MP4, one file for each rendition, segments by byte range.
  case byteRanges
}
