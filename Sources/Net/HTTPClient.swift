// An HTTP client on one event loop
//
//     task ── response(to:) ──►  HTTPClient  ── execute ──►  CurlTransfers  ── socket_action ──►  libcurl
//                 ▲                  │                       (on the loop)   ◄── socket, timer ──
//                 └── continuation ──┴──── completion ◄───────────┘
//
// Any thread may ask; all of libcurl happens on the client's loop, which never waits for it: libcurl says which sockets and
// which time it waits for, the loop watches them, and names are resolved by libcurl's own threads. What is asked is
// bounded: so many requests at a time, so many that wait for a turn, and no more.
//
// Nothing of the environment is used: no proxy, no .netrc, no cookies, no credentials from elsewhere.

public import Loop
internal import Synchronization

/// Makes requests to HTTP servers (1.1, and 2 over TLS), keeping connections for later requests.
///
/// ```swift
/// let client = HTTPClient(loop: loop, options: HTTPClient.Options())
/// let response = try await client.response(to: HTTPRequest("GET", "https://keys.example.com/film"))
/// ```
/// It ends with ``close()`` or with its loop, and requests that are under way then fail; or when nobody refers to it any more,
/// requests included. Tries once: when to try again is the caller's to say, with ``Backoff`` for the wait.
public final class HTTPClient: Sendable {
  public struct Options: Sendable, Hashable {
    /// Which addresses may be connected to.
    public var addresses = AddressPolicy.publicOnly
    /// A PEM file of the certification authorities that are trusted; nil: those of the system.
    public var certificateAuthoritiesPath: String?
    /// Requests at work at a time, at least 1.
    public var mostActive = 64
    /// Requests that wait for one of those to end.
    public var mostWaiting = 256
    /// Connections to one host and port, at least 1; HTTP/2 puts many requests on one.
    public var mostConnectionsPerHost = 16
    /// Sent unless a request has the field itself.
    public var userAgent = "headwater"

    public init() {}
  }

  private let loop: EventLoop
  private let options: Options
  private let engine: LoopOwned<CurlTransfers>
  /// Requests that were taken and have not ended.
  private let held = Atomic<Int>(0)

  /// Cheap: nothing is opened before the first request. May be called from any thread.
  public init(loop: EventLoop, options: Options = Options()) {
    precondition(
      options.mostActive >= 1 && options.mostWaiting >= 0 && options.mostConnectionsPerHost >= 1,
      "an HTTP client needs room for a request")
    self.loop = loop
    self.options = options
    engine = LoopOwned(loop: loop) { CurlTransfers(loop: loop, options: options) }
  }

  deinit { close() }

  /// Sends the request and waits for the whole answer; cancelling the task ends the transfer.
  ///
  /// Resumes on the caller's executor. The loop must not have ended.
  /// - Throws: ``HTTPClientError``; any status is an answer and no error.
  public nonisolated(nonsending) func response(
    to request: HTTPRequest
  ) async throws(HTTPClientError) -> HTTPResponse {
    let call = HTTPCall()
    let result = await withTaskCancellationHandler {
      await withUnsafeContinuation { continuation in
        send(request, call) { continuation.resume(returning: $0) }
      }
    } onCancel: {
      cancel(call)
    }
    return try result.get()
  }

  /// The same for callers without a task. May be called from any thread.
  ///
  /// - Parameter completion: called once, on the client's loop.
  /// - Returns: what ``cancel(_:)`` takes.
  @discardableResult
  public func send(
    _ request: HTTPRequest,
    then completion: @escaping @Sendable (Result<HTTPResponse, HTTPClientError>) -> Void
  ) -> HTTPCall {
    let call = HTTPCall()
    send(request, call, completion)
    return call
  }

  /// Ends a request with ``HTTPClientError/Code/cancelled``, unless it has ended. May be called from any thread.
  public func cancel(_ call: HTTPCall) {
    guard !call.isCancelled.exchange(true, ordering: .relaxed) else { return }
    loop.execute { [engine] in engine.opened?.cancel(call) }
  }

  /// Ends all requests with ``HTTPClientError/Code/closed`` and all connections; further requests fail. May be called from
  /// any thread, and more than once.
  public func close() {
    loop.execute { [engine] in engine.close() }
  }

  private func send(
    _ request: HTTPRequest, _ call: HTTPCall,
    _ completion: @escaping @Sendable (Result<HTTPResponse, HTTPClientError>) -> Void
  ) {
    let origin = HTTPClientError.origin(of: request.url)
    // Counted here, so that what waits in the loop's own queue is bounded too.
    let isTaken = held.add(1, ordering: .relaxed).oldValue < options.mostActive + options.mostWaiting
    loop.execute { [engine, self] in
      let end: (Result<HTTPResponse, HTTPClientError>) -> Void = { result in
        self.held.subtract(1, ordering: .relaxed)
        completion(result)
      }
      guard isTaken else { return end(.failure(HTTPClientError(.overloaded, origin: origin))) }
      if let complaint = request.complaint {
        return end(.failure(HTTPClientError(.requestInvalid, origin: origin, detail: complaint)))
      }
      guard let transfers = engine.open() else {
        return end(.failure(HTTPClientError(.closed, origin: origin)))
      }
      transfers.add(Transfer(call: call, request: request, completion: end))
    }
  }
}

/// A request under way, for ``HTTPClient/cancel(_:)``.
public final class HTTPCall: Sendable {
  let isCancelled = Atomic<Bool>(false)

  init() {}
}
