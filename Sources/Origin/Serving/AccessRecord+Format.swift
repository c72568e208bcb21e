// The two line formats of the access log.

extension AccessRecord {
  /// One JSON object and a line feed.
  func appendJSON(to line: inout [UInt8]) {
    line.append(UInt8(ascii: "{"))
    field("time", Array(Self.iso8601(startedMilliseconds).utf8), &line, first: true)
    field("request_id", requestID, &line)
    if let site { field("site", Array(site.utf8), &line) }
    field("remote", Array(remoteAddress.utf8), &line)
    field("method", Array(method.utf8), &line)
    field("host", host, &line)
    field("target", target, &line)
    field("protocol", Array(protocolName.utf8), &line)
    if let tls { field("tls", Array(tls.rawValue.utf8), &line) }
    number("status", UInt64(status), &line)
    number("bytes", sentBytes, &line)
    number("duration_us", durationMicroseconds, &line)
    if !isComplete { line.append(contentsOf: ",\"complete\":false".utf8) }
    field("kind", Array(kind.rawValue.utf8), &line)
    if let range { field("range", range, &line) }
    if let referer { field("referer", referer, &line) }
    if let userAgent { field("user_agent", userAgent, &line) }
    if let traceparent { field("traceparent", traceparent, &line) }
    if let cmcd { line.append(contentsOf: Array(",\"cmcd\":".utf8) + cmcd.json) }
    line.append(contentsOf: "}\n".utf8)
  }

  /// HTTP/2 and later have no minor version (RFC 9113 §1).
  private var protocolName: String {
    versionMajor >= 2 ? "HTTP/\(versionMajor)" : "HTTP/\(versionMajor).\(versionMinor)"
  }

  /// The combined log format of Apache and nginx, with the request id behind it.
  func appendCombined(to line: inout [UInt8]) {
    line.append(contentsOf: remoteAddress.utf8)
    line.append(contentsOf: " - - [\(Self.common(startedMilliseconds))] \"\(method) ".utf8)
    quoted(target, &line)
    line.append(contentsOf: " HTTP/\(versionMajor).\(versionMinor)\" \(status) \(sentBytes) \"".utf8)
    quoted(referer ?? [0x2D], &line)
    line.append(contentsOf: "\" \"".utf8)
    quoted(userAgent ?? [0x2D], &line)
    line.append(contentsOf: "\" ".utf8)
    quoted(requestID, &line)
    line.append(0x0A)
  }

  private func field(_ name: String, _ value: [UInt8], _ line: inout [UInt8], first: Bool = false) {
    if !first { line.append(UInt8(ascii: ",")) }
    line.append(contentsOf: "\"\(name)\":\"".utf8)
    for byte in value {
      switch byte {
      case 0x22, 0x5C: line.append(contentsOf: [0x5C, byte])
      case 0x20..<0x7F: line.append(byte)
      // Other bytes may not be UTF-8; each is written as the code point of the same number.
      default: line.append(contentsOf: Array("\\u00".utf8) + Self.hex(byte))
      }
    }
    line.append(0x22)
  }

  private func number(_ name: String, _ value: UInt64, _ line: inout [UInt8]) {
    line.append(contentsOf: ",\"\(name)\":\(value)".utf8)
  }

  private func quoted(_ value: [UInt8], _ line: inout [UInt8]) {
    for byte in value {
      switch byte {
      case 0x22, 0x5C, ..<0x20, 0x7F...: line.append(contentsOf: Array("\\x".utf8) + Self.hex(byte))
      default: line.append(byte)
      }
    }
  }

  private static func hex(_ byte: UInt8) -> [UInt8] {
    let digits = Array("0123456789abcdef".utf8)
    return [digits[Int(byte >> 4)], digits[Int(byte & 15)]]
  }

  /// Such as `2026-05-01T12:00:00.000Z`: how times stand in logs and in answers of the API.
  public static func iso8601(_ milliseconds: Int64) -> String {
    let (year, month, day, seconds) = civil(milliseconds)
    let fraction = milliseconds - milliseconds / 1000 * 1000
    return
      "\(pad(year, 4))-\(pad(month))-\(pad(day))T\(pad(seconds / 3600)):\(pad(seconds / 60 % 60)):\(pad(seconds % 60)).\(pad(Int(fraction), 3))Z"
  }

  private static func common(_ milliseconds: Int64) -> String {
    let names = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
    let (year, month, day, seconds) = civil(milliseconds)
    return
      "\(pad(day))/\(names[month - 1])/\(pad(year, 4)):\(pad(seconds / 3600)):\(pad(seconds / 60 % 60)):\(pad(seconds % 60)) +0000"
  }

  private static func pad(_ value: Int, _ width: Int = 2) -> String {
    let digits = String(value)
    return String(repeating: "0", count: max(0, width - digits.count)) + digits
  }

  /// Proleptic Gregorian date of a Unix time, and the seconds into the day.
  private static func civil(_ milliseconds: Int64) -> (year: Int, month: Int, day: Int, seconds: Int) {
    let total = Int(milliseconds / 1000)
    let days = total / 86400 + 719_468
    let era = days / 146_097
    let dayOfEra = days - era * 146_097
    let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36524 - dayOfEra / 146_096) / 365
    let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
    let shifted = (5 * dayOfYear + 2) / 153
    let month = shifted < 10 ? shifted + 3 : shifted - 9
    return (
      yearOfEra + era * 400 + (month <= 2 ? 1 : 0), month, dayOfYear - (153 * shifted + 2) / 5 + 1,
      total % 86400
    )
  }
}
