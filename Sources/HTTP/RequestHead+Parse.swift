// How the verdict is kept independent of where the bytes were cut.
//
// `read` is a function of the bytes alone. It walks them in order, looks at a line only once its CRLF is there,
// and stops at the first byte that decides: the end of the head, a control character, or a limit that can no
// longer be met. More bytes behind a decision never change it, and an undecided prefix stays undecided until a
// line ends, a control character comes or a limit is passed. So `parse` need not repeat `read` for each
// byte that trickles in: it looks at the new bytes for one of these three, which is what `ParseProgress`
// remembers. The cost of a head sent byte by byte is thus a handful of passes per field line.

/// What `RequestHead.parse` found.
public enum ParseResult: Sendable, Equatable {
  /// The head is not all there yet; read more and parse again from the same first byte.
  case incomplete
  /// The head ends after this many bytes; the body, or the next request, follows.
  case complete(headBytes: Int)
  /// The request cannot be taken: answer with the error's status, and close.
  case failed(RequestError)
}

/// How far a connection's incomplete head has been looked at. One per connection; 24 bytes, no allocation.
public struct ParseProgress: Sendable {
  /// Bytes that need not be looked at again, because no verdict can come from them alone.
  var scannedBytes = 0
  /// More bytes than this decide by themselves: some limit is passed.
  var undecidedBytes = 0
  var isInRequestLine = true

  public init() {}

  /// Whether bytes beyond those already scanned may end the wait.
  func mayDecide(_ bytes: Span<UInt8>) -> Bool {
    if bytes.count < scannedBytes || bytes.count > undecidedBytes { return true }
    let new = scannedBytes..<bytes.count
    return bytes.indexOfControl(in: new, onlyVisible: isInRequestLine) != bytes.count
  }
}

extension RequestHead {
  /// Parses a head from the first byte of `bytes`, as far as they go.
  ///
  /// - Parameters:
  ///   - bytes: all that has been received since the end of the previous request. They must stay in place and
  ///     unchanged until the next call, because the spans of a complete head point into them.
  ///   - progress: the connection's; starts as `ParseProgress()`, and is that again after a verdict.
  /// - Returns: the same verdict however the bytes arrive. Everything else of this value is set by it.
  ///
  /// At most two empty lines before the request line are skipped. O(bytes), no allocation (RFC 9112 §2-§6).
  public mutating func parse(_ bytes: UnsafeRawBufferPointer, resuming progress: inout ParseProgress)
    -> ParseResult
  {
    let start = bytes.baseAddress?.assumingMemoryBound(to: UInt8.self)
    let span = unsafe Span<UInt8>(
      _unsafeElements: UnsafeBufferPointer(start: start, count: bytes.count))
    clear()
    if progress.scannedBytes > 0, !progress.mayDecide(span) {
      progress.scannedBytes = span.count
      return .incomplete
    }
    base = start
    do throws(RequestError) {
      guard let headBytes = try read(span, &progress) else {
        // A CR at the very end waits for its LF; whatever else comes there must be looked at.
        let endsInCR = span.count > 0 && span[span.count - 1] == ASCII.carriageReturn
        progress.scannedBytes = endsInCR ? span.count - 1 : span.count
        clear()
        return .incomplete
      }
      progress = ParseProgress()
      return .complete(headBytes: headBytes)
    } catch {
      progress = ParseProgress()
      return .failed(error)
    }
  }

  /// The number of bytes of the head, or `nil` if it is incomplete.
  private mutating func read(_ bytes: Span<UInt8>, _ progress: inout ParseProgress) throws(RequestError)
    -> Int?
  {
    var position = 0
    var emptyLines = 0
    while position < bytes.count,
      bytes[position] == ASCII.carriageReturn || bytes[position] == ASCII.lineFeed
    {
      if bytes[position] == ASCII.lineFeed { throw RequestError(.bareLineFeed) }
      guard position + 1 < bytes.count else { return nil }
      guard bytes[position + 1] == ASCII.lineFeed else { throw RequestError(.bareCarriageReturn) }
      emptyLines += 1
      if emptyLines > 2 { throw RequestError(.tooManyEmptyLines) }
      position += 2
    }

    progress.isInRequestLine = true
    progress.undecidedBytes = position + limits.requestLineBytes
    guard
      let lineEnd = try Self.endOfLine(
        bytes, from: position, last: progress.undecidedBytes, onlyVisible: true, tooLong: .requestLineTooLong)
    else { return nil }
    try readRequestLine(bytes, position..<lineEnd)

    position = lineEnd + 2
    progress.isInRequestLine = false
    progress.undecidedBytes = position + limits.headerBlockBytes - 2
    while true {
      guard
        let end = try Self.endOfLine(
          bytes, from: position, last: progress.undecidedBytes, onlyVisible: false,
          tooLong: .headerBlockTooLarge)
      else { return nil }
      if end == position { break }
      try readField(bytes, position..<end)
      position = end + 2
    }
    try interpretFields(bytes)
    return position + 2
  }

