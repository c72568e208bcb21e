import Origin

/// The settings of the plugin as one value.
struct TranscodeConfig: Sendable, Equatable {
  var ladder: Ladder
  var lowestFirst: Bool
  var keepsSource: Bool

  init(_ table: ConfigTable) {
    ladder = Ladder(table.document("ladder"))
    lowestFirst = table.bool("lowest_first")
    keepsSource = table.bool("keep_source")
  }

  static let section = ConfigSection(
    "transcode", "Makes a ladder of renditions of every asset that arrives.",
    keys: [
      .document(
        "ladder", default: "default", in: "../ladders", Ladder.section,
        "The ladder: the name of a file beside the folder of sites, `../ladders/NAME.toml`.",
        example: "mobile"),
      .bool(
        "lowest_first", default: true,
        "Whether the smallest rung is made by itself before the others, for one more decoding of the source."),
      .bool(
        "keep_source", default: false,
        "Whether manifests go on to list the source itself when its ladder is complete."),
    ])
}
