// Sending a body of slices over a socket that takes what it can
//
// What leaves how:
//   - owned bytes, and small parts of blobs (mean slice below 32 KiB): gathered into one writev of up
//     to 256 pieces, the blob parts straight from a mapping of the file, read by the kernel alone. A
//     file that shrinks under the mapping therefore ends in EFAULT, never in a signal.
//   - larger parts of blobs: sendfile, at most 2 MiB a turn, so that no client keeps the loop.
//   - a part taken means that the socket is full: the transfer waits until the kernel says that a good part of the
//     socket's buffer is free, instead of pressing on by the packet.
//
// The head of a large body is held back (MSG_MORE) until the file's first bytes are there. A packet of its own would wake
// the client for a few hundred bytes, and what follows would be cut at other places than the kernel's own chunks: answers
// of 1 MiB go out 1.4 times as often this way. Below `heldHeadBytes` the wait costs more than the packet, and among many
// clients, whose sockets are full most of the time, nothing is gained for what it costs the server.
//
// Many large parts (a segment of a file whose picture and sound alternate) would leave as many small packets;
// the socket is corked meanwhile, so that the kernel fills them.
//
// A socket with a layer (TLS) has to see the bytes: they are put together in the loop's buffer, 64 KiB at a time.
//
// Where the kernel can do the layer's work, the rest of a body that is worth it leaves as over a plain socket, and so does all
// that follows on the connection.
//
// A part that is yet to be made is made by a worker when its turn comes; what a long body of such parts (a file of
// all segments) keeps in memory is the one being sent.
//
// Before file pages are sent it is asked whether they are in the page cache, for a window of up to 2 MiB over the
// slices to come. If not, a worker reads them in and the loop goes on with other clients meanwhile: a cold disk never
// stalls a loop. What was just read in is sent without asking again, so memory that is short can slow a transfer
// down, but never make it turn on the spot.
//
// A blob that turns out shorter than promised ends the connection: the client sees the truncation, and
// nothing is padded.

import Glibc
import Loop
import Store

final class Transfer {
  enum Outcome {
    case complete
    /// The socket is full: come back when it takes output again.
    case blocked
    /// The turn's budget is used up: come back in a later turn.
    case yielded
    /// These bytes are on disk only: read them in on a worker and come back.
    case cold(BlobFile, UInt64, Int)
    /// The next part of the body is yet to be made: do so on a worker, hand it to `supply` and come back.
    case unmade(any DeferredBody)
    case failed
    /// A file holds less than was promised. The connection ends as with `failed`, and open files are forgotten.
    case damaged
  }

  static let turnBytes = 2 << 20
  static let gatherMeanBytes: UInt64 = 32 << 10
  static let maxVectors = 256
  /// The shortest body whose head waits for it, and with how many connections on the loop it still does.
  static let heldHeadBytes: UInt64 = 256 << 10
  static let heldHeadConnections = 256
  /// The shortest body for which it pays to have the kernel do a layer's work.
  static let passByBytes: UInt64 = 256 << 10
  /// How far apart in a file the parts of one writev may lie.
  static let gatherSpanBytes: UInt64 = 8 << 20

  /// What is left of the response head; sent before the slices.
  private var head: [UInt8]
  private var headSent = 0
  private var body: BodyCursor
  private var gathers: Bool
  private let corks: Bool
  private let holdsHead: Bool
  /// Whether the layer has yet to be asked to let output pass by.
  private var mayPassBy = false
  /// What this answer alone keeps in memory: the rest of its head, and parts that were made for it.
  var ownedBytes: Int { head.count + suppliedBytes }
  private var suppliedBytes = 0
  /// Bytes that the kernel has taken, the head's included.
  private(set) var sentBytes: UInt64 = 0
  private var isCorked = false

  /// What a full socket left over of an answer that was one piece.
  init(rest: UnsafeRawBufferPointer, from sent: Int, residency: ResidencyTable) {
    head = Array(UnsafeRawBufferPointer(rebasing: rest[sent...]))
    sentBytes = UInt64(sent)
    body = BodyCursor([], residency: residency)
    gathers = false
    corks = false
    holdsHead = false
  }

  /// - Parameter connections: how many the loop has.
  init(slices: [BodySlice], lengthBytes: UInt64, connections: Int, residency: ResidencyTable) {
    head = []
    body = BodyCursor(slices, residency: residency)
    gathers = Self.gathers(slices, lengthBytes)
    corks = slices.count > 2 && !gathers
    holdsHead = lengthBytes >= Self.heldHeadBytes && connections <= Self.heldHeadConnections
    mayPassBy = lengthBytes >= Self.passByBytes
  }

