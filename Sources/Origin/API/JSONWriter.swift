import HTTP

/// Writes JSON, member by member, in the order of the calls.
///
///     var json = JSONWriter()
///     json.object { json in
///       json.member("id", "film")
///       json.member("tags", ["a", "b"])
///     }
public struct JSONWriter: Sendable {
  public private(set) var bytes: [UInt8] = []
  private var needsComma = false

  public init() {}

  public mutating func object<Failure: Error>(
    _ members: (inout JSONWriter) throws(Failure) -> Void
  ) throws(Failure) {
    open(UInt8(ascii: "{"))
    try members(&self)
    close(UInt8(ascii: "}"))
  }

  public mutating func array<Element>(_ elements: [Element], _ write: (inout JSONWriter, Element) -> Void) {
    open(UInt8(ascii: "["))
    for element in elements { write(&self, element) }
    close(UInt8(ascii: "]"))
  }

  // MARK: Values

  public mutating func value(_ text: String) {
    separate()
    var text = text
    text.withUTF8 { text in
      // The span lives as long as the buffer, which is this call.
      ProblemDocument.appendString(Span(_unsafeElements: text), to: &bytes)
    }
  }

  public mutating func value(_ number: some FixedWidthInteger) { raw(String(number)) }

  public mutating func value(_ flag: Bool) { raw(flag ? "true" : "false") }

  public mutating func null() { raw("null") }

  /// A value that is JSON already.
  public mutating func value(json: [UInt8]) {
    separate()
    bytes += json
  }

  /// Thousandths as a decimal number: 12345 is `12.345`.
  public mutating func value(thousandths: UInt64) {
    let rest = String(thousandths % 1000)
    raw("\(thousandths / 1000).\(String(repeating: "0", count: 3 - rest.count))\(rest)")
  }

  // MARK: Members

  public mutating func key(_ name: String) {
    value(name)
    bytes.append(UInt8(ascii: ":"))
    needsComma = false
  }

  public mutating func member(_ name: String, _ text: String) {
    key(name)
    value(text)
  }

  /// `null` where there is no text.
  public mutating func member(_ name: String, _ text: String?) {
    key(name)
    if let text { value(text) } else { null() }
  }

  public mutating func member(_ name: String, _ number: some FixedWidthInteger) {
    key(name)
    value(number)
  }

  public mutating func member(_ name: String, _ flag: Bool) {
    key(name)
    value(flag)
  }

  public mutating func member(_ name: String, _ texts: [String]) {
    key(name)
    array(texts) { $0.value($1) }
  }

  // MARK: Punctuation

  private mutating func separate() {
    if needsComma { bytes.append(UInt8(ascii: ",")) }
    needsComma = true
  }

  private mutating func raw(_ text: String) {
    separate()
    bytes += text.utf8
  }

  private mutating func open(_ bracket: UInt8) {
    separate()
    bytes.append(bracket)
    needsComma = false
  }

  private mutating func close(_ bracket: UInt8) {
    bytes.append(bracket)
    needsComma = true
  }
}
