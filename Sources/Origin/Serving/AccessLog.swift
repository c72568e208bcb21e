// The access log: a line for each finished exchange, as JSON or in the combined format.
//
// Lines are made on the loop, gathered, and written by one thread of their own in order, so a slow disk
// or a full pipe never holds a request up. The backlog is bounded; lines beyond it are counted and lost.
// SIGHUP reopens the file, for log rotation. Values of query parameters that carry signatures are
// replaced before they are kept.

import Glibc
public import HTTP
import Loop
import Store
import Synchronization

/// One finished exchange, as log handlers get it.
public struct AccessRecord: Sendable {
  public var site: String?
  public var startedMilliseconds: Int64
  public var durationMicroseconds: UInt64
  /// The client's: where the connection comes from `trusted_proxies`, the one that these say.
  public var remoteAddress: String
  public var method: String
  /// Path and query as received, with the values of signature parameters replaced.
  public var target: [UInt8]
  public var host: [UInt8]
  public var versionMajor: UInt8
  public var versionMinor: UInt8
  /// Nil on a plain connection.
  public var tls: TLSVersion?
  public var status: UInt16
  /// Bytes handed to the kernel, heads included.
  public var sentBytes: UInt64
  /// False when the connection ended before the last byte of the answer.
  public var isComplete = true
  public var kind: AnswerKind
  public var requestID: [UInt8]
  public var range: [UInt8]?
  public var referer: [UInt8]?
  public var userAgent: [UInt8]?
  /// The request's W3C trace context, where it is valid.
  public var traceparent: [UInt8]?
  /// What the player said about its playback.
  public var cmcd: CMCD?
}

final class AccessLog: Sendable {
  enum Format: Sendable, Equatable { case json, combined }

  static let backlogBytes = 8 << 20
  let format: Format
  let path: String
  private struct Backlog {
    var bytes: [UInt8] = []
    var isStopped = false
    var lost: UInt64 = 0
    var reopen = false
  }
  private let backlog = Mutex(Backlog())
  private let wake: Semaphore
  private let thread = Mutex<NamedThread?>(nil)

  /// - Parameter path: `-` for standard output.
  init(path: String, format: Format) throws(StoreError) {
    self.path = path
    self.format = format
    wake = Semaphore()
    let descriptor = try Self.open(path)
    let thread: NamedThread
    do throws(LoopError) {
      thread = try NamedThread(name: "hw-access-log") { [self] in write(to: descriptor) }
    } catch {
      throw StoreError(.io, operation: "start access log", underlying: error.errno, message: "\(error)")
    }
    self.thread.withLock { $0 = thread }
  }

  func append(_ record: AccessRecord) {
    var line: [UInt8] = []
    line.reserveCapacity(320)
    switch format {
    case .json: record.appendJSON(to: &line)
    case .combined: record.appendCombined(to: &line)
    }
    let isFirst = backlog.withLock { backlog in
      guard backlog.bytes.count + line.count <= Self.backlogBytes else {
        backlog.lost += 1
        return false
      }
      let wasEmpty = backlog.bytes.isEmpty
      backlog.bytes.append(contentsOf: line)
      return wasEmpty
    }
    if isFirst { wake.signal() }
  }

  var lostLines: UInt64 { backlog.withLock { $0.lost } }

  func reopen() {
    backlog.withLock { $0.reopen = true }
    wake.signal()
  }

  /// Writes what is left and ends the thread.
  func close() {
    backlog.withLock { $0.isStopped = true }
    wake.signal()
    thread.withLock { $0 }?.join()
  }

  private static func open(_ path: String) throws(StoreError) -> Int32 {
    if path == "-" { return 1 }
    let descriptor = Glibc.open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o644)
    guard descriptor >= 0 else {
      let failure = errno
      throw StoreError(
        .io, operation: "open access log", underlying: failure,
        message: "the access log can't be opened: check its folder", context: path)
    }
    return descriptor
  }

  private func write(to first: Int32) {
    var descriptor = first
    while true {
      wake.wait()
      let (bytes, stopped, reopen) = backlog.withLock { backlog in
        defer {
          backlog.bytes = []
          backlog.reopen = false
        }
        return (backlog.bytes, backlog.isStopped, backlog.reopen)
      }
      bytes.withUnsafeBytes { buffer in
        var sent = 0
        while sent < buffer.count {
          let count = Glibc.write(descriptor, buffer.baseAddress! + sent, buffer.count - sent)
          if count < 0 && errno == EINTR { continue }
          if count <= 0 { break }
          sent += count
        }
      }
      if reopen, path != "-", let fresh = try? Self.open(path) {
        Glibc.close(descriptor)
        descriptor = fresh
      }
      if stopped { break }
    }
    if descriptor != 1 { Glibc.close(descriptor) }
  }
}

/// A counting semaphore of the C library: `sem_t` at a fixed address.
// The pointer is constant and sem_post and sem_wait may be called from any thread.
final class Semaphore: @unchecked Sendable {
  private let semaphore: UnsafeMutablePointer<sem_t>

  init() {
    semaphore = .allocate(capacity: 1)
    sem_init(semaphore, 0, 0)
  }

  deinit {
    sem_destroy(semaphore)
    semaphore.deallocate()
  }

  func signal() { sem_post(semaphore) }

  func wait() { while sem_wait(semaphore) != 0 && errno == EINTR {} }
}
