// One connection, driven by hiredis' asynchronous interface on our loop
//
// hiredis knows no loop: it asks through four hooks to be called when its socket can be read or written (`ev.addRead`, …), and
// says through a fifth (`ev.cleanup`) that it is about to close the socket and to free the context. The hooks turn a
// DescriptorWatch on and off. What its stock adapter for libuv gets wrong, and this one must not:
//
//   - a failed poll (refused, reset) is handed on as "readable and writable": hiredis then finds the error itself. The stock
//     one returns, and nobody ever hears of the connection again.
//   - the watch is closed in `cleanup`, before hiredis closes the descriptor.
//   - names never reach hiredis, which would resolve them while the loop waits: it is given an address.
//
// Every way in which a context ends goes through `cleanup`, which hiredis calls once: after the callbacks of all commands
// that wait have run (with a NULL reply), and also where no connection came about. So `cleanup` is our end, and there the
// context is forgotten; after it the pointer must not be used. `redisAsyncFree` inside a callback is put off until the
// callback has returned; hiredis takes no commands meanwhile.

internal import CHiredis
internal import Glibc
import Loop

/// Where a connection goes to, when names have been resolved.
enum RedisAddress: Hashable, CustomStringConvertible {
  case internet(SocketAddress)
  case socket(path: String)

  var description: String {
    switch self {
    case .internet(let address): address.description
    case .socket(let path): path
    }
  }
}

/// A connection to one server. It opens at once and ends once; there is no way back. Belongs to its loop's thread.
final class RedisConnection {
  let address: RedisAddress
  private let loop: EventLoop
  private var context: UnsafeMutablePointer<redisAsyncContext>?
  private var watch: DescriptorWatch?
  private var wanted: DescriptorEvents = []
  private var replyGuard: RedisReplyGuard
  private var onOpen: (() -> Void)?
  private var onEnd: ((RedisError) -> Void)?
  /// Why we ended it; nil where hiredis knows.
  private var reason: RedisError?
  /// Gets the messages of a subscribed connection.
  private var onMessage: ((RedisValue) -> Void)?
  /// When the server last answered anything, on the loop's clock.
  private(set) var lastReplyMilliseconds: UInt64
  /// Commands that were sent and not answered.
  private(set) var unansweredCount = 0

  private typealias Context = UnsafeMutablePointer<redisAsyncContext>
  private typealias Callback =
    @convention(c) (Context?, UnsafeMutableRawPointer?, UnsafeMutableRawPointer?) -> Void

  /// Begins to connect.
  ///
  /// - Parameters:
  ///   - onOpen: called when it stands; commands may be sent then.
  ///   - onEnd: called once, with the reason, after all commands have been failed; also when it has never stood.
  init(
    loop: EventLoop, address: RedisAddress, mostReplyBytes: Int, onOpen: @escaping () -> Void,
    onEnd: @escaping (RedisError) -> Void
  ) {
    self.loop = loop
    self.address = address
    self.onOpen = onOpen
    self.onEnd = onEnd
    replyGuard = RedisReplyGuard(mostBytes: mostReplyBytes)
    lastReplyMilliseconds = loop.nowMilliseconds
    if let failure = open() {
      self.onOpen = nil
      let onEnd = self.onEnd.take()
      loop.later { onEnd?(RedisError(.connectFailed, server: address.description, detail: failure)) }
    }
  }

  deinit { precondition(context == nil, "a connection is kept until hiredis lets go of it") }

  // MARK: Commands

  /// Sends a command; without effect once the connection has ended or is ending.
  ///
  /// - Parameter completion: called once, from within hiredis: it may send further commands, and close, and no more.
  /// - Returns: false where it was not sent; `completion` is not called then.
  func send(_ wire: [UInt8], then completion: @escaping (Result<RedisValue, RedisError>) -> Void) -> Bool {
    guard let context, reason == nil, onMessage == nil else { return false }
    let reply = Unmanaged.passRetained(Waiting(completion))
    guard Self.submit(wire, to: context, Self.replied, reply.toOpaque()) else {
      // The callback will not be called.
      reply.release()
      return false
    }
    unansweredCount += 1
    return true
  }