  /// The index of the CR that ends the line at `start`, `nil` while it has not come.
  /// - Parameter last: the highest index that this CR may have.
  @inline(__always)
  private static func endOfLine(
    _ bytes: Span<UInt8>, from start: Int, last: Int, onlyVisible: Bool, tooLong: RequestError.Code
  ) throws(RequestError) -> Int? {
    let windowEnd = min(bytes.count, last + 1)
    var index = start
    // Spaces are visible here: a request line is cut at them later.
    if start < windowEnd { index = bytes.indexOfControl(in: start..<windowEnd, onlyVisible: onlyVisible) }
    guard index < windowEnd else {
      if bytes.count > last { throw RequestError(tooLong) }
      return nil
    }
    switch bytes[index] {
    case ASCII.carriageReturn:
      guard index + 1 < bytes.count else { return nil }
      guard bytes[index + 1] == ASCII.lineFeed else { throw RequestError(.bareCarriageReturn) }
      return index
    case ASCII.lineFeed:
      throw RequestError(.bareLineFeed)
    default:
      throw RequestError(.controlCharacter)
    }
  }

  // MARK: Request line

  private mutating func readRequestLine(_ bytes: Span<UInt8>, _ line: Range<Int>) throws(RequestError) {
    let methodEnd: Int
    if line.count > 8, bytes.word(at: line.lowerBound) & 0xFFFF_FFFF == 0x2054_4547 {  // "GET "
      method = .get
      methodEnd = line.lowerBound + 3
    } else {
      methodEnd = bytes.index(of: ASCII.space, in: line)
      let token = bytes.extracting(line.lowerBound..<methodEnd)
      guard HeaderName.isToken(token) else { throw RequestError(.malformedMethod) }
      method = Method(token: token)
    }

    guard methodEnd + 10 < line.upperBound, bytes[line.upperBound - 9] == ASCII.space else {
      throw Self.versionError(bytes, methodEnd..<line.upperBound)
    }
    // "HTTP/1.x", its last byte masked off.
    let version = bytes.word(at: line.upperBound - 8)
    let minor = bytes[line.upperBound - 1]
    guard version & 0x00FF_FFFF_FFFF_FFFF == 0x002E_312F_5054_5448, ASCII.isDigit(minor) else {
      throw Self.versionError(bytes, methodEnd..<line.upperBound)
    }
    versionMinor = minor - ASCII.zero
    try readTarget(bytes, methodEnd + 1..<line.upperBound - 9)
  }

  /// Why a request line without ` HTTP/1.x` at its end is refused.
  private static func versionError(_ bytes: Span<UInt8>, _ rest: Range<Int>) -> RequestError {
    var start = rest.upperBound
    while start > rest.lowerBound, bytes[start - 1] != ASCII.space { start -= 1 }
    let word = bytes.extracting(start..<rest.upperBound)
    let before = bytes.index(of: ASCII.space, in: rest)
    // One word after the method is HTTP/0.9; none is nothing we know.
    guard start > before + 1, word.count == 8, word.extracting(0..<5).equals("HTTP/"),
      ASCII.isDigit(word[5]), word[6] == ASCII.period, ASCII.isDigit(word[7])
    else {
      return RequestError(start > before + 1 ? .malformedVersion : .malformedRequestLine)
    }
    return RequestError(word[5] == ASCII.zero + 1 ? .malformedRequestLine : .unsupportedVersion)
  }

  // MARK: Fields

  @inline(__always)
  private mutating func readField(_ bytes: Span<UInt8>, _ line: Range<Int>) throws(RequestError) {
    guard entryCount < limits.fieldCount else { throw RequestError(.tooManyFields) }
    let nameEnd = bytes.index(of: ASCII.colon, in: line)
    let name = bytes.extracting(line.lowerBound..<nameEnd)
    guard nameEnd < line.upperBound else { throw Self.nameError(bytes[line.lowerBound]) }
    let field = KnownField(name: name)
    // A known name is a token; only an unknown one has to be looked at.
    if field == nil, !HeaderName.isToken(name) { throw Self.nameError(bytes[line.lowerBound]) }
    var start = nameEnd + 1
    var end = line.upperBound
    while start < end, bytes[start] == ASCII.space || bytes[start] == ASCII.tab { start += 1 }
    while end > start, bytes[end - 1] == ASCII.space || bytes[end - 1] == ASCII.tab { end -= 1 }

    addField(field, line.lowerBound..<nameEnd, start..<end)
  }

  /// Notes a field line whose name and value have been looked at.
  @inline(__always)
  mutating func addField(_ field: KnownField?, _ name: Range<Int>, _ value: Range<Int>) {
    entries[entryCount] = Entry(
      nameOffset: UInt32(truncatingIfNeeded: name.lowerBound),
      nameCount: UInt32(truncatingIfNeeded: name.count),
      valueOffset: UInt32(truncatingIfNeeded: value.lowerBound),
      valueCount: UInt32(truncatingIfNeeded: value.count), known: field?.rawValue ?? Entry.unknown)
    if let field {
      let slot = Int(field.rawValue)
      if known[slot].count == 0 { known[slot].first = UInt16(truncatingIfNeeded: entryCount) }
      known[slot].count &+= 1
    }
    entryCount += 1
  }

  private static func nameError(_ first: UInt8) -> RequestError {
    RequestError(first == ASCII.space || first == ASCII.tab ? .foldedField : .malformedFieldName)
  }
}
