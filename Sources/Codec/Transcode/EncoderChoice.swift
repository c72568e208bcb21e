internal import CLibAV
public import Packaging

#if canImport(Glibc)
internal import Glibc
#elseif canImport(Musl)
internal import Musl
#endif

/// Which encoder does what a ladder asks for.
///
/// A name stands for a coding and for a program that makes it. Encoders in hardware need a device, which the sandbox does
/// not give, and one that is not built into this libav cannot be had either: in both cases an encoder of the same coding
/// takes its place, and a warning says so.
public struct EncoderChoice: Sendable, Equatable {
  /// What is used.
  public var name: String
  public var family: Family
  /// Why that is not what was asked for.
  public var warning: RemuxReport.Remark?

  public enum Family: String, Sendable, CaseIterable {
    case h264, hevc, av1, vp9

    /// Encoders in software, the best first.
    var software: [String] {
      switch self {
      case .h264: ["libx264"]
      case .hevc: ["libx265"]
      case .av1: ["libsvtav1", "libaom-av1"]
      case .vp9: ["libvpx-vp9"]
      }
    }

    var names: [String] {
      software + (self == .vp9 ? [] : ["nvenc"]).map { "\(rawValue)_\($0)" }
        + ["vaapi", "qsv"].map { "\(rawValue)_\($0)" }
    }
  }

  /// Every name that is understood, by coding.
  public static let names = Family.allCases.flatMap(\.names)

  /// - Throws: `encoder` where nothing can take its place.
  public init(_ wanted: String) throws(CodecError) {
    guard let family = Family.allCases.first(where: { $0.names.contains(wanted) }) else {
      throw CodecError(
        code: "encoder", underlying: 0,
        message: "\(wanted) is none of the encoders \(Self.names.joined(separator: ", ")).")
    }
    let isSoftware = family.software.contains(wanted)
    let candidates = (isSoftware ? [wanted] : []) + family.software.filter { $0 != wanted }
    guard let name = candidates.first(where: { avcodec_find_encoder_by_name($0) != nil }) else {
      throw CodecError(
        code: "encoder", underlying: 0,
        message:
          "libav has no encoder for \(family.rawValue) here; install one of \(family.software.joined(separator: ", "))."
      )
    }
    self.name = name
    self.family = family
    if name != wanted {
      let why =
        isSoftware
        ? "is not built into libav here" : "needs a device, which the sandbox of jobs does not give"
      warning = RemuxReport.Remark(code: "encoder-replaced", message: "\(wanted) \(why); \(name) is used.")
    }
  }

  /// Whether it starts threads of its own whatever it is told.
  public var needsThreads: Bool { name == "libx265" || name == "libsvtav1" }

  /// Whether it sets key frames where it likes, whatever is forced: then each group of pictures has an encoder of its own.
  var ignoresForcedKeys: Bool { family == .av1 }

  /// Whether an encoder looks ahead.
  enum Part {
    case own
    /// It does, and says what it found in files that begin with this name.
    case leads(statistics: String)
    /// It does not; each picture comes with a `PictureAdvice`.
    case follows
  }

  /// The preset of a rung that libx264 encodes.
  static func x264Preset(_ rung: TranscodeRequest.Rung) -> String {
    rung.preset.isEmpty ? "medium" : rung.preset
  }

  /// The constant rate factor by which a follower of libx264 has a rung's quality.
  ///
  /// Where x264 weighs macroblocks by itself it also takes `qcomp` and `pbratio` as 1, which are options, and all of it coarser,
  /// since most macroblocks get finer: by (1 - 0.6) 13.5 steps of the quantiser, and more where pictures are shorter than 1/25 s.
  /// That is set when the encoder is open, so that parameter sets stay those of a rung that looks ahead for itself.
  static func x264FollowerQuality(_ quality: Double, framesPerSecond: Double) -> Double {
    quality + (1 - 0.6) * (13.5 + 6 * log2(min(max(1, framesPerSecond), 100) / 25))
  }

  /// The encoder's options for one rung. Key frames come where they are forced and nowhere else.
  func options(for rung: TranscodeRequest.Rung, part: Part) -> [(String, String)] {
    let quality = "\(rung.quality)"
    let preset = rung.preset
    switch name {
    case "libx264":
      var parameters =
        "scenecut=0:open-gop=0:keyint=infinite:min-keyint=1:sync-lookahead=0:lookahead-threads=1"
      var further: [(String, String)] = []
      switch part {
      case .own: break
      case .leads(let statistics): further = [("stats", statistics), ("fastfirstpass", "0")]
      case .follows: parameters += ":mbtree=0:rc-lookahead=0:b-adapt=0:qcomp=1:pbratio=1"
      }
      return [
        ("preset", Self.x264Preset(rung)), ("profile", "high"), ("crf", quality), ("forced-idr", "1"),
        ("x264-params", parameters),
      ] + further
    case "libx265":
      return [
        ("preset", preset.isEmpty ? "medium" : preset), ("crf", quality), ("forced-idr", "1"),
        (
          "x265-params",
          "scenecut=0:open-gop=0:keyint=-1:min-keyint=1:pools=none:frame-threads=1:wpp=0:log-level=none"
        ),
      ]
    case "libsvtav1":
      return [
        ("preset", preset.isEmpty ? "8" : preset), ("crf", "\(Int(rung.quality.rounded()))"),
        ("svtav1-params", "lp=1:scd=0"),
      ]
    case "libaom-av1":
      return [
        ("cpu-used", preset.isEmpty ? "6" : preset), ("crf", "\(Int(rung.quality.rounded()))"),
        ("row-mt", "0"),
      ]
    case "libvpx-vp9":
      return [
        ("deadline", "good"), ("cpu-used", preset.isEmpty ? "3" : preset),
        ("crf", "\(Int(rung.quality.rounded()))"),
        ("row-mt", "0"),
      ]
    default: return []
    }
  }
}
