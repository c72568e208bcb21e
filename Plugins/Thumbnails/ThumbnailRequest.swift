// The names below an asset that this plugin answers, each with one spelling:
//
//     poster.jpg  poster.webp             ?w=1280
//     thumb_{ms}.jpg  thumb_{ms}.webp     ?w=320  ?exact=1
//     storyboard.vtt  storyboard.m3u8  storyboard.json
//     storyboard_{n}.jpg                  sheet n, from 0
//     trick_{w}.bif

import Origin
import Packaging

/// What a name below an asset asks of the plugin.
enum ThumbnailRequest: Equatable, Sendable {
  /// `widthPixels`: nil for the site's own; 0 for one that can't be understood.
  case poster(StillOrder.Format, widthPixels: Int?)
  case thumbnail(milliseconds: UInt64, StillOrder.Format, widthPixels: Int?, isExact: Bool)
  case storyboardText(Text)
  case sheet(Int)
  case trickPlay(widthPixels: Int)

  enum Text: String, Sendable {
    case webVTT = "vtt"
    case playlist = "m3u8"
    case index = "json"
  }

  /// - Parameter name: with the parameters of `ThumbnailParameters` behind a question mark. nil for names of others.
  init?(name: String) {
    let parts = name.split(separator: "?", maxSplits: 1, omittingEmptySubsequences: false)
    guard let path = parts.first else { return nil }
    var widthPixels: Int?
    var isExact = false
    if parts.count > 1 {
      for parameter in parts[1].split(separator: "&") {
        if parameter.hasPrefix("w=") { widthPixels = Int(parameter.dropFirst(2)) }
        if parameter == "exact=1" { isExact = true }
      }
    }
    guard let dot = path.lastIndex(of: ".") else { return nil }
    let stem = path[..<dot]
    let ending = path[path.index(after: dot)...]
    switch ending {
    case "vtt", "m3u8", "json":
      guard stem == "storyboard", let text = Text(rawValue: String(ending)) else { return nil }
      self = .storyboardText(text)
    case "bif":
      guard let width = Self.number(stem, after: "trick_") else { return nil }
      self = .trickPlay(widthPixels: Int(width))
    case "jpg", "webp":
      let format: StillOrder.Format = ending == "jpg" ? .jpeg : .webp
      if stem == "poster" {
        self = .poster(format, widthPixels: widthPixels)
      } else if let milliseconds = Self.number(stem, after: "thumb_") {
        self = .thumbnail(milliseconds: milliseconds, format, widthPixels: widthPixels, isExact: isExact)
      } else if format == .jpeg, let number = Self.number(stem, after: "storyboard_") {
        self = .sheet(Int(number))
      } else {
        return nil
      }
    default: return nil
    }
  }

  /// Decimal digits without zeros in front, so that one thing has one name.
  private static func number(_ text: Substring, after prefix: String) -> UInt64? {
    guard text.hasPrefix(prefix) else { return nil }
    let digits = text.dropFirst(prefix.count)
    guard (1...10).contains(digits.utf8.count), digits == "0" || digits.utf8.first != UInt8(ascii: "0"),
      digits.utf8.allSatisfy({ (0x30...0x39).contains($0) })
    else { return nil }
    return UInt64(digits)
  }
}

/// `w` and `exact` of the pictures that have them; everything else in a query is somebody else's.
struct ThumbnailParameters: ParameterHandler {
  func writeParameters(in query: Span<UInt8>, of path: Span<UInt8>, to name: inout [UInt8]) -> Bool {
    guard Self.hasParameters(path) else { return false }
    var widths = 0
    var width = 0
    var isExact = false
    var start = 0
    while start < query.count {
      var end = start
      while end < query.count, query[end] != UInt8(ascii: "&") { end += 1 }
      if end - start >= 2, query[start] == UInt8(ascii: "w"), query[start + 1] == UInt8(ascii: "=") {
        widths += 1
        width = Self.number(query, start + 2, end)
      } else if end - start == 7, Self.equals(query, start, "exact=1") {
        isExact = true
      }
      start = end + 1
    }
    guard widths > 0 || isExact else { return false }
    if widths > 0 {
      Self.write("w=", to: &name)
      Self.write(widths == 1 ? width : 0, to: &name)
      if isExact { name.append(UInt8(ascii: "&")) }
    }
    if isExact { Self.write("exact=1", to: &name) }
    return true
  }

  private static func write(_ text: StaticString, to name: inout [UInt8]) {
    for index in 0..<text.utf8CodeUnitCount { name.append(text.utf8Start[index]) }
  }

  private static func write(_ number: Int, to name: inout [UInt8]) {
    var divisor = 1
    while number / divisor >= 10 { divisor *= 10 }
    while divisor > 0 {
      name.append(UInt8(ascii: "0") + UInt8(truncatingIfNeeded: number / divisor % 10))
      divisor /= 10
    }
  }

  /// 0 for what is no width.
  private static func number(_ query: Span<UInt8>, _ start: Int, _ end: Int) -> Int {
    guard (1...5).contains(end - start), query[start] != UInt8(ascii: "0") else { return 0 }
    var number = 0
    for index in start..<end {
      guard (0x30...0x39).contains(query[index]) else { return 0 }
      number = number * 10 + Int(query[index] - 0x30)
    }
    return number
  }

  /// `/v/…/poster.…` and `/v/…/thumb_…`, found from the end.
  private static func hasParameters(_ path: Span<UInt8>) -> Bool {
    guard path.count > 4, equals(path, 0, "/v/") else { return false }
    var slash = path.count - 1
    while slash > 2, path[slash] != UInt8(ascii: "/") { slash -= 1 }
    return equals(path, slash, "/poster.") || equals(path, slash, "/thumb_")
  }

  private static func equals(_ bytes: Span<UInt8>, _ start: Int, _ text: StaticString) -> Bool {
    guard bytes.count - start >= text.utf8CodeUnitCount else { return false }
    for index in 0..<text.utf8CodeUnitCount where bytes[start + index] != text.utf8Start[index] {
      return false
    }
    return true
  }
}
