/// The settings behind a cue's times: W3C WebVTT §4.4.
enum CueSettings {
  /// The settings that are valid, each once and in one order; what is unknown or out of range goes.
  ///
  /// Of a name that occurs twice the last valid value counts. `align:middle`, which older drafts had, becomes
  /// `align:center`. More than 1 KiB is not looked at.
  static func normalised(_ text: [UInt8]) -> String {
    guard (1...1024).contains(text.count) else { return "" }
    var found: [String?] = Array(repeating: nil, count: names.count)
    for word in text.split(whereSeparator: \.isBlank) {
      guard let colon = word.firstIndex(of: 0x3A) else { continue }
      let name = String(decoding: word[..<colon], as: UTF8.self)
      guard let index = names.firstIndex(of: name),
        let value = value(of: name, Array(word[(colon + 1)...]))
      else { continue }
      found[index] = "\(name):\(value)"
    }
    return found.compactMap { $0 }.joined(separator: " ")
  }

  /// The settings for a place on the numeric keypad (1 bottom left, 9 top right), as SSA and SubRip files name it.
  static func settings(keypad place: UInt8) -> String {
    let row = place >= 7 ? "line:0" : place >= 4 ? "line:50%" : nil
    let column = [1: "align:left", 0: "align:right"][place % 3]
    return [row, column].compactMap { $0 }.joined(separator: " ")
  }

  private static let names = ["region", "vertical", "line", "position", "size", "align"]

  private static func value(of name: String, _ value: [UInt8]) -> String? {
    let text = String(decoding: value, as: UTF8.self)
    let parts = value.split(separator: 0x2C, maxSplits: 1, omittingEmptySubsequences: false).map(Array.init)
    let alignment = parts.count > 1 ? String(decoding: parts[1], as: UTF8.self) : nil
    switch name {
    case "vertical": return ["rl", "lr"].contains(text) ? text : nil
    case "line":
      guard isPercentage(parts[0]) || isLineNumber(parts[0]),
        alignment.map({ ["start", "center", "end"].contains($0) }) ?? true
      else { return nil }
      return text
    case "position":
      guard isPercentage(parts[0]),
        alignment.map({ ["line-left", "center", "line-right"].contains($0) }) ?? true
      else { return nil }
      return text
    case "size": return isPercentage(value) ? text : nil
    case "align":
      if text == "middle" { return "center" }
      return ["start", "center", "end", "left", "right"].contains(text) ? text : nil
    default:
      let isName = value.allSatisfy { $0 > 0x20 && $0 != 0x3E && $0 != 0x7F }
      return isName && (1...64).contains(value.count) ? text : nil
    }
  }

  /// Digits, and more digits behind a point if there is one; at most eight bytes.
  private static func isDecimal(_ text: ArraySlice<UInt8>) -> Bool {
    let parts = text.split(separator: 0x2E, maxSplits: 1, omittingEmptySubsequences: false)
    return text.count <= 8 && parts.allSatisfy { !$0.isEmpty && $0.allSatisfy(\.isDigit) }
  }

  private static func isPercentage(_ text: [UInt8]) -> Bool {
    guard text.last == 0x25, isDecimal(text.dropLast()) else { return false }
    let whole = text.prefix { $0.isDigit }.reduce(0) { $0 * 10 + Int($1 - 0x30) }
    let fraction = text.dropLast().drop { $0.isDigit }.dropFirst()
    return whole < 100 || whole == 100 && fraction.allSatisfy { $0 == 0x30 }
  }

  private static func isLineNumber(_ text: [UInt8]) -> Bool {
    isDecimal(text.first == 0x2D ? text.dropFirst() : text[...])
  }
}