  private static func gathers(_ slices: [BodySlice], _ lengthBytes: UInt64) -> Bool {
    slices.count > 2 && lengthBytes / UInt64(slices.count) < gatherMeanBytes
  }

  /// Puts what was made in the place of the part that `unmade` named. False when it is not as long as promised.
  func supply(_ made: [BodySlice]) -> Bool {
    guard let lengthBytes = body.supply(made) else { return false }
    gathers = Self.gathers(made, lengthBytes)
    suppliedBytes = made.reduce(0) { count, slice in
      guard case .bytes(let bytes) = slice.source else { return count }
      return count + bytes.count
    }
    return true
  }

  /// The first turn: `head` lies in the loop's output buffer and is gone after this call.
  func start(_ head: UnsafeRawBufferPointer, on socket: Socket, _ vectors: VectorTable) -> Outcome {
    if socket.outputIsLayered { return stage(on: socket, vectors, behind: head.count) }
    if corks { cork(socket) }
    var headTaken = 0
    var next: Outcome?
    if !gathers, case .blob? = body.current?.source {
      switch socket.send(head, more: holdsHead) {
      case .sent(let count): headTaken = count
      case .wouldBlock: break
      case .failed: return .failed
      }
    } else {
      vectors.reset()
      vectors.append(head)
      switch gather(on: socket, vectors, headBytes: head.count) {
      case .sent(let count):
        headTaken = count
        if !vectors.wasTakenWhole { next = .blocked }
      case .stopped(let outcome): next = outcome
      }
    }
    sentBytes += UInt64(headTaken)
    if headTaken < head.count {
      self.head = Array(UnsafeRawBufferPointer(rebasing: head[headTaken...]))
      if next == nil { next = .blocked }
    }
    return next ?? advance(on: socket, vectors)
  }

  /// A new turn: sends as much as the socket and the turn's budget allow.
  ///
  /// - Parameter fetched: the bytes that the last turn asked for have been read in.
  func resume(on socket: Socket, _ vectors: VectorTable, fetched: Bool) -> Outcome {
    // What was in memory a turn ago need not be so now; what was fetched for this turn is used in any case.
    if !fetched { body.forgetResidency() }
    if socket.outputIsLayered { return stage(on: socket, vectors, behind: 0) }
    return advance(on: socket, vectors)
  }

  private func advance(on socket: Socket, _ vectors: VectorTable) -> Outcome {
    var budget = Self.turnBytes
    while true {
      if headSent < head.count {
        let result = head.withUnsafeBytes {
          socket.send(UnsafeRawBufferPointer(rebasing: $0[headSent...]), more: !body.isAtEnd)
        }
        guard case .sent(let count) = result else { return stopped(result) }
        headSent += count
        sentBytes += UInt64(count)
        if headSent < head.count { return .blocked }
        head = []
        headSent = 0
      }
      guard let slice = body.current else {
        if isCorked { socket.cork(false) }
        return .complete
      }
      if budget <= 0 { return .yielded }
      if case .deferred(let deferred) = slice.source { return .unmade(deferred) }
      if !gathers, case .blob(let file) = slice.source {
        let wanted = min(slice.count, UInt64(budget))
        let ready = body.readyBytes(of: file, at: slice.offset)
        if ready == 0 { return cold(file, slice.offset, Int(min(wanted, BodyCursor.fetchBytes))) }
        let count = Int(min(wanted, ready))
        let result = socket.sendFile(
          descriptor: file.descriptor, offset: Int64(slice.offset), count: count)
        guard case .sent(let sent) = result else { return stopped(result) }
        if sent == 0 { return .damaged }
        consume(UInt64(sent))
        budget -= sent
        if sent < count { return .blocked }
      } else {
        vectors.reset()
        switch gather(on: socket, vectors, headBytes: 0) {
        case .sent:
          budget -= vectors.takenBytes
          if !vectors.wasTakenWhole { return .blocked }
        case .stopped(let outcome): return outcome
        }
      }
    }
  }

  private func stopped(_ result: SendResult) -> Outcome {
    if case .wouldBlock = result { return .blocked }
    return .failed
  }

  private func cork(_ socket: Socket) {
    socket.cork(true)
    isCorked = true
  }

  /// Has bytes read in, and trusts that they are there when the transfer is resumed.
  private func cold(_ file: BlobFile, _ offset: UInt64, _ count: Int) -> Outcome {
    body.expect(file, offset, count)
    return .cold(file, offset, count)
  }

  private func consume(_ count: UInt64) {
    sentBytes += count
    body.consume(count)
  }

  // MARK: Through a layer

