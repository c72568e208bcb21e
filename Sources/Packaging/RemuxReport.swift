/// What `headwater-media remux` did with a file, as it says so to the process that started it.
///
/// It crosses a trust boundary: libav has had its hands on the bytes that it was made from, so the reader takes it as
/// input, not as fact. The output file is to be inspected by `MediaInspector` like any upload, whatever stands here.
///
/// The report is one JSON object on descriptor 5, written at the very end and then closed. A process that ended with
/// status 0 has written a whole report; one that ended otherwise (a signal, a limit, another status) has crashed, and
/// what it left on descriptors 4 and 5 is worth nothing. Status 64 is a command line that was not understood.
///
/// With a `failure` the output file is worth nothing either. Without one it is an MP4 with at least one track; its
/// tracks are in the order of `kept`. `moov` is at the end.
///
/// Time zero of the output is the earliest presentation time of all kept streams; `subtitles` are on that same clock.
/// A stream that begins later has an empty edit, one that begins with pictures that are decoded and not shown, or with
/// an encoder's delay, an edit list that skips them.
public struct RemuxReport: Sendable, Equatable, Codable {
  /// nil where there is an output.
  public var failure: Failure?
  /// The streams that are tracks of the output, in the order of its tracks.
  public var kept: [Kept] = []
  /// The streams that are in neither `kept` nor `subtitles`.
  public var leftOut: [LeftOut] = []
  /// The text subtitles, which are not in the output.
  public var subtitles: [Subtitles] = []
  /// What is worth knowing about a file that was remuxed all the same. See `DefectCode`.
  public var defects: [Remark] = []
  /// What the process could not do for its own confinement: `sandbox-partial`. About the machine, not the file.
  public var warnings: [Remark] = []

  public init() {}

  /// A stable code (lower-case words joined by hyphens) and one sentence for people.
  public struct Remark: Sendable, Equatable, Codable {
    public var code: String
    public var message: String

    public init(code: String, message: String) {
      self.code = code
      self.message = message
    }
  }

  /// Why there is no output.
  public struct Failure: Sendable, Equatable, Codable {
    public enum Kind: String, Sendable, Codable {
      /// The file is broken beyond what can be remuxed.
      case damaged
      /// The file is sound, and this version has no use for it: keep and serve its bytes.
      case unsupported
      /// The process could not do its work, which says nothing about the file: try again.
      case environment
    }

    public var kind: Kind
    /// Damaged: `open`, `stream-info`, `no-samples`, `muxer`. Unsupported: `no-packageable-track`,
    /// `output-too-large`, `no-memory`. Environment: `input`, `write`, `demuxer`, `sandbox-partial`.
    public var code: String
    public var message: String

    public init(kind: Kind, code: String, message: String) {
      self.kind = kind
      self.code = code
      self.message = message
    }
  }

  /// A stream that is a track of the output.
  public struct Kept: Sendable, Equatable, Codable {
    /// Its index in the source, from 0.
    public var streamIndex: Int
    /// libav's name of the coding: `h264`, `hevc`, `av1`, `vp9`, `aac`, `ac3`, `eac3`, `flac`, `opus`, `mp3`, `alac`.
    public var codecName: String
    /// As the container says it, mostly ISO 639-2; nil where it says nothing.
    public var language: String?
    public var title: String?
    public var isDefault: Bool

    public init(streamIndex: Int, codecName: String, language: String?, title: String?, isDefault: Bool) {
      self.streamIndex = streamIndex
      self.codecName = codecName
      self.language = language
      self.title = title
      self.isDefault = isDefault
    }
  }

  /// A stream that is not in the output.
  public struct LeftOut: Sendable, Equatable, Codable {
    public var streamIndex: Int
    /// `video`, `audio`, `subtitle`, `data`, `attachment` or `unknown`.
    public var kind: String
    public var codecName: String
    public var language: String?
    /// Codes: `codec` (needs transcoding), `other-program`, `no-samples`, `no-key-frame`, `no-parameters`,
    /// `attached-picture`, `data`, `bitmap-subtitles`, `encrypted`, `late-stream`, `too-many-streams`,
    /// `too-many-cues`.
    public var reason: Remark

    public init(streamIndex: Int, kind: String, codecName: String, language: String?, reason: Remark) {
      self.streamIndex = streamIndex
      self.kind = kind
      self.codecName = codecName
      self.language = language
      self.reason = reason
    }
  }

  /// A text subtitle stream, as the container carries it.
  public struct Subtitles: Sendable, Equatable, Codable {
    /// How the text of a cue is written.
    public enum Format: String, Sendable, Codable {
      /// SubRip text with its tags, without number and times.
      case subrip
      /// The fields of a `Dialogue` line from `ReadOrder` and `Layer` on, as Matroska stores them.
      case ass
      /// WebVTT cue text; the settings stand apart.
      case webvtt
      /// Plain text of 3GPP timed text (ISO/IEC 14496-17), styles dropped.
      case movText = "mov_text"
    }

    public var streamIndex: Int
    public var language: String?
    public var title: String?
    public var isForced: Bool
    public var isDefault: Bool
    public var format: Format
    /// The ASS script header (`[Script Info]`, styles), empty for other formats.
    public var header: String
    /// In the order of the file.
    public var cues: [Cue]

    public init(
      streamIndex: Int, language: String?, title: String?, isForced: Bool, isDefault: Bool, format: Format,
      header: String, cues: [Cue]
    ) {
      self.streamIndex = streamIndex
      self.language = language
      self.title = title
      self.isForced = isForced
      self.isDefault = isDefault
      self.format = format
      self.header = header
      self.cues = cues
    }
  }

  /// One piece of text and when it is shown, on the clock of the output. Times may be negative, where text stands
  /// before the first picture and sound.
  public struct Cue: Sendable, Equatable, Codable {
    public var startMilliseconds: Int64
    /// Never before the start. Equal to it where the container does not say how long the text is shown.
    public var endMilliseconds: Int64
    public var text: String
    /// WebVTT cue settings, for example `align:start line:0`; empty for other formats.
    public var settings: String

    public init(startMilliseconds: Int64, endMilliseconds: Int64, text: String, settings: String) {
      self.startMilliseconds = startMilliseconds
      self.endMilliseconds = endMilliseconds
      self.text = text
      self.settings = settings
    }
  }

  /// The codes in `defects`.
  public enum DefectCode {
    /// Pictures before the first key frame were dropped; the message says how many.
    public static let noKeyFrameFirst = "no-key-frame-first"
    /// The clock of the source jumps by more than ten seconds; it was closed up, on all streams alike.
    public static let discontinuity = "discontinuity"
    /// The sound pauses for more than a second.
    public static let gap = "gap"
    /// Decode times that did not increase were moved, as little as possible.
    public static let timestampsRepaired = "timestamps-repaired"
    /// Packets that libav could not place (no time, no bytes, damaged) were dropped.
    public static let packetsDropped = "packets-dropped"
    /// Packets are marked as damaged by the transport (lost or broken TS packets); they are in the output.
    public static let damagedPackets = "damaged-packets"
    /// The file cannot be read to its end: what was read until then is in the output.
    public static let truncated = "truncated"
  }
}
