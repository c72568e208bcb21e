// The body of a call while it arrives
//
//   text     gathered in memory, up to the call's limit; the budget of all connections knows of it
//   stream   handed to a worker in pieces, one piece at a time. What comes meanwhile is gathered; with `queueBytes` of that
//            the connection stops reading (HTTP/1.1) or gives the client no more window (HTTP/2), until the worker is done
//
// Belongs to its connection's loop. It never answers: it tells its receiver that the body is there, or why it won't be.

import HTTP
import Loop

/// The connection or the stream whose request's body it is.
protocol BodyReceiver: AnyObject {
  /// After `.full`: there is room again.
  func bodyHasRoom()
  /// After the end: all of it has been taken.
  func bodyIsComplete()
  /// It could not be taken. Nothing else comes after this.
  func bodyFailed(_ problem: Problem)
}

final class RequestReception {
  enum Step {
    case more
    /// Give no more until `bodyHasRoom()`.
    case full
    case over
    case failed(Problem)
  }

  static let queueBytes = 1 << 20
  /// A streamed body must bring so much within each send timeout: no client holds a connection by trickling.
  static let progressBytes = 64 << 10

  let call: APICall
  /// Of HTTP/1, for the answer.
  let head: [UInt8]
  private let owner: OriginLoop
  private weak var receiver: (any BodyReceiver)?
  private var framing: IncomingBody?
  private let mostBytes: UInt64
  private let stream: (any APIBodyStream)?
  private var gathered: [UInt8] = []
  private var writingBytes = 0
  private(set) var totalBytes: UInt64 = 0
  private var hasEnded = false
  private var isFull = false
  private var hasFailed = false

  /// - Parameter framing: nil where somebody else tells the end.
  init(
    _ call: APICall, head: [UInt8] = [], framing: IncomingBody?, for receiver: any BodyReceiver,
    on owner: OriginLoop
  ) {
    self.call = call
    self.head = head
    self.framing = framing
    self.receiver = receiver
    self.owner = owner
    switch call.route.body {
    case .none: (mostBytes, stream) = (0, nil)
    case .text(_, let most), .optionalText(_, let most): (mostBytes, stream) = (UInt64(most), nil)
    case .stream(let most, let open): (mostBytes, stream) = (most, open(call.request))
    }
  }

  var isStreamed: Bool { stream != nil }
  var heldBytes: Int { head.count + gathered.count + writingBytes }
  var isComplete: Bool { hasEnded && !hasFailed && writingBytes == 0 && (stream == nil || gathered.isEmpty) }

  var body: APIRequest.Body {
    if let stream { return .stream(stream, lengthBytes: totalBytes) }
    if case .none = call.route.body { return .none }
    return .bytes(gathered)
  }

  /// Takes what belongs to the body away from the front of `bytes`.
  func take(_ bytes: inout UnsafeRawBufferPointer) -> Step {
    guard var framing else { return .over }
    defer { self.framing = framing }
    while true {
      switch framing.next(&bytes) {
      case .needsMore: return isFull ? .full : .more
      case .data(let data):
        if let problem = add(data) { return .failed(problem) }
      case .finished:
        end()
        return .over
      case .failed(let error):
        hasFailed = true
        return .failed(Problem(error))
      }
    }
  }

  /// Takes a piece of the body. The problem, where it is too long or there is no memory for it.
  func add(_ data: UnsafeRawBufferPointer) -> Problem? {
    guard !hasFailed, !hasEnded else { return nil }
    totalBytes += UInt64(data.count)
    if totalBytes > mostBytes { return fail(.bodyTooLong(mostBytes)) }
    if owner.counters.heldBytes.value + UInt64(data.count) > owner.limits.memoryBytes {
      // Its head, which may have named the client, is no longer the one that is parsed.
      owner.note(.memory, of: nil)
      return fail(.overloaded)
    }
    gathered.append(contentsOf: data)
    guard stream != nil else { return nil }
    if gathered.count >= Self.queueBytes { isFull = true }
    return writeOut() ? nil : fail(.overloaded)
  }

  /// Whether the last piece that was added should be the last one for now.
  var wantsPause: Bool { isFull }

  /// All of it has arrived. False where that was said before.
  @discardableResult
  func end() -> Bool {
    defer { hasEnded = true }
    return !hasEnded
  }

  private func fail(_ problem: Problem) -> Problem {
    hasFailed = true
    gathered = []
    var problem = problem
    problem.closesConnection = true
    return problem
  }

  /// Hands what is gathered to a worker, unless one is at work already. False where too much waits for workers.
  private func writeOut() -> Bool {
    guard let stream, writingBytes == 0, !gathered.isEmpty else { return true }
    let bytes = gathered
    gathered = []
    writingBytes = bytes.count
    let work: @Sendable () -> Problem? = {
      do throws(Problem) {
        try stream.write(bytes)
        return nil
      } catch { return error }
    }
    return owner.server.workers.submit(work, on: owner.loop) { self.wrote($0) }
  }

  private func wrote(_ problem: Problem?) {
    writingBytes = 0
    guard !hasFailed else { return }
    if let problem {
      receiver?.bodyFailed(fail(problem))
    } else if !writeOut() {
      receiver?.bodyFailed(fail(.overloaded))
    } else if isComplete {
      receiver?.bodyIsComplete()
    } else if isFull, !hasEnded {
      isFull = false
      receiver?.bodyHasRoom()
    }
  }
}
