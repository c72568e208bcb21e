import HTTP

/// Instants as JSON APIs write them (RFC 3339): `2026-12-24T20:15:00Z`, `2026-12-24T21:15:00.5+01:00`.
enum AvailabilityDate {
  private static let months = [
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
  ]

  /// Seconds since 1970, fractions cut off; nil for what is not exactly such a text, or names no instant.
  static func seconds(_ text: String) -> Int64? {
    let bytes = Array(text.utf8)
    guard bytes.count >= 20, bytes.allSatisfy({ $0 < 0x80 }), bytes[4] == UInt8(ascii: "-"),
      bytes[7] == UInt8(ascii: "-"), bytes[10] == UInt8(ascii: "T") || bytes[10] == UInt8(ascii: "t")
    else { return nil }
    func part(_ range: Range<Int>) -> String { String(decoding: bytes[range], as: UTF8.self) }
    guard let month = number(bytes[5..<7]), (1...12).contains(month) else { return nil }
    // The same calendar as of HTTP, which does not compare the name of the day.
    let fixed = "Mon, \(part(8..<10)) \(months[month - 1]) \(part(0..<4)) \(part(11..<19)) GMT"
    guard let seconds = HTTPDate.parse(Array(fixed.utf8).span) else { return nil }
    var rest = bytes[19...]
    if rest.first == UInt8(ascii: ".") {
      let digits = rest.dropFirst().prefix { (0x30...0x39).contains($0) }
      guard !digits.isEmpty else { return nil }
      rest = rest[digits.endIndex...]
    }
    if rest.count == 1 {
      return rest.first == UInt8(ascii: "Z") || rest.first == UInt8(ascii: "z") ? seconds : nil
    }
    guard rest.count == 6, let sign = rest.first, sign == UInt8(ascii: "+") || sign == UInt8(ascii: "-"),
      rest[rest.startIndex + 3] == UInt8(ascii: ":"),
      let hours = number(rest[rest.startIndex + 1..<rest.startIndex + 3]), hours < 24,
      let minutes = number(rest[rest.startIndex + 4..<rest.endIndex]), minutes < 60
    else { return nil }
    let offset = Int64(hours * 3600 + minutes * 60)
    return sign == UInt8(ascii: "+") ? seconds - offset : seconds + offset
  }

  private static func number(_ digits: ArraySlice<UInt8>) -> Int? {
    digits.allSatisfy { (0x30...0x39).contains($0) } ? Int(String(decoding: digits, as: UTF8.self)) : nil
  }
}
