import Origin
import Packaging

/// The settings of the plugin as one value.
struct ThumbnailsConfig: Equatable, Sendable {
  enum Poster: Equatable, Sendable {
    case best
    case time(milliseconds: UInt64)
  }

  var widthsPixels: [Int]
  var defaultWidthPixels: Int
  var posterWidthPixels: Int
  var poster: Poster
  var allowsSignedWidths: Bool
  var allowsExact: Bool
  var quality: UInt32
  var intervalMilliseconds: UInt64
  var tileWidthPixels: Int
  var columns: Int
  var rows: Int
  var isInManifests: Bool
  var isMadeAhead: Bool
  var cacheBytes: UInt64

  static let section = ConfigSection(
    "thumbnails", "Posters, thumbnails and seek previews, decoded on request and kept.",
    keys: [
      .strings(
        "widths", default: ["160", "320", "480", "640", "1280"],
        "Widths in pixels that `?w=` may ask for. Pictures are never made wider than the video.",
        example: ["160", "320"]),
      .integer(
        "default_width", default: 320, in: 16...8192, "Width of a thumbnail whose URL does not say one.",
        example: 480
      ),
      .integer(
        "poster_width", default: 1280, in: 16...8192, "Width of a poster whose URL does not say one.",
        example: 1920),
      .string(
        "poster", default: "best", .nonEmpty,
        "What the poster shows: `best` chooses the lightest and sharpest of ten key frames, never a black one; or a time, such as `12s` or `1500ms`.",
        example: "12s"),
      .bool(
        "signed_widths", default: false,
        "Whether a request with a valid token may ask for any width up to the video's own."),
      .bool(
        "exact", default: true,
        "Whether `?exact=1` is answered: the very picture of an instant, for which all since the key frame before are decoded. Without it thumbnails are key frames."
      ),
      .integer("quality", default: 80, in: 1...100, "Quality of JPEG and WebP.", example: 70),
      .duration(
        "interval", default: "5s", from: "1s", to: "10m",
        "How long a tile of the storyboard stands for. Short videos get more tiles, so that one sheet is full; very long ones fewer.",
        example: "10s"),
      .integer(
        "tile_width", default: 320, in: 16...1280, "Width of a storyboard tile, in pixels.", example: 160),
      .integer("columns", default: 5, in: 1...50, "Tiles in a row of a sheet.", example: 10),
      .integer("rows", default: 5, in: 1...50, "Rows of a sheet.", example: 10),
      .bool("manifests", default: true, "Whether HLS playlists and MPDs name the storyboard."),
      .bool(
        "ahead", default: true,
        "Whether poster and storyboard of an asset that arrives are made by a job, before anybody asks."),
      .size(
        "cache", default: "1GiB", from: "1MiB", to: "1TiB",
        "Disk for pictures that were made, in `derived/` below the storage folder. What was used longest ago goes first.",
        example: "10GiB"),
    ])

  init(_ table: ConfigTable) throws(PluginError) {
    var widths: [Int] = []
    for text in table.strings("widths") {
      guard let width = Int(text), (16...8192).contains(width) else {
        throw PluginError(key: "widths", "\"\(text)\" is no width: write pixels from 16 to 8192")
      }
      widths.append(width)
    }
    widthsPixels = widths.sorted()
    defaultWidthPixels = table.integer("default_width")
    posterWidthPixels = table.integer("poster_width")
    poster = try Self.poster(table.string("poster"))
    allowsSignedWidths = table.bool("signed_widths")
    allowsExact = table.bool("exact")
    quality = UInt32(table.integer("quality"))
    intervalMilliseconds = UInt64(table.durationMilliseconds("interval"))
    tileWidthPixels = table.integer("tile_width")
    columns = table.integer("columns")
    rows = table.integer("rows")
    isInManifests = table.bool("manifests")
    isMadeAhead = table.bool("ahead")
    cacheBytes = UInt64(table.sizeBytes("cache"))
    guard columns * tileWidthPixels <= StillOrder.Limits.sidePixels else {
      throw PluginError(
        key: "columns",
        "\(columns) tiles of \(tileWidthPixels) pixels are wider than \(StillOrder.Limits.sidePixels): take fewer or smaller ones"
      )
    }
    guard columns * rows <= StillOrder.Limits.pictures else {
      throw PluginError(
        key: "rows", "a sheet has at most \(StillOrder.Limits.pictures) tiles: take fewer rows")
    }
  }

  private static func poster(_ text: String) throws(PluginError) -> Poster {
    if text == "best" { return .best }
    for (unit, factor) in [("ms", UInt64(1)), ("s", 1000), ("m", 60_000)] where text.hasSuffix(unit) {
      guard let number = UInt64(text.dropLast(unit.count)) else { continue }
      let (milliseconds, overflow) = number.multipliedReportingOverflow(by: factor)
      if !overflow { return .time(milliseconds: milliseconds) }
    }
    throw PluginError(key: "poster", "\"\(text)\" is neither `best` nor a time such as `12s`")
  }

  /// The width to make a picture with.
  ///
  /// - Parameters:
  ///   - wished: as `ThumbnailRequest` has it.
  ///   - fallback: what the site makes where nothing is wished.
  ///   - requireToken: says that the answer is for requests with a valid token alone; throws for others.
  func width(
    _ wished: Int?, fallback: Int, requireToken: () throws(Problem) -> Void
  ) throws(Problem) -> Int {
    guard let wished else { return fallback }
    if widthsPixels.contains(wished) || wished == fallback { return wished }
    if allowsSignedWidths, (16...StillOrder.Limits.sidePixels).contains(wished) {
      do throws(Problem) {
        try requireToken()
        return wished
      } catch {}
    }
    let list = widthsPixels.map(String.init).joined(separator: ", ")
    throw Problem(
      status: 400, code: "thumbnail-width", title: "Width not offered",
      detail:
        "This site makes pictures that are \(list.isEmpty ? "\(fallback)" : list) pixels wide: ask for one of these with w."
    )
  }
}
