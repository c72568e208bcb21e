/// How the media that a manifest points to is delivered. Every form is cut at the same instants.
public enum DeliveryForm: Sendable, Hashable, CaseIterable {
  /// Fragmented MP4, one resource for each segment.
  case fragments
  /// MPEG transport streams, one resource for each segment. Not for DASH.
  case transport
  /// Fragmented MP4, one resource for each rendition, addressed by byte ranges: see `CMAFFile`.
  case byteRanges

  /// Whether the form has a way to carry this coding.
  public func carries(_ codec: TrackCodec) -> Bool { self != .transport || codec.isInTransportStream }
}
