// The three texts that say where the tiles of a storyboard are.
//
//     storyboard.vtt    WebVTT, a cue for each tile, whose text is a URL with a media fragment (#xywh, W3C Media Fragments
//                       §4.2.2): what hls.js, Shaka, Video.js, Plyr, JW Player and Vidstack read
//     storyboard.m3u8   a playlist of images (the community's EXT-X-IMAGES-ONLY and EXT-X-TILES): Roku, hls.js
//     storyboard.json   the same as numbers, for whoever writes a player

import Packaging

extension Storyboard {
  /// - Parameters:
  ///   - prefix: in front of each name, such as `g/0123456789ab/`.
  ///   - suffix: behind each name, for the token of a viewer.
  func webVTT(prefix: String, suffix: String) -> [UInt8] {
    var text = "WEBVTT\n"
    for tile in 0..<tileCount {
      let (x, y) = place(tile)
      text += "\n\(Self.clock(startMilliseconds(tile))) --> \(Self.clock(endMilliseconds(tile)))\n"
      text +=
        "\(prefix)storyboard_\(tile / tilesOfSheet).jpg\(suffix)#xywh=\(x),\(y),\(widthPixels),\(heightPixels)\n"
    }
    return Array(text.utf8)
  }

  func playlist(prefix: String, suffix: String) -> [UInt8] {
    let sheet = UInt64(tilesOfSheet) * intervalMilliseconds
    let longest = min(durationMilliseconds, sheet)
    var text = "#EXTM3U\n#EXT-X-VERSION:7\n#EXT-X-TARGETDURATION:\((longest + 999) / 1000)\n"
    text += "#EXT-X-MEDIA-SEQUENCE:0\n#EXT-X-PLAYLIST-TYPE:VOD\n#EXT-X-IMAGES-ONLY\n"
    for number in 0..<sheetCount {
      let tiles = tiles(ofSheet: number)
      let length = endMilliseconds(tiles.upperBound - 1) - startMilliseconds(tiles.lowerBound)
      text += "#EXTINF:\(Self.seconds(length)),\n"
      text += "#EXT-X-TILES:RESOLUTION=\(widthPixels)x\(heightPixels),LAYOUT=\(columns)x\(rows)"
      text += ",DURATION=\(Self.seconds(intervalMilliseconds))\n"
      text += "\(prefix)storyboard_\(number).jpg\(suffix)\n"
    }
    return Array((text + "#EXT-X-ENDLIST\n").utf8)
  }

  /// - Parameter times: when the picture of each tile is shown, in milliseconds.
  func index(prefix: String, suffix: String, times: [UInt64]) -> [UInt8] {
    let sheets = (0..<sheetCount).map { "\"\(prefix)storyboard_\($0).jpg\(suffix)\"" }
    let lines = [
      "\"version\": 1", "\"duration_ms\": \(durationMilliseconds)",
      "\"interval_ms\": \(intervalMilliseconds)",
      "\"tile_width\": \(widthPixels)", "\"tile_height\": \(heightPixels)", "\"columns\": \(columns)",
      "\"rows\": \(rows)", "\"tiles\": \(tileCount)", "\"sheets\": [\(sheets.joined(separator: ", "))]",
      "\"times_ms\": [\(times.map(String.init).joined(separator: ", "))]",
    ]
    return Array("{\n  \(lines.joined(separator: ",\n  "))\n}\n".utf8)
  }

  /// `01:02:03.004`: hours in two digits or more.
  private static func clock(_ milliseconds: UInt64) -> String {
    let (minutes, rest) = milliseconds.quotientAndRemainder(dividingBy: 60_000)
    return
      "\(digits(minutes / 60, 2)):\(digits(minutes % 60, 2)):\(digits(rest / 1000, 2)).\(digits(rest % 1000, 3))"
  }

  private static func seconds(_ milliseconds: UInt64) -> String {
    "\(milliseconds / 1000).\(digits(milliseconds % 1000, 3))"
  }

  private static func digits(_ number: UInt64, _ count: Int) -> String {
    let text = String(number)
    return String(repeating: "0", count: max(0, count - text.count)) + text
  }
}
