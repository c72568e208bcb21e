// What stands between a server's bytes and hiredis' assertions
//
// hiredis 0.14 stops the process (assert in async.c) when a server sends what it does not expect: a reply nobody waits for,
// or, on a subscribed connection, anything but the three shapes of a subscription's messages. It also makes whatever array a
// server announces, and gathers whatever it sends. A proxy on the wrong port can do all of that.
//
// The reader calls a table of functions to make its objects. Ours stand in front of hiredis' own: each looks whether the
// object may come now, and whether the reply has room for it. One that says no makes the reader fail ("out of memory"), which
// ends the connection like any other error, and the reason that was noted here is what the callers are told.
//
//     at the root      someone waits for a reply, or the connection is subscribed; an error may come at any time (hiredis
//                      then closes: "max number of clients", "LOADING")
//     subscribed       a root of 3 elements; the first two are bulk strings, the first of them not (p)unsubscribe, whose
//                      third element hiredis asserts to be a number: we never unsubscribe, we close
//     sizes            the bytes of strings, and 32 bytes for each element, of one reply

internal import CHiredis

/// What is expected on one connection, and what is left of the limit.
struct RedisReplyGuard {
  static let elementBytes = 32

  /// What an object holds; the reader says it before it has noted it in its task.
  enum Content {
    case bytes(UnsafeRawBufferPointer)
    case elements(Int)
    case small

    /// Int.max for what can't be.
    var sizeBytes: Int {
      switch self {
      case .bytes(let bytes): bytes.count + RedisReplyGuard.elementBytes
      case .elements(let count):
        count < 0 ? .max : count.multipliedReportingOverflow(by: RedisReplyGuard.elementBytes).partialValue
      case .small: RedisReplyGuard.elementBytes
      }
    }
  }

  let mostBytes: Int
  private(set) var violation: RedisError.Code?
  private var bytes = 0

  init(mostBytes: Int) { self.mostBytes = mostBytes }

  /// Whether an object of the reader's may come.
  ///
  /// - Parameters:
  ///   - content: the bytes of a string, the number of elements of an array.
  ///   - isExpected: whether somebody waits for a reply.
  mutating func admits(
    _ task: redisReadTask, _ content: Content, isExpected: Bool, isSubscribed: Bool
  ) -> Bool {
    if let parent = task.parent {
      if isSubscribed, parent.pointee.parent == nil, task.idx < 2 {
        guard task.type == REDIS_REPLY_STRING, case .bytes(let text) = content,
          task.idx != 0 || !Self.isUnsubscribe(text)
        else { return refuse(.protocolViolated) }
      }
    } else {
      bytes = 0
      if isSubscribed {
        var isMessage = task.type == REDIS_REPLY_ERROR
        if case .elements(3) = content { isMessage = true }
        guard isMessage else { return refuse(.protocolViolated) }
      } else if !isExpected && task.type != REDIS_REPLY_ERROR {
        return refuse(.protocolViolated)
      }
    }
    let (sum, overflows) = bytes.addingReportingOverflow(content.sizeBytes)
    guard !overflows, sum <= mostBytes else { return refuse(.replyTooLarge) }
    bytes = sum
    return true
  }

  mutating func refuse(_ code: RedisError.Code) -> Bool {
    violation = code
    return false
  }

  private static func isUnsubscribe(_ text: UnsafeRawBufferPointer) -> Bool {
    let lower = text.prefix(12).map { $0 | 0x20 }
    return lower.starts(with: "unsubscribe".utf8) || lower.starts(with: "punsubscribe".utf8)
  }

  // MARK: The table

  /// hiredis' own functions, as a reader of its making has them.
  private static let original: redisReplyObjectFunctions? = {
    guard let reader = redisReaderCreate() else { return nil }
    defer { redisReaderFree(reader) }
    return reader.pointee.fn?.pointee
  }()

  /// Ours, for the readers of all connections.
  // Written once, before anybody reads it.
  nonisolated(unsafe) static let functions: UnsafeMutablePointer<redisReplyObjectFunctions>? = {
    guard let original else { return nil }
    let table = UnsafeMutablePointer<redisReplyObjectFunctions>.allocate(capacity: 1)
    table.initialize(to: original)
    table.pointee.createString = { task, text, count in
      guard RedisReplyGuard.admits(task, .bytes(UnsafeRawBufferPointer(start: text, count: count))) else {
        return nil
      }
      return RedisReplyGuard.original?.createString?(task, text, count)
    }
    table.pointee.createArray = { task, count in
      guard RedisReplyGuard.admits(task, .elements(Int(count))) else { return nil }
      return RedisReplyGuard.original?.createArray?(task, count)
    }
    table.pointee.createInteger = { task, value in
      guard RedisReplyGuard.admits(task, .small) else { return nil }
      return RedisReplyGuard.original?.createInteger?(task, value)
    }
    table.pointee.createNil = { task in
      guard RedisReplyGuard.admits(task, .small) else { return nil }
      return RedisReplyGuard.original?.createNil?(task)
    }
    return table
  }()

  /// A task carries the connection that its reader belongs to.
  private static func admits(_ task: UnsafePointer<redisReadTask>?, _ content: Content) -> Bool {
    guard let task, let owner = task.pointee.privdata else { return false }
    return Unmanaged<RedisConnection>.fromOpaque(owner)._withUnsafeGuaranteedRef {
      $0.admits(task.pointee, content)
    }
  }
}
