import Origin

/// A set of rungs, as a file of `etc/ladders` states it: what a source may become.
struct Ladder: Sendable, Equatable {
  struct Rung: Sendable, Equatable {
    /// The name of the rendition.
    var name: String
    /// The shorter side of the picture: its height where it lies, its width where it stands.
    var heightPixels: Int
    var kilobitsPerSecond: Int
    /// libav's name of the encoder.
    var encoder: String
    var preset: String
    var quality: Int
    /// Where the source has more, every second picture is left out, and so on; 0 keeps them all.
    var maxFramesPerSecond: Int
    /// High dynamic range stays what it is.
    var keepsHDR: Bool
  }

  /// How the rungs of a title are settled.
  enum Mode: String, Sendable {
    /// As the file states them.
    case fixed
    /// By probes of the title.
    case perTitle = "per-title"
  }

  var mode: Mode
  /// 2: the first finds the quality at which the title has the rate of the rung.
  var passes: Int
  var groupMilliseconds: Int
  var audioKilobitsPerSecond: Int
  var audioChannels: Int
  /// LUFS; nil leaves the sound as loud as it is.
  var loudness: Double?
  /// From the smallest to the largest.
  var rungs: [Rung]

  /// Whether parts of the source are encoded for measurement first.
  var needsProbes: Bool { mode == .perTitle || passes == 2 }

  /// Codings that are written, and which encoders make them, as `headwater-media` knows them.
  static let encoders = [
    "libx264", "h264_nvenc", "h264_vaapi", "h264_qsv", "libx265", "hevc_nvenc", "hevc_vaapi", "hevc_qsv",
    "libsvtav1", "libaom-av1", "av1_nvenc", "av1_vaapi", "av1_qsv", "libvpx-vp9", "vp9_vaapi", "vp9_qsv",
  ]

  init(_ table: ConfigTable) {
    let encoder = table.string("encoder")
    let preset = table.string("preset")
    let quality = table.integer("quality")
    let entries = table.tables("rungs")
    mode = Mode(rawValue: table.string("mode")) ?? .fixed
    passes = table.integer("passes")
    groupMilliseconds = table.durationMilliseconds("group")
    audioKilobitsPerSecond = table.integer("audio_kbps")
    audioChannels = table.integer("audio_channels")
    loudness = table.integer("loudness") == 0 ? nil : Double(table.integer("loudness"))
    let rungs = entries.map { entry in
      let own = entry.string("encoder")
      return Rung(
        name: entry.string("name"), heightPixels: entry.integer("height"),
        kilobitsPerSecond: entry.integer("kbps"), encoder: own.isEmpty ? encoder : own,
        // Words for speed mean something to their own encoder alone.
        preset: entry.string("preset").isEmpty && own.isEmpty ? preset : entry.string("preset"),
        quality: entry.integer("quality") == 0 ? quality : entry.integer("quality"),
        maxFramesPerSecond: entry.integer("max_fps"), keepsHDR: entry.bool("keep_hdr"))
    }
    let shipped = Self.shipped.map { name, height, kilobits, frames in
      Rung(
        name: name, heightPixels: height, kilobitsPerSecond: kilobits, encoder: encoder, preset: preset,
        quality: quality, maxFramesPerSecond: frames, keepsHDR: false)
    }
    self.rungs = (rungs.isEmpty ? shipped : rungs).sorted {
      ($0.heightPixels, $0.kilobitsPerSecond) < ($1.heightPixels, $1.kilobitsPerSecond)
    }
  }

  /// The rungs of a file that states none, as `etc/ladders/default.toml` shows them.
  static let shipped: [(name: String, height: Int, kilobits: Int, frames: Int)] = [
    ("240p", 240, 400, 30), ("360p", 360, 800, 30), ("480p", 480, 1500, 30), ("720p", 720, 3000, 0),
    ("1080p", 1080, 6000, 0), ("1440p", 1440, 10_000, 0), ("2160p", 2160, 20_000, 0),
  ]

  /// A file of `etc/ladders`.
  static let section = ConfigSection(
    "", "A ladder: one file each, `etc/ladders/NAME.toml`.",
    keys: [
      .string(
        "encoder", default: "libx264", .oneOf(encoders),
        "libav's name of the encoder. One that is not there, or needs a device, gives way to another of its coding.",
        example: "libx265"),
      .string(
        "preset", default: "medium", .any, "The encoder's own word for how much time it takes.",
        example: "veryfast"
      ),
      .integer(
        "quality", default: 23, in: 1...63,
        "Constant rate factor, as long as the rate stays below the rung's: smaller is better and larger.",
        example: 21),
      .string(
        "mode", default: "fixed", .oneOf(["fixed", "per-title"]),
        "`per-title`: probes of each title choose rungs, qualities and caps by measured similarity, within those of the ladder.",
        example: "per-title"),
      .integer(
        "passes", default: 1, in: 1...2,
        "2: each rung has its `kbps` on average, at one quality for the whole title, found by a first pass. Not with `per-title`.",
        example: 2),
      .duration(
        "group", default: "2s", from: "500ms", to: "10s",
        "Distance of key frames; the segment length is best a multiple of it.", example: "1s"),
      .integer("audio_kbps", default: 128, in: 16...512, "Rate of the sound, as AAC.", example: 96),
      .integer(
        "audio_channels", default: 2, in: 1...8, "Sound of more channels is mixed down to so many.",
        example: 6),
      .integer(
        "loudness", default: 0, in: -70...0,
        "Loudness in LUFS that sound is brought to (EBU R 128). 0: it stays as it is.", example: -16),
      .tables(
        "rungs",
        of: rungKeys, identity: "name",
        "From any to any; sources get those that are not larger. None: the usual seven.",
        example: "[{ name = \"720p\", height = 720, kbps = 3000 }]",
        validate: complaints),
    ])

  private static let rungKeys: [ConfigKey] = [
    .string("name", default: nil, .identifier, "The rendition's name.", example: "720p"),
    .integer(
      "height", default: 0, in: 0...8192, "The shorter side of the picture, in pixels.", example: 720),
    .integer(
      "kbps", default: 0, in: 0...500_000, "What its rate never exceeds for long; in two passes its mean.",
      example: 3000),
    .string(
      "encoder", default: "", .oneOf([""] + encoders), "In place of the ladder's.", example: "libsvtav1"
    ),
    .string("preset", default: "", .any, "In place of the ladder's.", example: "8"),
    .integer("quality", default: 0, in: 0...63, "In place of the ladder's; 0: that.", example: 30),
    .integer(
      "max_fps", default: 0, in: 0...240,
      "Of a source with more, every second picture is left out. 0: none.",
      example: 30),
    .bool(
      "keep_hdr", default: false, "High dynamic range is kept, in HEVC and AV1; else it is mapped."),
  ]

  @Sendable private static func complaints(_ rung: ConfigTable) -> [ConfigComplaint] {
    var found: [ConfigComplaint] = []
    if rung.integer("height") < 16 || rung.integer("height") % 2 != 0 {
      found.append(ConfigComplaint(at: ["height"], "a rung needs an even height from 16"))
    }
    if rung.integer("kbps") < 16 {
      found.append(ConfigComplaint(at: ["kbps"], "a rung needs a rate of at least 16 kbit/s"))
    }
    return found
  }
}
