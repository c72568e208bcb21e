// The chunked transfer coding (RFC 9112 §7.1), read as strictly as the head: CRLF only, no white space around
// the size, at most 16 digits, so that 2^64 cannot be reached. Extensions and trailers are checked for their
// syntax, counted against their limits over the whole body, and dropped.

/// Takes the chunked coding off a body as it arrives, in any pieces.
///
/// Give it the bytes received and act on the event; after `.data` call again with what lies behind the range:
///
///     var rest = received
///     while true {
///       switch decoder.decode(rest) {
///       case .data(let range):
///         use(UnsafeRawBufferPointer(rebasing: rest[range]))
///         rest = UnsafeRawBufferPointer(rebasing: rest[range.upperBound...])
///       case .needsMore: return                       // all of `rest` is consumed
///       case .finished(let consumed): …               // the next request begins here
///       case .failed(let error): …                    // answer and close
///       }
///     }
public struct ChunkedDecoder: Sendable {
  public enum Event: Sendable, Equatable {
    /// All bytes are consumed and the body goes on.
    case needsMore
    /// These bytes of the input belong to the body; all before `upperBound` is consumed. Never empty.
    case data(Range<Int>)
    /// The body ended; this many bytes of the input belonged to it.
    case finished(consumed: Int)
    /// The body is malformed or beyond a limit. Every later call says the same.
    case failed(RequestError)
  }

  private enum State: Equatable {
    case size
    case sizeExtension
    case sizeLineFeed
    case data
    case dataReturn
    case dataLineFeed
    case trailerStart
    case trailerName
    case trailerValue
    case trailerLineFeed
    case lastLineFeed
    case done
    case failed(RequestError)
  }

  private var state = State.size
  private var digits = 0
  /// The size being read, then the bytes of the chunk that are still to come.
  private var remaining: UInt64 = 0
  private var extensionBytesLeft: Int
  private var trailerBytesLeft: Int

  /// Body bytes reported so far; stays at the largest number rather than overflow.
  public private(set) var bodyBytes: UInt64 = 0

  public init(limits: HTTPLimits) {
    extensionBytesLeft = limits.clamped.chunkExtensionBytes
    trailerBytesLeft = limits.clamped.trailerBytes
  }

  /// Consumes bytes up to the next event. O(bytes), no allocation, and the same body however they are cut.
  public mutating func decode(_ input: UnsafeRawBufferPointer) -> Event {
    var index = 0
    while index < input.count {
      if state == .data {
        let available = UInt64(input.count - index)
        let taken = Int(min(available, remaining))
        remaining -= UInt64(taken)
        bodyBytes += min(UInt64(taken), .max - bodyBytes)
        if remaining == 0 { state = .dataReturn }
        return .data(index..<index + taken)
      }
      if state == .done { return .finished(consumed: index) }
      if case .failed(let error) = state { return .failed(error) }
      do throws(RequestError) {
        try step(input[index])
      } catch {
        state = .failed(error)
        return .failed(error)
      }
      index += 1
    }
    switch state {
    case .done: return .finished(consumed: index)
    case .failed(let error): return .failed(error)
    default: return .needsMore
    }
  }

  private mutating func step(_ byte: UInt8) throws(RequestError) {
    switch state {
    case .size: try readSize(byte)
    case .sizeExtension:
      if byte == ASCII.carriageReturn {
        state = .sizeLineFeed
      } else {
        try checkText(byte, .malformedChunk)
        try countExtension()
      }
    case .sizeLineFeed:
      try expect(byte, ASCII.lineFeed, .malformedChunk)
      state = remaining == 0 ? .trailerStart : .data
      digits = 0
    case .dataReturn:
      try expect(byte, ASCII.carriageReturn, .malformedChunk)
      state = .dataLineFeed
    case .dataLineFeed:
      try expect(byte, ASCII.lineFeed, .malformedChunk)
      state = .size
    case .trailerStart:
      if byte == ASCII.carriageReturn {
        state = .lastLineFeed
      } else {
        guard ByteSet.token.contains(byte) else { throw RequestError(.malformedTrailer) }
        try countTrailer()
        state = .trailerName
      }
    case .trailerName:
      guard byte == ASCII.colon || ByteSet.token.contains(byte) else {
        throw RequestError(.malformedTrailer)
      }
      try countTrailer()
      if byte == ASCII.colon { state = .trailerValue }
    case .trailerValue:
      if byte == ASCII.carriageReturn {
        state = .trailerLineFeed
      } else {
        try checkText(byte, .malformedTrailer)
      }
      try countTrailer()
    case .trailerLineFeed:
      try expect(byte, ASCII.lineFeed, .malformedTrailer)
      try countTrailer()
      state = .trailerStart
    case .lastLineFeed:
      try expect(byte, ASCII.lineFeed, .malformedTrailer)
      state = .done
    case .data, .done, .failed: break
    }
  }

  private mutating func readSize(_ byte: UInt8) throws(RequestError) {
    if let value = ASCII.hexValue(byte) {
      digits += 1
      guard digits <= 16 else { throw RequestError(.malformedChunk) }
      remaining = remaining &<< 4 | UInt64(value)
      return
    }
    guard digits > 0 else { throw RequestError(.malformedChunk) }
    switch byte {
    case ASCII.carriageReturn: state = .sizeLineFeed
    case ASCII.semicolon:
      try countExtension()
      state = .sizeExtension
    default: throw RequestError(.malformedChunk)
    }
  }

  private func expect(_ byte: UInt8, _ wanted: UInt8, _ code: RequestError.Code) throws(RequestError) {
    guard byte == wanted else { throw RequestError(code) }
  }

  private func checkText(_ byte: UInt8, _ code: RequestError.Code) throws(RequestError) {
    guard byte >= 0x20 && byte != ASCII.delete || byte == ASCII.tab else { throw RequestError(code) }
  }

  private mutating func countExtension() throws(RequestError) {
    extensionBytesLeft -= 1
    if extensionBytesLeft < 0 { throw RequestError(.chunkExtensionsTooLong) }
  }

  private mutating func countTrailer() throws(RequestError) {
    trailerBytesLeft -= 1
    if trailerBytesLeft < 0 { throw RequestError(.trailersTooLong) }
  }
}
