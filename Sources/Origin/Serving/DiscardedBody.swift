// A request body that nobody wants. It is read and thrown away, so that the next request on the connection can be told from
// it, as long as it is no longer than `discarded_body`; else the connection ends with the answer.

import HTTP

/// What is left of a request body that is thrown away.
struct DiscardedBody {
  /// nil where nothing is to come.
  private var incoming: IncomingBody?
  /// How much more may come where the head has not said it.
  private var budget = 0
  /// Known before its first byte to be longer than what is thrown away.
  private(set) var isTooLong = false

  /// None.
  init() {}

  init(of head: borrowing RequestHead) {
    let mostBytes = head.limits.discardedBodyBytes
    switch head.body {
    case .none, .length(0): return
    case .length(let length):
      isTooLong = length > UInt64(mostBytes)
      budget = .max
    case .chunked: budget = mostBytes
    }
    incoming = IncomingBody(of: head)
  }

  var isOver: Bool { incoming == nil }

  /// Takes the body's bytes away from the beginning of `bytes`.
  ///
  /// - Returns: false when the body is malformed or too long: the connection can't go on.
  mutating func skip(_ bytes: inout UnsafeRawBufferPointer) -> Bool {
    guard var body = incoming else { return true }
    while true {
      switch body.next(&bytes) {
      case .data(let data):
        budget -= data.count
        if budget < 0 { return false }
        // The last byte of a length is its end.
        if !body.isOver { continue }
        incoming = nil
        return true
      case .needsMore:
        incoming = body
        return true
      case .finished:
        incoming = nil
        return true
      case .failed: return false
      }
    }
  }
}
