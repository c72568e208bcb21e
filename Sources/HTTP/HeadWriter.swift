/// Writes a response head into memory that the caller owns, and never past its end.
///
/// What does not fit is not written at all, not even in part; `overflowed` is then true and everything after is
/// dropped too. Check it once at the end. Values are not validated here: they come from the program or passed
/// `HeaderValue.isValid` when configuration was read; nothing that a client sent goes in unchecked.
///
///     var writer = HeadWriter(into: buffer)
///     writer.appendStatusLine(206)
///     writer.append(template)
///     writer.appendField("Content-Length", decimal: range.count)
///     writer.appendContentRange(range, length: length)
///     writer.endHead()
///
/// A handful of nanoseconds per field, no allocation.
public struct HeadWriter: ~Copyable {
  private let buffer: UnsafeMutableRawBufferPointer

  /// Bytes written so far.
  public private(set) var count = 0
  /// Whether anything did not fit.
  public private(set) var overflowed = false

  /// - Parameter buffer: stays valid while the writer is used.
  public init(into buffer: UnsafeMutableRawBufferPointer) { self.buffer = buffer }

  public mutating func append(_ text: StaticString) {
    text.withUTF8Buffer { append(bytes: UnsafeRawBufferPointer($0)) }
  }

  public mutating func append(_ bytes: Span<UInt8>) {
    bytes.withUnsafeBytes { append(bytes: $0) }
  }

  public mutating func append(bytes: UnsafeRawBufferPointer) {
    guard let space = reserve(bytes.count) else { return }
    space.copyMemory(from: bytes)
  }

  public mutating func append(_ template: borrowing HeadTemplate) { append(template.bytes.span) }

  /// A number without leading zeros.
  public mutating func append(decimal value: UInt64) {
    var digits = 1
    var rest = value / 10
    while rest > 0 {
      digits += 1
      rest /= 10
    }
    guard let space = reserve(digits) else { return }
    rest = value
    for index in stride(from: digits - 1, through: 0, by: -1) {
      space[index] = ASCII.zero + UInt8(truncatingIfNeeded: rest % 10)
      rest /= 10
    }
  }

  /// A date as IMF-fixdate, 29 bytes.
  public mutating func append(dateSeconds: Int64) {
    guard let space = reserve(HTTPDate.byteCount) else { return }
    HTTPDate.write(dateSeconds, into: space)
  }

  // MARK: Lines

  /// `HTTP/1.1 STATUS REASON` and CRLF. A status without a line of its own gets one with an empty reason.
  public mutating func appendStatusLine(_ status: UInt16) {
    if let line = StatusLine.line(status) { return append(line) }
    append("HTTP/1.1 ")
    append(decimal: UInt64(status))
    append(" \r\n")
  }

  public mutating func appendField(_ name: StaticString, _ value: StaticString) {
    append(name)
    append(": ")
    append(value)
    append("\r\n")
  }

  public mutating func appendField(_ name: StaticString, _ value: Span<UInt8>) {
    append(name)
    append(": ")
    append(value)
    append("\r\n")
  }

  public mutating func appendField(_ name: StaticString, decimal value: UInt64) {
    append(name)
    append(": ")
    append(decimal: value)
    append("\r\n")
  }

  public mutating func appendField(_ name: StaticString, dateSeconds: Int64) {
    append(name)
    append(": ")
    append(dateSeconds: dateSeconds)
    append("\r\n")
  }

  /// `Content-Range: bytes FIRST-LAST/LENGTH` (RFC 9110 §14.4).
  /// - Parameters:
  ///   - range: not empty.
  ///   - length: bytes of the whole representation.
  public mutating func appendContentRange(_ range: ByteRange, length: UInt64) {
    precondition(range.count > 0, "an empty range has no Content-Range")
    append("Content-Range: bytes ")
    append(decimal: range.lower)
    append("-")
    append(decimal: range.upper - 1)
    append("/")
    append(decimal: length)
    append("\r\n")
  }

  /// `Content-Range: bytes */LENGTH`, for 416.
  public mutating func appendContentRange(unsatisfiedLength length: UInt64) {
    append("Content-Range: bytes */")
    append(decimal: length)
    append("\r\n")
  }

  /// The empty line that ends the head.
  public mutating func endHead() { append("\r\n") }

  /// The next `size` bytes, counted as written; `nil` if they are not there.
  private mutating func reserve(_ size: Int) -> UnsafeMutableRawBufferPointer? {
    guard !overflowed, size <= buffer.count - count else {
      overflowed = true
      return nil
    }
    let space = UnsafeMutableRawBufferPointer(rebasing: buffer[count..<count + size])
    count += size
    return space
  }
}
