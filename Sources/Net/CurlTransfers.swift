// libcurl's multi interface, driven by the loop (curl_multi_socket_action(3))
//
//   socket callback   libcurl says what it waits for on a socket: a DescriptorWatch is made, changed or closed. "Remove"
//                     always comes before libcurl closes the socket.
//   timer callback    libcurl says when it wants to be called without an event: the one timer of this client. 0 is now, that
//                     is at the next turn: rounding it up to a millisecond would cost each request that much.
//   both              are called from within libcurl, so nothing of libcurl is called in them.
//
// After each action the finished transfers are taken (curl_multi_info_read). Their completions are called after the
// transfer has left the multi handle, so that they may add further ones.

internal import CCurl
import Loop
internal import Synchronization

/// The transfers of one client. Belongs to its loop's thread.
final class CurlTransfers: LoopPart {
  private let loop: EventLoop
  private let options: HTTPClient.Options
  private let multi: UnsafeMutableRawPointer
  private var timer: Timer?
  private var watches: [Int32: DescriptorWatch] = [:]
  private var active: [ObjectIdentifier: Transfer] = [:]
  /// Oldest first; the client bounds how many there are.
  private var waiting: [Transfer] = []
  private var isClosed = false

  private static let isReady: Bool = curl_global_init(Int(CURL_GLOBAL_DEFAULT)) == CURLE_OK

  init(loop: EventLoop, options: HTTPClient.Options) {
    guard Self.isReady, let multi = curl_multi_init() else {
      preconditionFailure("libcurl does not start: there is no memory")
    }
    self.loop = loop
    self.options = options
    self.multi = multi
    timer = loop.restingTimer { [weak self] in self?.act(on: CURL_SOCKET_TIMEOUT, []) }
    // Unretained: close() frees the handle, and runs before the last reference goes.
    let owner = Unmanaged.passUnretained(self).toOpaque()
    hw_curl_multi_set_socket(multi) { _, socket, what, owner, _ in
      guard let owner else { return 0 }
      Unmanaged<CurlTransfers>.fromOpaque(owner)._withUnsafeGuaranteedRef { $0.watch(socket, what) }
      return 0
    }
    hw_curl_multi_set_pointer(multi, CURLMOPT_SOCKETDATA, owner)
    hw_curl_multi_set_timer(multi) { _, milliseconds, owner in
      guard let owner else { return 0 }
      Unmanaged<CurlTransfers>.fromOpaque(owner)._withUnsafeGuaranteedRef { $0.arm(milliseconds) }
      return 0
    }
    hw_curl_multi_set_pointer(multi, CURLMOPT_TIMERDATA, owner)
    hw_curl_multi_set_number(multi, CURLMOPT_MAX_HOST_CONNECTIONS, options.mostConnectionsPerHost)
    hw_curl_multi_set_number(multi, CURLMOPT_MAXCONNECTS, options.mostActive)
    hw_curl_multi_set_number(multi, CURLMOPT_PIPELINING, Int(CURLPIPE_MULTIPLEX))
  }

  deinit { precondition(isClosed, "transfers end with close()") }

  // MARK: Requests

  /// Takes a request, to be started now or when another has ended. The loop is held until it has ended.
  func add(_ transfer: Transfer) {
    loop.beginWork()
    transfer.deadlineMilliseconds = loop.nowMilliseconds &+ transfer.request.timeoutMilliseconds
    if transfer.call.isCancelled.load(ordering: .relaxed) {
      finish(transfer, .cancelled)
    } else if active.count < options.mostActive {
      start(transfer)
    } else {
      waiting.append(transfer)
      transfer.queueTimer = loop.schedule(afterMilliseconds: transfer.request.timeoutMilliseconds) {
        [weak self, unowned transfer] in
        self?.leaveQueue(transfer, .timedOut)
      }
    }
  }

  func cancel(_ call: HTTPCall) {
    if let transfer = waiting.first(where: { $0.call === call }) {
      leaveQueue(transfer, .cancelled)
    } else if let transfer = active.values.first(where: { $0.call === call }) {
      end(transfer, .cancelled)
      startWaiting()
    }
  }

