/// One rendition of an asset as manifests describe it: one track, and its segments.
public struct PresentationRendition: Sendable, Equatable {
  /// The word in the URL; unique in the presentation.
  public var name: String
  public var track: Track
  /// The whole plan, in order; all renditions of a presentation are cut at the same instants.
  public var segments: [Segment]
  /// Whether every segment starts with a sync sample, so that a player may start at each of them.
  public var segmentsAreIndependent: Bool

  public init(name: String, track: Track, segments: [Segment], segmentsAreIndependent: Bool = true) {
    self.name = name
    self.track = track
    self.segments = segments
    self.segmentsAreIndependent = segmentsAreIndependent
  }
}

/// All that the multivariant playlist and the MPD of an asset say.
public struct Presentation: Sendable, Equatable {
  /// Video first, then audio, each in the order of preference: the first video is what a player starts
  /// with, the first audio is the default. Renditions of other kinds are not described.
  public var renditions: [PresentationRendition]
  /// Length of the asset in milliseconds.
  public var durationMilliseconds: UInt64

  public init(renditions: [PresentationRendition], durationMilliseconds: UInt64) {
    self.renditions = renditions
    self.durationMilliseconds = durationMilliseconds
  }

  /// The `EXT-X-TARGETDURATION` that all media playlists of the presentation share, in seconds.
  public var targetDurationSeconds: UInt64 {
    renditions.reduce(1) { longest, rendition in
      max(
        longest,
        MediaPlaylist.targetDurationSeconds(
          segments: rendition.segments, timescale: rendition.track.timescale))
    }
  }
}
