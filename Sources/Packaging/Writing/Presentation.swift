// What the manifests of an asset describe: its renditions, their segments and key frames, its subtitles.
//
// One presentation is described in several ways. All ways name the same renditions by the same words, so that the
// path of a child says what it is:
//
//     {rendition}/init.mp4  {rendition}/segment_0000.m4s  {rendition}/iframe_0000.m4s     fragmented MP4
//     {rendition}.cmfv, {rendition}.cmfa                                                 all of it as one file
//     {rendition}/segment_0000.ts  {rendition}/iframe_0000.ts                            transport streams
//     {subtitle}.vtt                                                                     a whole WebVTT file

/// One rendition of an asset as manifests describe it: one track, and its segments.
public struct PresentationRendition: Sendable, Equatable {
  /// The word in the URL; unique in the presentation.
  public var name: String
  public var track: Track
  /// The whole plan, in order; all renditions of a presentation are cut at the same instants.
  public var segments: [Segment]
  /// Whether every segment starts with a sync sample, so that a player may start at each of them.
  public var segmentsAreIndependent: Bool
  /// The pictures for trick play, in order; empty where there are none.
  public var keyFrames: [KeyFrame] = []
  /// What people read in a menu of languages; `nil` for the language itself.
  public var label: String?

  public init(
    name: String, track: Track, segments: [Segment], segmentsAreIndependent: Bool = true,
    keyFrames: [KeyFrame] = [], label: String? = nil
  ) {
    self.name = name
    self.track = track
    self.segments = segments
    self.segmentsAreIndependent = segmentsAreIndependent
    self.keyFrames = keyFrames
    self.label = label
  }
}

/// One track of subtitles as manifests describe it.
public struct PresentationSubtitle: Sendable, Equatable {
  /// The word in the URL; unique in the presentation.
  public var name: String
  /// BCP 47 language, or `und`.
  public var language: String
  /// What people read in a menu.
  public var label: String
  /// Whether it belongs on the screen even of those who did not ask for subtitles: signs, foreign speech.
  public var isForced: Bool

  /// Whether they are for those who cannot hear: no file says so, so the label does, by the words SDH or CC, or
  /// "hearing impaired".
  public var describesSounds: Bool {
    let words = label.lowercased().split { !$0.isLetter && !$0.isNumber }
    return words.contains("sdh") || words.contains("cc")
      || zip(words, words.dropFirst()).contains { $0 == "hearing" && $1 == "impaired" }
  }

  public init(name: String, language: String, label: String, isForced: Bool = false) {
    self.name = name
    self.language = language
    self.label = label
    self.isForced = isForced
  }
}

/// All that the multivariant playlist and the MPD of an asset say.
public struct Presentation: Sendable, Equatable {
  /// Video first, then audio, each in the order of preference: the first video is what a player starts
  /// with, the first audio is the default. Renditions of other kinds are not described.
  public var renditions: [PresentationRendition]
  /// In the order in which a menu lists them.
  public var subtitles: [PresentationSubtitle] = []
  /// Length of the asset in milliseconds.
  public var durationMilliseconds: UInt64

  public init(
    renditions: [PresentationRendition], subtitles: [PresentationSubtitle] = [], durationMilliseconds: UInt64
  ) {
    self.renditions = renditions
    self.subtitles = subtitles
    self.durationMilliseconds = durationMilliseconds
  }

  /// The `EXT-X-TARGETDURATION` that all media playlists of the presentation share, in seconds: those of subtitles,
  /// which are cut like the rest, and I-frame playlists too. A key frame less than a second behind the one before is
  /// not in the list, even where a segment starts with it, so an entry can last longer than any segment.
  public var targetDurationSeconds: UInt64 {
    renditions.reduce(1) { longest, rendition in
      max(
        longest,
        MediaPlaylist.targetDurationSeconds(
          segments: rendition.segments, timescale: rendition.track.timescale),
        IFramePlaylist.targetDurationSeconds(
          keyFrames: rendition.keyFrames, timescale: rendition.track.timescale))
    }
  }

  /// The pictures and the sound that `form` can carry. Without any, there is nothing to describe in it.
  public func renditions(in form: DeliveryForm) -> [PresentationRendition] {
    renditions.filter {
      ($0.track.kind == .video || $0.track.kind == .audio) && form.carries($0.track)
    }
  }

  /// The sound that travels inside of the transport stream of `video`, `nil` where none may.
  ///
  /// It is the first that transport streams carry and that is cut where the picture is cut, to within a frame of
  /// sound, so that segment n of both covers the same time. Sound may end early; what outlasts the picture may be
  /// segments behind the last of the picture.
  ///
  /// - Complexity: linear in the segments of the sound that is tried.
  public func muxedSound(of video: PresentationRendition) -> PresentationRendition? {
    guard video.track.kind == .video, DeliveryForm.transport.carries(video.track) else { return nil }
    return renditions.first { sound in
      sound.track.kind == .audio && DeliveryForm.transport.carries(sound.track)
        && SegmentCuts(sound).follow(SegmentCuts(video))
    }
  }
}
