// Sending a body of slices over a socket that takes what it can
//
// What leaves how:
//   - owned bytes, and small parts of blobs (mean slice below 32 KiB): gathered into one writev of up
//     to 256 pieces, the blob parts straight from a mapping of the file, read by the kernel alone. A
//     file that shrinks under the mapping therefore ends in EFAULT, never in a signal.
//   - larger parts of blobs: sendfile, at most 2 MiB a turn, so that no client keeps the loop.
//   - when the socket is full: the next 16 KiB are copied and queued with libuv, whose completion means
//     that there is room again. While that is queued nothing else is sent, so order is kept.
//
// Before file pages are sent it is asked whether they are in the page cache. If not, a worker reads them
// in and the loop goes on with other clients meanwhile: a cold disk never stalls a loop.
//
// A blob that turns out shorter than promised ends the connection: the client sees the truncation, and
// nothing is padded.

import Glibc
import Loop
import Store

final class Transfer {
  enum Outcome {
    case complete
    /// The socket is full: queue `nextChunk` and come back when it is written.
    case blocked
    /// The turn's budget is used up: come back in a later turn.
    case yielded
    /// These bytes are on disk only: read them in on a worker and come back.
    case cold(BlobFile, UInt64, Int)
    case failed
  }

  static let chunkBytes = 16 << 10
  static let turnBytes = 2 << 20
  static let gatherMeanBytes: UInt64 = 32 << 10
  static let maxVectors = 256

  /// What is left of the response head; sent before the slices.
  private var head: [UInt8]
  private var headSent = 0
  private let slices: [BodySlice]
  private var index = 0
  private var within: UInt64 = 0
  private let gathers: Bool

  /// What a full socket left over of an answer that was one piece.
  init(rest: UnsafeRawBufferPointer, from sent: Int) {
    head = Array(UnsafeRawBufferPointer(rebasing: rest[sent...]))
    slices = []
    gathers = false
  }

  init(slices: [BodySlice], lengthBytes: UInt64) {
    head = []
    self.slices = slices
    gathers = slices.count > 2 && lengthBytes / UInt64(slices.count) < Self.gatherMeanBytes
  }

  /// The first turn: `head` lies in the loop's output buffer and is gone after this call.
  func start(_ head: UnsafeRawBufferPointer, on socket: Socket, _ vectors: VectorTable) -> Outcome {
    var sent = 0
    if !gathers, case .blob? = slices.first?.source {
      switch socket.send(head, more: true) {
      case .sent(let count): sent = count
      case .wouldBlock: break
      case .failed: return .failed
      }
      if sent < head.count {
        self.head = Array(UnsafeRawBufferPointer(rebasing: head[sent...]))
        return .blocked
      }
      return advance(on: socket, vectors)
    }
    vectors.reset()
    vectors.append(head)
    switch gather(on: socket, vectors, headBytes: head.count) {
    case .success(let headTaken):
      if headTaken < head.count {
        self.head = Array(UnsafeRawBufferPointer(rebasing: head[headTaken...]))
        return .blocked
      }
      return vectors.wasTakenWhole ? advance(on: socket, vectors) : .blocked
    case .failure(let stop):
      if case .cold = stop.outcome { self.head = Array(head) }
      return stop.outcome
    }
  }

  /// Sends as much as the socket and the turn's budget allow.
  func advance(on socket: Socket, _ vectors: VectorTable) -> Outcome {
    var budget = Self.turnBytes
    while true {
      if headSent < head.count {
        let result = head.withUnsafeBytes {
          socket.send(UnsafeRawBufferPointer(rebasing: $0[headSent...]), more: index < slices.count)
        }
        guard case .sent(let count) = result else { return stopped(result) }
        headSent += count
        if headSent < head.count { return .blocked }
        head = []
        headSent = 0
      }
      guard index < slices.count else { return .complete }
      if budget <= 0 { return .yielded }
      let slice = slices[index]
      if !gathers, case .blob(let file) = slice.source {
        let count = Int(min(slice.count - within, UInt64(budget)))
        let offset = slice.offset + within
        if let cold = file.coldRange(offset: offset, count: count) {
          return .cold(file, cold.offset, cold.count)
        }
        let result = socket.sendFile(descriptor: file.descriptor, offset: Int64(offset), count: count)
        guard case .sent(let sent) = result else { return stopped(result) }
        if sent == 0 { return .failed }
        consume(UInt64(sent))
        budget -= sent
        if sent < count { return .blocked }
      } else {
        vectors.reset()
        switch gather(on: socket, vectors, headBytes: 0) {
        case .success:
          budget -= vectors.takenBytes
          if !vectors.wasTakenWhole { return .blocked }
        case .failure(let stop):
          return stop.outcome
        }
      }
    }
  }

  private struct Stop: Error { let outcome: Outcome }

  private func stopped(_ result: SendResult) -> Outcome {
    if case .wouldBlock = result { return .blocked }
    return .failed
  }

