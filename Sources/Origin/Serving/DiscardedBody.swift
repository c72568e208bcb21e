// A request body that nobody wants. It is read and thrown away, so that the next request on the connection can be told from
// it, as long as it is no longer than `discarded_body`; else the connection ends with the answer.

import HTTP

/// What is left of a request body that is thrown away.
struct DiscardedBody {
  private enum Rest {
    case nothing
    case count(UInt64)
    case chunked(ChunkedDecoder, budget: Int)
  }

  private var rest = Rest.nothing
  /// Known before its first byte to be longer than what is thrown away.
  private(set) var isTooLong = false

  /// None.
  init() {}

  init(of head: borrowing RequestHead) {
    let limits = head.limits
    switch head.body {
    case .none: break
    case .length(let length):
      if length > 0 { rest = .count(length) }
      isTooLong = length > UInt64(limits.discardedBodyBytes)
    case .chunked:
      rest = .chunked(ChunkedDecoder(limits: limits), budget: limits.discardedBodyBytes)
    }
  }

  var isOver: Bool {
    if case .nothing = rest { return true }
    return false
  }

  /// Takes the body's bytes away from the beginning of `bytes`.
  ///
  /// - Returns: false when the body is malformed or too long: the connection can't go on.
  mutating func skip(_ bytes: inout UnsafeRawBufferPointer) -> Bool {
    switch rest {
    case .nothing: return true
    case .count(let left):
      let taken = Int(min(left, UInt64(bytes.count)))
      bytes = UnsafeRawBufferPointer(rebasing: bytes[taken...])
      rest = left == UInt64(taken) ? .nothing : .count(left - UInt64(taken))
      return true
    case .chunked(var decoder, var budget):
      while bytes.count > 0 {
        switch decoder.decode(bytes) {
        case .needsMore:
          bytes = UnsafeRawBufferPointer(rebasing: bytes[bytes.count...])
        case .data(let range):
          budget -= range.count
          bytes = UnsafeRawBufferPointer(rebasing: bytes[range.upperBound...])
        case .finished(let consumed):
          bytes = UnsafeRawBufferPointer(rebasing: bytes[consumed...])
          rest = .nothing
          return true
        case .failed: return false
        }
        if budget < 0 { return false }
      }
      rest = .chunked(decoder, budget: budget)
      return true
    }
  }
}