  /// Ends everything; the last thing that is done with it.
  func close() {
    guard !isClosed else { return }
    isClosed = true
    for transfer in waiting { finish(transfer, .closed) }
    waiting = []
    for transfer in Array(active.values) { end(transfer, .closed) }
    // Closes kept connections, each with a "remove" for its watch.
    curl_multi_cleanup(multi)
    for watch in watches.values { watch.close() }
    watches = [:]
    timer?.cancel()
    timer = nil
  }

  private func start(_ transfer: Transfer) {
    transfer.queueTimer?.cancel()
    transfer.queueTimer = nil
    let now = loop.nowMilliseconds
    guard transfer.deadlineMilliseconds > now else { return finish(transfer, .timedOut) }
    guard transfer.open(options, timeoutMilliseconds: transfer.deadlineMilliseconds - now),
      let easy = transfer.easy
    else { return finish(transfer, .other) }
    active[ObjectIdentifier(transfer)] = transfer
    if curl_multi_add_handle(multi, easy) != CURLM_OK { end(transfer, .other) }
  }

  private func startWaiting() {
    while active.count < options.mostActive, !waiting.isEmpty { start(waiting.removeFirst()) }
  }

  private func leaveQueue(_ transfer: Transfer, _ code: HTTPClientError.Code) {
    waiting.removeAll { $0 === transfer }
    finish(transfer, code)
  }

  /// Takes a transfer that has not come to its end out of libcurl.
  private func end(_ transfer: Transfer, _ code: HTTPClientError.Code) {
    active[ObjectIdentifier(transfer)] = nil
    if let easy = transfer.easy { curl_multi_remove_handle(multi, easy) }
    finish(transfer, code)
  }

  private func finish(_ transfer: Transfer, _ code: HTTPClientError.Code) {
    finish(transfer, .failure(HTTPClientError(code, origin: transfer.origin)))
  }

  private func finish(_ transfer: Transfer, _ result: Result<HTTPResponse, HTTPClientError>) {
    transfer.queueTimer?.cancel()
    transfer.queueTimer = nil
    transfer.close()
    // Later, since this may be within a caller's own call, or before the transfers' state is whole again.
    let completion = transfer.completion
    loop.later { [loop] in
      completion(result)
      loop.endWork()
    }
  }

  // MARK: libcurl's events

  private func act(on socket: Int32, _ events: DescriptorEvents) {
    guard !isClosed else { return }
    var flags: Int32 = 0
    if events.contains(.readable) { flags |= CURL_CSELECT_IN }
    if events.contains(.writable) { flags |= CURL_CSELECT_OUT }
    if events.contains(.failed) { flags |= CURL_CSELECT_ERR }
    var running: Int32 = 0
    curl_multi_socket_action(multi, socket, flags, &running)
    takeFinished()
  }

  private func takeFinished() {
    var left: Int32 = 0
    var finished: [(Transfer, CURLcode)] = []
    while let message = curl_multi_info_read(multi, &left) {
      guard message.pointee.msg == CURLMSG_DONE, let easy = message.pointee.easy_handle,
        let transfer = Transfer.of(easy)
      else { continue }
      // The message is libcurl's and gone with the next call.
      finished.append((transfer, message.pointee.data.result))
    }
    for (transfer, code) in finished {
      let result = transfer.result(code)
      active[ObjectIdentifier(transfer)] = nil
      if let easy = transfer.easy { curl_multi_remove_handle(multi, easy) }
      finish(transfer, result)
    }
    if !finished.isEmpty { startWaiting() }
  }

  private func watch(_ socket: Int32, _ what: Int32) {
    guard what != CURL_POLL_REMOVE else {
      watches.removeValue(forKey: socket)?.close()
      return
    }
    var events: DescriptorEvents = []
    if what & CURL_POLL_IN != 0 { events.insert(.readable) }
    if what & CURL_POLL_OUT != 0 { events.insert(.writable) }
    if watches[socket] == nil {
      do throws(LoopError) {
        watches[socket] = try DescriptorWatch(loop: loop, descriptor: socket) { [weak self] events in
          self?.act(on: socket, events)
        }
      } catch {
        // Without a watch the transfers on it end by their time.
        return
      }
    }
    watches[socket]?.wait(for: events)
  }

  private func arm(_ milliseconds: Int) {
    if milliseconds < 0 { timer?.rest() } else { timer?.start(afterMilliseconds: UInt64(milliseconds)) }
  }
}
