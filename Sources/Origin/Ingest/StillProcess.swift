// One process of `headwater-media stills`, started before there is anything to do for it.
//
// Starting the program takes longer than decoding a picture, most of it for the linker. So it is started ahead: it reads
// its order from a socket, and until somebody writes one there it sits in its sandbox and costs some memory. It makes one
// order and ends; nothing of one asset is left where another one's bytes will be.

import CLinux
import FoundationEssentials
import Glibc
import Packaging

/// A process that waits for one order.
// @unchecked: one thread at a time has it; `StillStudio` hands it over under a lock.
final class StillProcess: @unchecked Sendable {
  /// What a picture may cost: address space of 1 GiB holds the largest that is allowed, with what decoding it needs.
  private static let arguments = [
    "stills", "--memory-bytes", "\(1 << 30)", "--cpu-seconds", "40", "--output-bytes", "\(256 << 20)",
  ]

  private let running: MediaProcess.Running
  /// The other end of its descriptor 3; -1 once the order is sent.
  private var orderSocket: Int32
  private let output: Int32
  private var isFinished = false

  /// - Throws: where the program is not installed or can't be started.
  init(_ program: MediaProcess) throws(MediaProcessError) {
    var ends: [Int32] = [-1, -1]
    guard socketpair(AF_UNIX, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0, &ends) == 0
    else {
      throw MediaProcess.notStarted(errno)
    }
    let memory = clinux_memory_file("stills")
    guard memory >= 0 else {
      let failure = errno
      for end in ends { close(end) }
      throw MediaProcess.notStarted(failure)
    }
    defer { close(ends[0]) }
    do throws(MediaProcessError) {
      running = try program.start(Self.arguments, inputs: [ends[0]], outputs: [memory])
    } catch {
      close(ends[1])
      close(memory)
      throw error
    }
    orderSocket = ends[1]
    output = memory
  }

  deinit {
    // Without an order it ends by itself when the socket closes; it is not waited for longer than that takes.
    if orderSocket >= 0 { close(orderSocket) }
    if !isFinished { _ = MediaProcess.finish(running, by: .now + .seconds(2)) }
    close(output)
  }

  /// Sends the order, and waits for what becomes of it.
  ///
  /// - Parameters:
  ///   - parts: the bytes of the order, piece by piece; nil ends it.
  /// - Returns: the report, and the pictures in its order.
  func make(
    limit: Duration, parts: (() -> [UInt8]?)
  ) throws(MediaProcessError) -> (report: StillReport, pictures: [[UInt8]]) {
    let deadline = ContinuousClock.now + limit
    while let part = parts() {
      // Why it does not take it is in its report, or in how it ended.
      guard send(part, by: deadline) else { break }
    }
    close(orderSocket)
    orderSocket = -1
    isFinished = true
    let run = MediaProcess.finish(running, by: deadline)
    guard run.hasEnded else {
      throw MediaProcessError(
        code: "media-program-timeout", message: "Decoding took too long and was given up.", log: run.log)
    }
    guard let report = run.decoded(as: StillReport.self) else {
      throw MediaProcessError(
        code: "media-program-failed", message: "The program that decodes pictures ended \(run.how).",
        log: run.log)
    }
    var pictures: [[UInt8]] = []
    var offset = 0
    for made in report.made {
      guard made.sizeBytes > 0, made.sizeBytes <= 64 << 20, let bytes = read(made.sizeBytes, at: offset)
      else {
        throw MediaProcessError(
          code: "media-program-failed",
          message: "The program that decodes pictures reported what it did not write.",
          log: run.log)
      }
      pictures.append(bytes)
      offset += made.sizeBytes
    }
    return (report, pictures)
  }

  private func send(_ bytes: [UInt8], by deadline: ContinuousClock.Instant) -> Bool {
    var done = 0
    while done < bytes.count {
      let count = bytes.withUnsafeBytes {
        Glibc.send(
          orderSocket, $0.baseAddress.map { $0 + done }, bytes.count - done,
          Int32(MSG_NOSIGNAL) | Int32(MSG_DONTWAIT))
      }
      if count > 0 {
        done += count
        continue
      }
      guard errno == EAGAIN || errno == EINTR else { return false }
      guard let wait = MediaProcess.milliseconds(until: deadline) else { return false }
      var polled = pollfd(fd: orderSocket, events: Int16(POLLOUT), revents: 0)
      poll(&polled, 1, wait)
    }
    return true
  }

  private func read(_ count: Int, at offset: Int) -> [UInt8]? {
    var bytes = [UInt8](repeating: 0, count: count)
    let found = bytes.withUnsafeMutableBytes { pread(output, $0.baseAddress, count, off_t(offset)) }
    return found == count ? bytes : nil
  }
}

/// The order as JSON.
enum StillOrderText {
  static func encode(_ order: StillOrder) throws -> [UInt8] { Array(try JSONEncoder().encode(order)) }
}
