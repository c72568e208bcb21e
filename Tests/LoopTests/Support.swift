import Glibc
import Testing

@testable import Loop

/// Runs `body` beside a fresh loop on its own thread, then stops the loop.
///
/// Returning at all means that every handle was closed: EventLoop stops the process when uv_loop_close finds one open.
func withLoop<Result>(_ body: (EventLoop) throws -> Result) throws -> Result {
  let threads = try LoopThreads(count: 1)
  defer {
    threads.stopAndJoin()
    #expect(threads.loops[0].droppedWorkCount == 0)
  }
  return try body(threads.loops[0])
}

extension EventLoop {
  /// Runs `body` on the loop and waits for its result.
  func sync<Result: Sendable>(_ body: @escaping @Sendable () throws -> Result) throws -> Result {
    let mailbox = Mailbox<Swift.Result<Result, any Error>>()
    execute { mailbox.put(Swift.Result { try body() }) }
    return try mailbox.take().get()
  }
}

/// A queue of values from one thread to another, with blocking receipt.
final class Mailbox<Value: Sendable>: Sendable {
  private let values = Locked<[Value]>([])
  // A semaphore is made for use from many threads; the pointer never changes.
  nonisolated(unsafe) private let count: UnsafeMutablePointer<sem_t>

  init() {
    count = .allocate(capacity: 1)
    sem_init(count, 0, 0)
  }

  deinit {
    sem_destroy(count)
    count.deallocate()
  }

  func put(_ value: Value) {
    values.withLock { $0.append(value) }
    sem_post(count)
  }

  func take() -> Value {
    while sem_wait(count) != 0 {}
    return values.withLock { $0.removeFirst() }
  }

  func take(_ number: Int) -> [Value] {
    (0..<number).map { _ in take() }
  }
}

/// The generator of Steele, Lea and Flood; the same numbers for the same seed.
struct SplitMix64: RandomNumberGenerator {
  private var state: UInt64

  init(seed: UInt64) {
    state = seed
  }

  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var z = state
    z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
    z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
    return z ^ (z >> 31)
  }

  mutating func bytes(_ count: Int) -> [UInt8] {
    var bytes: [UInt8] = []
    bytes.reserveCapacity(count + 8)
    while bytes.count < count {
      withUnsafeBytes(of: next()) { bytes.append(contentsOf: $0) }
    }
    bytes.removeLast(bytes.count - count)
    return bytes
  }
}

/// A thread for the other end of a connection; joined when the test lets go of it.
func inBackground(_ body: @escaping @Sendable () -> Void) throws -> NamedThread {
  try NamedThread(name: "test-client", body)
}
