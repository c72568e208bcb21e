internal import CLibAV
public import Packaging

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

  /// The encoder's options for one rung. Key frames come where they are forced and nowhere else.
  func options(for rung: TranscodeRequest.Rung) -> [(String, String)] {
    let quality = "\(rung.quality)"
    let preset = rung.preset
    switch name {
    case "libx264":
      return [
        ("preset", preset.isEmpty ? "medium" : preset), ("profile", "high"), ("crf", quality),
        ("forced-idr", "1"),
        (
          "x264-params",
          "scenecut=0:open-gop=0:keyint=infinite:min-keyint=1:sync-lookahead=0:lookahead-threads=1"
        ),
      ]
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
