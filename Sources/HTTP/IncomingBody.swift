/// The framing of a request's body that somebody wants: says which of the bytes that arrive belong to it.
///
/// Give it what was received, again and again until `.needsMore`, `.finished` or `.failed`; each event moves the front of
/// `bytes` behind what it has used.
public struct IncomingBody: Sendable {
  public enum Event {
    /// All bytes are used and the body goes on.
    case needsMore
    /// These bytes, which were at the front, belong to the body. Never empty.
    case data(UnsafeRawBufferPointer)
    /// The body has ended; what is left is the next request's.
    case finished
    case failed(RequestError)
  }

  private enum Rest {
    case count(UInt64)
    case chunked(ChunkedDecoder)
  }

  private var rest: Rest

  /// - Parameter head: of HTTP/1; the frames of HTTP/2 need nobody to tell their end.
  public init(of head: borrowing RequestHead) {
    switch head.body {
    case .none: rest = .count(0)
    case .length(let length): rest = .count(length)
    case .chunked: rest = .chunked(ChunkedDecoder(limits: head.limits))
    }
  }

  /// Whether nothing is to come.
  public var isOver: Bool {
    if case .count(0) = rest { return true }
    return false
  }

  public mutating func next(_ bytes: inout UnsafeRawBufferPointer) -> Event {
    switch rest {
    case .count(0): return .finished
    case .count(let left):
      guard bytes.count > 0 else { return .needsMore }
      let taken = Int(min(left, UInt64(bytes.count)))
      let data = UnsafeRawBufferPointer(rebasing: bytes[..<taken])
      bytes = UnsafeRawBufferPointer(rebasing: bytes[taken...])
      rest = .count(left - UInt64(taken))
      return .data(data)
    case .chunked(var decoder):
      switch decoder.decode(bytes) {
      case .needsMore:
        bytes = UnsafeRawBufferPointer(rebasing: bytes[bytes.count...])
        rest = .chunked(decoder)
        return .needsMore
      case .data(let range):
        let data = UnsafeRawBufferPointer(rebasing: bytes[range])
        bytes = UnsafeRawBufferPointer(rebasing: bytes[range.upperBound...])
        rest = .chunked(decoder)
        return .data(data)
      case .finished(let consumed):
        bytes = UnsafeRawBufferPointer(rebasing: bytes[consumed...])
        rest = .count(0)
        return .finished
      case .failed(let error):
        rest = .chunked(decoder)
        return .failed(error)
      }
    }
  }
}