  /// Subscribes to channels, or asks again for those that it has, which the server confirms again. From here on the connection
  /// takes no other command.
  ///
  /// - Parameter handler: gets each message and each confirmation as the server sends them.
  func subscribe(to channels: [String], _ handler: @escaping (RedisValue) -> Void) -> Bool {
    guard let context, reason == nil, unansweredCount == 0 else { return false }
    onMessage = handler
    let wire = RedisCommand("SUBSCRIBE", channels.map { RedisArgument($0) }).wire
    return Self.submit(wire, to: context, Self.heard, nil)
  }

  /// Hands a command to hiredis, which copies it. It looks for further arguments behind the last one, up to a NUL, and stops
  /// the process where it takes other memory for one: so there has to be a NUL.
  private static func submit(
    _ wire: [UInt8], to context: Context, _ callback: @escaping Callback,
    _ data: UnsafeMutableRawPointer?
  ) -> Bool {
    (wire + [0]).withUnsafeBytes {
      redisAsyncFormattedCommand(
        context, callback, data, $0.baseAddress?.assumingMemoryBound(to: CChar.self), wire.count)
    } == REDIS_OK
  }

  /// Ends the connection; commands that wait fail with this reason. Harmless when repeated.
  func close(_ reason: RedisError) {
    guard let context, self.reason == nil else { return }
    self.reason = reason
    redisAsyncFree(context)
  }

  private final class Waiting {
    let completion: (Result<RedisValue, RedisError>) -> Void
    init(_ completion: @escaping (Result<RedisValue, RedisError>) -> Void) { self.completion = completion }
  }

  // MARK: Opening