  /// One writev of what comes next. Returns how many of the head's bytes went out.
  private func gather(on socket: Socket, _ vectors: VectorTable, headBytes: Int) -> Result<Int, Stop> {
    var position = index
    var skip = within
    var coldest: (file: BlobFile, lower: UInt64, upper: UInt64)?
    while position < slices.count, vectors.count < Self.maxVectors, vectors.totalBytes < Self.turnBytes {
      let slice = slices[position]
      switch slice.source {
      case .bytes(let bytes):
        // The array is kept alive by `slices` for as long as this call lasts.
        bytes.withUnsafeBytes { base in
          vectors.append(
            UnsafeRawBufferPointer(rebasing: base[Int(slice.offset + skip)..<Int(slice.offset + slice.count)])
          )
        }
      case .blob(let file):
        if !gathers { break }
        guard let mapped = file.mapped(at: slice.offset + skip, count: Int(slice.count - skip)) else {
          return .failure(Stop(outcome: .failed))
        }
        vectors.append(mapped)
        let lower = slice.offset + skip
        let upper = slice.offset + slice.count
        if let known = coldest, known.file === file {
          coldest = (file, min(known.lower, lower), max(known.upper, upper))
        } else if coldest == nil {
          coldest = (file, lower, upper)
        }
      }
      if !gathers, case .blob = slice.source { break }
      position += 1
      skip = 0
    }
    if let window = coldest,
      let cold = window.file.coldRange(offset: window.lower, count: Int(window.upper - window.lower))
    {
      return .failure(Stop(outcome: .cold(window.file, cold.offset, cold.count)))
    }
    let result = socket.writev(vectors.buffer)
    guard case .sent(let sent) = result else {
      if case .wouldBlock = result {
        vectors.take(0)
        return .success(0)
      }
      return .failure(Stop(outcome: .failed))
    }
    vectors.take(sent)
    if sent > headBytes { consume(UInt64(sent - headBytes)) }
    return .success(min(sent, headBytes))
  }

  /// Copies what comes next into `buffer`, for a socket that is full.
  ///
  /// - Returns: the bytes copied, or the range that must be read in first, or nil when a blob is short.
  func nextChunk(into buffer: UnsafeMutableRawBufferPointer) -> ChunkOutcome {
    var filled = 0
    if headSent < head.count {
      let count = min(buffer.count, head.count - headSent)
      head.withUnsafeBytes {
        buffer.copyMemory(from: UnsafeRawBufferPointer(rebasing: $0[headSent..<headSent + count]))
      }
      headSent += count
      filled = count
      if headSent == head.count {
        head = []
        headSent = 0
      }
    }
    while filled < buffer.count, index < slices.count {
      let slice = slices[index]
      let count = Int(min(slice.count - within, UInt64(buffer.count - filled)))
      let target = UnsafeMutableRawBufferPointer(rebasing: buffer[filled..<filled + count])
      switch slice.source {
      case .bytes(let bytes):
        let from = Int(slice.offset + within)
        bytes.withUnsafeBytes {
          target.copyMemory(from: UnsafeRawBufferPointer(rebasing: $0[from..<from + count]))
        }
      case .blob(let file):
        let offset = slice.offset + within
        guard let read = file.readCached(offset: offset, into: target) else {
          if filled > 0 { return .bytes(filled) }
          return .cold(file, offset, count)
        }
        if read == 0 { return .failed }
        consume(UInt64(read))
        filled += read
        continue
      }
      consume(UInt64(count))
      filled += count
    }
    return filled == 0 ? .nothing : .bytes(filled)
  }

  enum ChunkOutcome {
    case bytes(Int)
    case nothing
    case cold(BlobFile, UInt64, Int)
    case failed
  }

  private func consume(_ count: UInt64) {
    var count = count
    while count > 0, index < slices.count {
      let left = slices[index].count - within
      if count < left {
        within += count
        return
      }
      count -= left
      index += 1
      within = 0
    }
  }
}

/// The pieces of one writev, in memory that a loop keeps for all of its transfers.
final class VectorTable {
  private let storage: UnsafeMutablePointer<IOVector>
  private(set) var count = 0
  private(set) var totalBytes = 0
  private(set) var takenBytes = 0

  init() { storage = .allocate(capacity: Transfer.maxVectors + 1) }
  deinit { storage.deallocate() }

  var buffer: UnsafeBufferPointer<IOVector> { UnsafeBufferPointer(start: storage, count: count) }
  var wasTakenWhole: Bool { takenBytes == totalBytes }

  func reset() {
    count = 0
    totalBytes = 0
    takenBytes = 0
  }

  func append(_ bytes: UnsafeRawBufferPointer) {
    guard bytes.count > 0 else { return }
    (storage + count).initialize(to: IOVector(bytes))
    count += 1
    totalBytes += bytes.count
  }

  func take(_ bytes: Int) { takenBytes = bytes }
}
