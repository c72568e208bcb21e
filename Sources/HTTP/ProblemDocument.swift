/// The body of an error answer: `application/problem+json` (RFC 9457).
public enum ProblemDocument {
  public static let mediaType: StaticString = "application/problem+json"

  /// A JSON object with `type` (`about:blank`), `title`, `status`, `detail` if it is not empty, and `code`.
  ///
  /// - Parameters:
  ///   - status: the status of the answer.
  ///   - code: the stable name of the error, for programs.
  ///   - title: what kind of error it is, the same each time.
  ///   - detail: a sentence about this occurrence. Any bytes are taken and escaped; what is not UTF-8 becomes
  ///     U+FFFD.
  public static func bytes(
    status: UInt16, code: Span<UInt8>, title: Span<UInt8>, detail: Span<UInt8>
  ) -> [UInt8] {
    var json: [UInt8] = []
    json.reserveCapacity(96 + code.count + title.count + detail.count)
    json += #"{"type":"about:blank","title":"#.utf8
    appendString(title, to: &json)
    json += #","status":"#.utf8
    json += String(status).utf8
    if detail.count > 0 {
      json += #","detail":"#.utf8
      appendString(detail, to: &json)
    }
    json += #","code":"#.utf8
    appendString(code, to: &json)
    json += "}\n".utf8
    return json
  }

  /// The same for an error of the parsers.
  public static func bytes(_ error: RequestError) -> [UInt8] {
    let code = [UInt8](error.code.rawValue.utf8)
    let title = StatusLine.reason(error.status).withUTF8Buffer { [UInt8]($0) }
    let detail = error.message.withUTF8Buffer { [UInt8]($0) }
    return bytes(status: error.status, code: code.span, title: title.span, detail: detail.span)
  }

  /// Appends `text` as a JSON string with its quotes (RFC 8259 §7).
  ///
  /// Quotes, backslashes and controls are escaped, and `<`, `>`, `&` too, so that a browser that takes the answer
  /// for a page finds no markup; each byte that is not part of well-formed UTF-8 becomes U+FFFD.
  public static func appendString(_ text: Span<UInt8>, to json: inout [UInt8]) {
    json.append(ASCII.quote)
    var index = 0
    while index < text.count {
      let byte = text[index]
      let length = UTF8.sequenceLength(text, at: index)
      switch byte {
      case ASCII.quote, ASCII.backslash: json += [ASCII.backslash, byte]
      case ASCII.lineFeed: json += #"\n"#.utf8
      case ASCII.carriageReturn: json += #"\r"#.utf8
      case ASCII.tab: json += #"\t"#.utf8
      case 0..<0x20, ASCII.delete, 0x3C, 0x3E, 0x26:
        json += #"\u00"#.utf8
        json += [ASCII.hexDigit(byte &>> 4), ASCII.hexDigit(byte & 0x0F)]
      default:
        if length == 0 { json += [0xEF, 0xBF, 0xBD] }
        for offset in 0..<length { json.append(text[index + offset]) }
      }
      index += max(1, length)
    }
    json.append(ASCII.quote)
  }
}