  /// Puts bytes together in the loop's staging buffer and hands them to the socket's layer, until that has a backlog.
  ///
  /// - Parameter headBytes: how many bytes of a head lie in the buffer already.
  private func stage(on socket: Socket, _ vectors: VectorTable, behind headBytes: Int) -> Outcome {
    var budget = Self.turnBytes
    var headBytes = headBytes
    while !socket.hasBacklog {
      if headSent < head.count {
        // What was left of a small answer: of all bytes or none.
        guard case .sent(let count) = head.withUnsafeBytes({ socket.send($0) }) else { return .failed }
        sentBytes += UInt64(count)
        head = []
        continue
      }
      let room = UnsafeMutableRawBufferPointer(rebasing: vectors.staging[headBytes...])
      var next: Outcome?
      var count = 0
      switch body.ready(upTo: room.count) {
      case .bytes(let ready):
        guard body.take(into: UnsafeMutableRawBufferPointer(rebasing: room[..<ready])) else {
          return .damaged
        }
        count = ready
      case .cold(let file, let offset, let wanted): next = .cold(file, offset, wanted)
      case .unmade(let deferred): next = .unmade(deferred)
      }
      if headBytes + count > 0 {
        let bytes = UnsafeRawBufferPointer(rebasing: vectors.staging[..<(headBytes + count)])
        guard case .sent = socket.send(bytes) else { return .failed }
        sentBytes += UInt64(bytes.count)
        headBytes = 0
        budget -= bytes.count
        if mayPassBy, !socket.hasBacklog {
          mayPassBy = false
          // What has been found to be in memory is what comes next.
          if next == nil, socket.passLayerBy() { return advance(on: socket, vectors) }
        }
      }
      if let next { return next }
      if body.isAtEnd { return socket.hasBacklog ? .blocked : .complete }
      if budget <= 0 { return .yielded }
    }
    return .blocked
  }

  // MARK: Gathering

  private enum Gathered {
    /// How many of the head's bytes went out; what else did is consumed.
    case sent(Int)
    case stopped(Outcome)
  }

  /// One writev of what comes next.
  private func gather(on socket: Socket, _ vectors: VectorTable, headBytes: Int) -> Gathered {
    var position = body.index
    var skip = body.within
    var window: BodyCursor.Window?
    collecting: while position < body.slices.count, vectors.count < Self.maxVectors,
      vectors.totalBytes < Self.turnBytes
    {
      let slice = body.slices[position]
      let lower = slice.offset + skip
      let upper = slice.offset + slice.count
      switch slice.source {
      case .bytes(let bytes):
        // The array is kept alive by `body` for as long as this call lasts.
        bytes.withUnsafeBytes {
          vectors.append(UnsafeRawBufferPointer(rebasing: $0[Int(lower)..<Int(upper)]))
        }
      case .blob(let file):
        guard gathers else { break collecting }
        var span = BodyCursor.Window(file: file, lower: lower, upper: upper)
        if let window {
          span = BodyCursor.Window(
            file: file, lower: min(window.lower, lower), upper: max(window.upper, upper))
          guard window.file === file, span.upper - span.lower <= Self.gatherSpanBytes else {
            break collecting
          }
        }
        guard let mapped = file.mapped(at: lower, count: Int(upper - lower)) else {
          // Outside of the file, or no address space is left for it: then it goes without a mapping.
          guard upper <= file.sizeBytes else { return .stopped(.damaged) }
          gathers = false
          break collecting
        }
        vectors.append(mapped)
        window = span
      case .deferred:
        break collecting
      }
      position += 1
      skip = 0
    }
    if let window, !body.isReady(window) {
      return .stopped(cold(window.file, window.lower, Int(window.upper - window.lower)))
    }
    switch socket.writev(vectors.buffer, more: position < body.slices.count) {
    case .failed: return .stopped(.failed)
    case .wouldBlock:
      vectors.take(0)
      return .sent(0)
    case .sent(let sent):
      vectors.take(sent)
      if sent > headBytes { consume(UInt64(sent - headBytes)) }
      return .sent(min(sent, headBytes))
    }
  }
}

/// The pieces of one writev, and memory to put bytes together in, which a loop keeps for all of its transfers.
final class VectorTable {
  /// The loop's output buffer, where a response head lies at the first turn.
  let staging: UnsafeMutableRawBufferPointer
  private let storage: UnsafeMutablePointer<IOVector>
  private(set) var count = 0
  private(set) var totalBytes = 0
  private(set) var takenBytes = 0

  /// - Parameter staging: outlives this object.
  init(staging: UnsafeMutableRawBufferPointer) {
    self.staging = staging
    storage = .allocate(capacity: Transfer.maxVectors + 1)
  }
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