  /// - Returns: what went wrong; nil when it is under way.
  private func open() -> String? {
    let made: Context? =
      switch address {
      case .internet(let address): redisAsyncConnect(address.host, Int32(address.port))
      case .socket(let path): redisAsyncConnectUnix(path)
      }
    guard let made else { return "no memory" }
    guard made.pointee.err == 0, let functions = RedisReplyGuard.functions, let reader = made.pointee.c.reader
    else {
      let text = Self.text(made)
      redisAsyncFree(made)
      return text
    }
    let descriptor = made.pointee.c.fd
    // hiredis opens it without; a program that is started in between closes what it inherits.
    _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC)
    Self.keepAlive(descriptor)
    do throws(LoopError) {
      watch = try DescriptorWatch(loop: loop, descriptor: descriptor) { [weak self] in self?.woke($0) }
    } catch {
      redisAsyncFree(made)
      return error.description
    }
    context = made
    // Balanced at the end (`ended`), which comes once.
    let owner = Unmanaged.passRetained(self).toOpaque()
    reader.pointee.fn = functions
    reader.pointee.privdata = owner
    made.pointee.data = owner
    made.pointee.ev.data = owner
    made.pointee.ev.addRead = { RedisConnection.of($0) { $0.want(.readable) } }
    made.pointee.ev.delRead = { RedisConnection.of($0) { $0.unwant(.readable) } }
    made.pointee.ev.addWrite = { RedisConnection.of($0) { $0.want(.writable) } }
    made.pointee.ev.delWrite = { RedisConnection.of($0) { $0.unwant(.writable) } }
    made.pointee.ev.cleanup = { RedisConnection.of($0) { $0.ended() } }
    // Asks for "writable", so after the hooks.
    redisAsyncSetConnectCallback(made) { context, status in
      guard status == REDIS_OK else { return }
      RedisConnection.of(context?.pointee.data) { $0.onOpen.take()?() }
    }
    return nil
  }

  /// A peer that has gone without a word is noticed where nothing is asked: on connections that wait.
  private static func keepAlive(_ descriptor: Int32) {
    func set(_ level: Int32, _ name: Int32, _ value: Int32) {
      var value = value
      // Refused on a unix socket, where nothing is lost.
      _ = setsockopt(descriptor, level, name, &value, socklen_t(MemoryLayout<Int32>.size))
    }
    set(SOL_SOCKET, SO_KEEPALIVE, 1)
    set(Int32(IPPROTO_TCP), TCP_KEEPIDLE, 15)
    set(Int32(IPPROTO_TCP), TCP_KEEPINTVL, 5)
    set(Int32(IPPROTO_TCP), TCP_KEEPCNT, 3)
  }

  // MARK: Events

  private func want(_ events: DescriptorEvents) {
    guard !wanted.contains(events) else { return }
    wanted.insert(events)
    watch?.wait(for: wanted)
  }

  private func unwant(_ events: DescriptorEvents) {
    guard wanted.contains(events) else { return }
    wanted.remove(events)
    watch?.wait(for: wanted)
  }

  private func woke(_ events: DescriptorEvents) {
    // Each of the two may end the context, which `ended` then forgets.
    if events.contains(.failed) || events.contains(.readable), let context { redisAsyncHandleRead(context) }
    if events.contains(.failed) || events.contains(.writable), let context { redisAsyncHandleWrite(context) }
    if events.contains(.failed) {
      close(RedisError(.connectionLost, server: address.description, detail: "polling failed"))
    }
    // What the reader gathers of one string that is not whole yet.
    if let context, let reader = context.pointee.c.reader,
      reader.pointee.len > replyGuard.mostBytes + (64 << 10)
    {
      close(RedisError(.replyTooLarge, server: address.description))
    }
  }

  func admits(_ task: redisReadTask, _ content: RedisReplyGuard.Content) -> Bool {
    guard let context else { return false }
    return replyGuard.admits(
      task, content, isExpected: context.pointee.replies.head != nil, isSubscribed: onMessage != nil)
  }

  private func ended() {
    guard let context else { return }
    let error = reason ?? error(of: context)
    reason = error
    self.context = nil
    watch?.close()
    watch = nil
    onOpen = nil
    onMessage = nil
    let onEnd = self.onEnd.take()
    // Later: hiredis is in the midst of freeing, and may have been called by us.
    loop.later { [self] in
      onEnd?(error)
      Unmanaged.passUnretained(self).release()
    }
  }

  private static let replied: Callback =
    { context, reply, waiting in
      guard let context, let waiting else { return }
      let completion = Unmanaged<Waiting>.fromOpaque(waiting).takeRetainedValue().completion
      RedisConnection.of(context.pointee.data) { connection in
        connection.unansweredCount -= 1
        guard let reply else {
          return completion(.failure(connection.reason ?? connection.error(of: context)))
        }
        connection.lastReplyMilliseconds = connection.loop.nowMilliseconds
        switch RedisValue(copying: reply.assumingMemoryBound(to: redisReply.self)) {
        case .error(let text):
          completion(
            .failure(RedisError(.serverError, server: connection.address.description, detail: text)))
        case let value: completion(.success(value))
        }
      }
    }

  private static let heard: Callback =
    { context, reply, _ in
      guard let context, let reply else { return }
      RedisConnection.of(context.pointee.data) { connection in
        connection.lastReplyMilliseconds = connection.loop.nowMilliseconds
        connection.onMessage?(RedisValue(copying: reply.assumingMemoryBound(to: redisReply.self)))
      }
    }

  private static func of(_ data: UnsafeMutableRawPointer?, _ body: (RedisConnection) -> Void) {
    guard let data else { return }
    Unmanaged<RedisConnection>.fromOpaque(data)._withUnsafeGuaranteedRef(body)
  }

  // MARK: Reasons

  private func error(of context: UnsafeMutablePointer<redisAsyncContext>) -> RedisError {
    let server = address.description
    if let violation = replyGuard.violation { return RedisError(violation, server: server) }
    let text = Self.text(context)
    let isConnected = context.pointee.c.flags & REDIS_CONNECTED != 0
    let code: RedisError.Code =
      switch context.pointee.c.err {
      case REDIS_ERR_PROTOCOL, REDIS_ERR_OOM: .protocolViolated
      // The server said an error that nobody had asked for, and closes.
      case REDIS_ERR_OTHER where isConnected: .connectionLost
      default: isConnected ? .connectionLost : .connectFailed
      }
    return RedisError(code, server: server, detail: text)
  }

  private static func text(_ context: UnsafeMutablePointer<redisAsyncContext>) -> String {
    guard let text = context.pointee.errstr else { return "" }
    return String(cString: text)
  }
}
