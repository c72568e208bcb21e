/// How the media that a manifest points to is delivered. Every form is cut at the same instants.
public enum DeliveryForm: Sendable, Hashable, CaseIterable {
  /// Fragmented MP4, one resource for each segment.
  case fragments
  /// MPEG transport streams, one resource for each segment. Not for DASH.
  case transport
  /// Fragmented MP4, one resource for each rendition, addressed by byte ranges: see `CMAFFile`.
  case byteRanges

  /// Whether the form has a way to carry a track: not every coding travels in a transport stream, and no picture that
  /// is to be turned or mirrored, since there is nothing in a transport stream that says so.
  public func carries(_ track: Track) -> Bool {
    self != .transport || track.codec.isInTransportStream && !track.isTurnedOrMirrored
  }
}

extension Track {
  /// Whether the matrix does more than to scale and to move the picture.
  var isTurnedOrMirrored: Bool {
    kind == .video && matrix.count == 9
      && (matrix[1] != 0 || matrix[3] != 0 || matrix[0] < 0 || matrix[4] < 0)
  }
}
