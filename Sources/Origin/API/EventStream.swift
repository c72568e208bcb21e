// `GET /api/v1/events`: what happens in a site, as server-sent events (HTML Living Standard §9.2)
//
//     id: 4711
//     event: asset.ready
//     data: {"sequence":4711,"at":"2026-05-01T12:00:00.000Z","subject":"film","generation":"9f2c…"}
//
// The log of the catalog is the source, and its sequence the id: who comes again with `Last-Event-ID` gets what he missed, as
// far as it is kept; a `gap` event says that some is not. Nothing is queued for a client. The connection asks for the
// next bytes when the ones before have been taken, and what is then read is what the log holds behind the last sequence: a
// slow client is only further behind, and one that takes nothing for the send timeout is ended.
//
// Jobs are told beside it, without an id; see `JobWatch`.
//
// A look at the log costs a renewed read transaction: no more while the index has not changed. That is four times a second for
// each stream that waits, as plugins follow it, because other processes write to it, too. Belongs to its loop.

import HTTP
import Loop
import Store

/// Where a stream of events begins and what it holds.
struct EventSubscription: Sendable {
  let site: String
  /// The sequence behind which it goes on; nil: what happens from now on.
  let after: UInt64?
}

final class EventStream {
  static let pollMilliseconds: UInt64 = 250
  static let heartbeatMilliseconds: UInt64 = 15_000
  /// Events that are read at a time, of all sites.
  private static let batch = 256
  /// Streams of one loop: each holds a connection for as long as its client likes.
  static let mostOfLoop = 64

  private let owner: OriginLoop
  private let subscription: EventSubscription
  /// How its connection frames it.
  let isChunked: Bool
  private let jobs: JobWatch
  private var sequence: UInt64 = 0
  private var transaction: UInt64 = 0
  private var hasBegun = false
  private var hasEnded = false
  private var heartbeatDueMilliseconds: UInt64

  /// - Parameter owner: counts it until `end()`.
  init(_ subscription: EventSubscription, on owner: OriginLoop, isChunked: Bool = false) {
    self.owner = owner
    self.isChunked = isChunked
    self.subscription = subscription
    jobs = JobWatch(site: subscription.site, queue: owner.server.jobs, loop: owner.loop)
    heartbeatDueMilliseconds = owner.loop.nowMilliseconds + Self.heartbeatMilliseconds
    owner.eventStreams += 1
  }

  func end() {
    if hasEnded { return }
    hasEnded = true
    owner.eventStreams -= 1
  }

  /// Hands over the next bytes, at once or when there are some; nil where the stream ends. Nothing after `end()`.
  ///
  /// - Parameter whileWaiting: called now and then until then.
  func next(whileWaiting: @escaping () -> Void, _ ready: @escaping ([UInt8]?) -> Void) {
    if hasEnded { return }
    if owner.isDraining { return ready(nil) }
    var bytes: [UInt8]
    do throws(StoreError) { bytes = try read() } catch {
      owner.log(Problem(error), nil)
      return ready(nil)
    }
    bytes += jobs.take()
    let now = owner.loop.nowMilliseconds
    if !bytes.isEmpty || now >= heartbeatDueMilliseconds {
      heartbeatDueMilliseconds = now + Self.heartbeatMilliseconds
      return ready(bytes.isEmpty ? Array(":\n\n".utf8) : bytes)
    }
    whileWaiting()
    owner.loop.schedule(afterMilliseconds: Self.pollMilliseconds) {
      self.next(whileWaiting: whileWaiting, ready)
    }
  }

  /// What the log holds behind the last sequence, of this site; empty where that is nothing.
  private func read() throws(StoreError) -> [UInt8] {
    let reader = owner.context.reader
    let transaction = try reader.renew()
    defer { reader.end() }
    if hasBegun, transaction == self.transaction { return [] }
    var bytes: [UInt8] = []
    if !hasBegun {
      hasBegun = true
      // Tells clients how soon to come again, and proxies that there is an answer.
      bytes += "retry: 2000\n\n".utf8
      let head = try reader.eventsHead()
      sequence = min(subscription.after ?? head, head)
      if let after = subscription.after, after > head { bytes += Self.gap(after: after) }
    }
    let events = try reader.events(after: sequence, limit: Self.batch)
    if let first = events.first, first.sequence > sequence + 1 { bytes += Self.gap(after: sequence) }
    for event in events where event.site == subscription.site { bytes += Self.text(of: event) }
    sequence = events.last?.sequence ?? sequence
    // A full batch may not be all: look again although nothing was written since.
    self.transaction = events.count < Self.batch ? transaction : 0
    return bytes
  }

  private static func gap(after sequence: UInt64) -> [UInt8] {
    var json = JSONWriter()
    json.object { $0.member("after", sequence) }
    return Array("event: gap\ndata: ".utf8) + json.bytes + Array("\n\n".utf8)
  }

  static func name(_ kind: EventKind) -> String {
    switch kind {
    case .assetReady: "asset.ready"
    case .assetUpdated: "asset.updated"
    case .generationReplaced: "asset.replaced"
    case .assetRemoved: "asset.removed"
    case .filePublished: "file.published"
    case .fileRemoved: "file.removed"
    }
  }

  private static func text(of event: Event) -> [UInt8] {
    var json = JSONWriter()
    json.object { json in
      json.member("sequence", event.sequence)
      json.member("at", AccessRecord.iso8601(event.atMilliseconds))
      json.member("subject", event.subject)
      json.member("generation", event.generation?.hex)
      json.member("previous", event.previous?.hex)
    }
    return Array("id: \(event.sequence)\nevent: \(name(event.kind))\ndata: ".utf8) + json.bytes
      + Array("\n\n".utf8)
  }
}
