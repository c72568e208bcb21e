/// A name or value that must not be sent in a header field.
public enum HeaderError: Error, Sendable, Equatable {
  /// Not a token (RFC 9110 §5.1); give a name of letters, digits and hyphens.
  case invalidName
  /// Holds a control character, or white space at an end (RFC 9110 §5.5).
  case invalidValue
}

/// Field lines rendered once and sent many times: what the heads of one object, or of one site, have in common.
///
/// Whole lines with their CRLF, without status line, framing and final empty line. `HeadWriter.append` copies
/// them into a head.
public struct HeadTemplate: Sendable, Equatable {
  public private(set) var bytes: [UInt8] = []

  public init() {}

  /// The lines for these fields, in this order.
  /// - Throws: `HeaderError` for the first name or value that cannot be sent.
  public init(_ fields: [(name: [UInt8], value: [UInt8])]) throws(HeaderError) {
    for field in fields { try append(field.name, field.value) }
  }

  /// Adds one line.
  /// - Throws: `HeaderError`, and nothing is added.
  public mutating func append(_ name: [UInt8], _ value: [UInt8]) throws(HeaderError) {
    guard HeaderName.isValid(name) else { throw .invalidName }
    guard HeaderValue.isValid(value) else { throw .invalidValue }
    bytes += name
    bytes += [ASCII.colon, ASCII.space]
    bytes += value
    bytes += [ASCII.carriageReturn, ASCII.lineFeed]
  }

  /// Adds one line whose name is written in the program.
  /// - Throws: `HeaderError`, and nothing is added.
  public mutating func append(_ name: StaticString, _ value: [UInt8]) throws(HeaderError) {
    try append(name.withUTF8Buffer { [UInt8]($0) }, value)
  }
}
