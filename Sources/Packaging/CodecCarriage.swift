// Which codings may travel in which form.
//
// MPEG-TS is what players of HLS read of ISO/IEC 13818-1 and its private stream types: the registrations for AV1, Opus
// and others exist, but no browser and no Apple device demultiplexes them. Fragmented MP4 takes every coding that is
// packaged.
//
// HLS in MPEG-TS is ruled by the HLS Authoring Specification for Apple Devices: H.264 in either form (rule 1.2), HEVC in
// fragmented MP4 alone (rule 1.5). AV1, VP9, FLAC, ALAC and Opus are known to HLS in fragmented MP4 only.

extension TrackCodec {
  /// Whether MPEG-TS has a stream type for the coding that receivers know: a transport stream may be made of it.
  public var isInTransportStream: Bool {
    switch self {
    case .avc, .hevc, .aac, .mp3, .ac3, .eac3: true
    case .av1, .vp9, .flac, .opus, .alac, .unsupported: false
    }
  }

  /// Whether HLS carries the coding in fragmented MP4 alone, so that a playlist of transport streams must leave it out.
  /// True for HEVC although MPEG-TS can hold it; true for what is not packaged at all.
  public var hlsNeedsFragments: Bool { self == .hevc || !isInTransportStream }
}
