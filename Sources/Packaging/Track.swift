/// What a track carries, as far as packaging is concerned.
public enum TrackKind: UInt8, Sendable, Equatable {
  case video = 1
  case audio = 2
  case subtitle = 3
  case other = 4
}

/// The coding of a track's samples.
public enum TrackCodec: Sendable, Equatable {
  case avc
  case hevc
  case av1
  case vp9
  case aac
  case mp3
  case ac3
  case eac3
  case flac
  case opus
  case alac
  /// Anything this version does not package; the value is the sample entry's four-character code.
  case unsupported(FourCC)
}

/// A four-character code of ISO/IEC 14496-12, as the big-endian number it is in the file.
public struct FourCC: RawRepresentable, Hashable, Sendable {
  public var rawValue: UInt32
  public init(rawValue: UInt32) { self.rawValue = rawValue }
}

/// One track of a movie: all that an init segment, a playlist or an MPD says about it.
///
/// Times are ticks of `timescale` unless a name says otherwise. A sample's presentation time is its
/// composition time plus `presentationShiftTicks`; see `Timeline.swift` for how edit lists lead to it.
public struct Track: Sendable, Equatable {
  /// `track_ID` in the source file; never 0.
  public var id: UInt32
  public var kind: TrackKind
  public var codec: TrackCodec
  /// The whole sample entry box (`avc1`, `hvc1`, `mp4a`, …), size and type included, as found in `stsd`.
  public var sampleEntry: [UInt8]
  /// RFC 6381 codec string, for example `avc1.64001f`.
  public var codecString: String
  /// Ticks per second; never 0.
  public var timescale: UInt32
  /// BCP 47 language, `und` where the file does not say.
  public var language: String
  /// Coded size in pixels from the sample entry; 0 for what is not video.
  public var widthPixels: UInt16
  public var heightPixels: UInt16
  /// Size to show, after pixel aspect ratio and rotation, in pixels.
  public var displayWidthPixels: UInt32
  public var displayHeightPixels: UInt32
  /// `tkhd` transformation matrix as stored, nine big-endian words.
  public var matrix: [Int32]
  /// CICP transfer characteristics from `colr`, else from the decoder configuration; 2 (unspecified) where neither
  /// says.
  public var transferCharacteristics: UInt16
  /// The smallest composition offset of all samples, where that is below 0; else 0. In ticks.
  public var leastCompositionOffsetTicks: Int32 = 0
  /// Captions that were found inside of the pictures.
  public var closedCaptions: ClosedCaptions = []
  /// Audio channels and sampling rate as a player hears them; 0 for what is not audio.
  public var channelCount: UInt16
  public var sampleRateHertz: UInt32
  /// Samples kept (those that no edit removes).
  public var sampleCount: UInt32
  /// Added to a composition time to get a presentation time; negative where an edit trims the front.
  public var presentationShiftTicks: Int64
  /// Presentation time of the first picture or sound, and the length of the whole, in ticks.
  public var presentationStartTicks: Int64
  public var durationTicks: UInt64
  /// Bytes of all samples together.
  public var totalBytes: UInt64

  public init(
    id: UInt32, kind: TrackKind, codec: TrackCodec, sampleEntry: [UInt8], codecString: String,
    timescale: UInt32, language: String = "und", widthPixels: UInt16 = 0, heightPixels: UInt16 = 0,
    displayWidthPixels: UInt32 = 0, displayHeightPixels: UInt32 = 0,
    matrix: [Int32] = [0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x4000_0000],
    transferCharacteristics: UInt16 = 2, channelCount: UInt16 = 0, sampleRateHertz: UInt32 = 0,
    sampleCount: UInt32 = 0, presentationShiftTicks: Int64 = 0, presentationStartTicks: Int64 = 0,
    durationTicks: UInt64 = 0, totalBytes: UInt64 = 0
  ) {
    self.id = id
    self.kind = kind
    self.codec = codec
    self.sampleEntry = sampleEntry
    self.codecString = codecString
    self.timescale = timescale
    self.language = language
    self.widthPixels = widthPixels
    self.heightPixels = heightPixels
    self.displayWidthPixels = displayWidthPixels
    self.displayHeightPixels = displayHeightPixels
    self.matrix = matrix
    self.transferCharacteristics = transferCharacteristics
    self.channelCount = channelCount
    self.sampleRateHertz = sampleRateHertz
    self.sampleCount = sampleCount
    self.presentationShiftTicks = presentationShiftTicks
    self.presentationStartTicks = presentationStartTicks
    self.durationTicks = durationTicks
    self.totalBytes = totalBytes
  }
}

/// One coded frame: where its bytes lie in the blob, and when it is decoded and shown.
public struct Sample: Sendable, Equatable {
  /// Offset of the first byte in the blob.
  public var offset: UInt64
  public var sizeBytes: UInt32
  /// Ticks until the next sample is decoded.
  public var durationTicks: UInt32
  /// Decode time in the media timeline, ticks; the first kept sample need not be 0.
  public var decodeTicks: UInt64
  /// Composition time minus decode time (`ctts`), ticks; negative in version 1 tables.
  public var compositionOffsetTicks: Int32
  public var isSync: Bool

  public init(
    offset: UInt64, sizeBytes: UInt32, durationTicks: UInt32, decodeTicks: UInt64,
    compositionOffsetTicks: Int32, isSync: Bool
  ) {
    self.offset = offset
    self.sizeBytes = sizeBytes
    self.durationTicks = durationTicks
    self.decodeTicks = decodeTicks
    self.compositionOffsetTicks = compositionOffsetTicks
    self.isSync = isSync
  }
}

/// One segment of one track, as the plan cuts it. All tracks of an asset have the same number of
/// segments, cut at the same instants; a track that ends early has fewer.
public struct Segment: Sendable, Equatable {
  /// Index of the first sample, counted over the kept samples of the track.
  public var firstSample: UInt32
  public var sampleCount: UInt32
  /// Presentation time at which the segment starts, and how long it lasts, in ticks of the track.
  /// Segments touch: the start of one is the end of the one before.
  public var startTicks: UInt64
  public var durationTicks: UInt64
  /// Decode time of the first sample in the media timeline (before any shift), ticks.
  public var decodeTicks: UInt64
  /// Bytes of all its samples.
  public var mediaBytes: UInt64
  /// Bytes of a fragmented MP4 segment in front of its samples, as `MediaSegment` writes them.
  public var headBytes: UInt32

  /// Length of the segment as fragmented MP4, in bytes.
  public var totalBytes: UInt64 { mediaBytes.addingSaturating(UInt64(headBytes)) }

  public init(
    firstSample: UInt32, sampleCount: UInt32, startTicks: UInt64, durationTicks: UInt64,
    decodeTicks: UInt64, mediaBytes: UInt64, headBytes: UInt32 = 0
  ) {
    self.firstSample = firstSample
    self.sampleCount = sampleCount
    self.startTicks = startTicks
    self.durationTicks = durationTicks
    self.decodeTicks = decodeTicks
    self.mediaBytes = mediaBytes
    self.headBytes = headBytes
  }
}
