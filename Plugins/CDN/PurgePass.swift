import Logging
import Net
import Origin
import Store

/// One go at entries: their calls, a few at a time, and what becomes of each entry.
///
/// An entry is done when all of its calls are. At the first failure that concerns the whole edge no further call is made, and entries
/// without an answer stay as they are.
struct PurgePass {
  private let entries: [EdgeQueue.Entry]
  /// Calls that are open, by the sequence of the entry.
  private var open: [UInt64: Int] = [:]
  private var refused: [UInt64: String] = [:]
  private var failed: [UInt64: String] = [:]
  /// Why the edge is to be left alone for a while, and how long at least.
  private(set) var trouble: (reason: String, afterMilliseconds: UInt64)?

  init(_ entries: [EdgeQueue.Entry]) { self.entries = entries }

  var settlement: EdgeQueue.Settlement {
    var settlement = EdgeQueue.Settlement()
    for entry in entries {
      if let reason = refused[entry.sequence] {
        settlement.refused.append((entry, reason))
      } else if let reason = failed[entry.sequence] {
        settlement.tried.append((entry, reason))
      } else if open[entry.sequence] == 0 {
        settlement.done.append(entry)
      }
    }
    return settlement
  }

  mutating func run(_ sender: EdgeSender, _ pace: inout Pace) async {
    let edge = sender.edge
    for entry in entries where !edge.vendor.kinds.contains(entry.task.kind) {
      refused[entry.sequence] = "\(edge.vendorName) can't purge by \(entry.task.kind.rawValue)"
    }
    let moment = { CallMoment(seconds: Store.wallClockMilliseconds() / 1000, nonce: Self.uuid()) }
    var waiting: [PurgeCall] = []
    add(calls(entries.filter { refused[$0.sequence] == nil }, edge, moment()), to: &waiting)
    await withTaskGroup(of: (PurgeCall, PurgeVerdict?).self) { group in
      var underWay = 0
      while true {
        while trouble == nil, underWay < edge.concurrency, !waiting.isEmpty {
          let call = waiting.removeFirst()
          let wait = pace.take(items: call.entries.count)
          if wait > .zero { try? await Task.sleep(for: wait) }
          if Task.isCancelled { break }
          underWay += 1
          group.addTask { (call, await sender.send(call)) }
        }
        guard let (call, verdict) = await group.next() else { return }
        underWay -= 1
        switch verdict {
        case nil: break
        case .done?: close(call)
        case .refused(let reason)? where call.entries.count > 1:
          // One of them is at fault: the halves tell which. They are signed anew, so they come from the vendor.
          close(call)
          let half = call.entries.count / 2
          sender.host.logger.warning(
            "a batch of \(call.entries.count) is split: \(reason)", metadata: ["edge": "\(edge.name)"])
          for part in [call.entries[..<half], call.entries[half...]] {
            add(calls(Array(part), edge, moment()), to: &waiting)
          }
        case .refused(let reason)?:
          for entry in call.entries { refused[entry.sequence] = reason }
        case .later(let reason, let afterMilliseconds)?:
          for entry in call.entries { failed[entry.sequence] = reason }
          if trouble.map({ $0.afterMilliseconds < afterMilliseconds }) ?? true {
            trouble = (reason, afterMilliseconds)
          }
        }
      }
    }
  }

  /// The vendor's calls, within what the settings allow for one.
  private func calls(
    _ entries: [EdgeQueue.Entry], _ edge: Edge, _ moment: CallMoment
  ) -> [PurgeCall] {
    entries.batches(edge.limits.items).flatMap { edge.vendor.calls(for: $0, at: moment) }
  }

  private mutating func add(_ calls: [PurgeCall], to waiting: inout [PurgeCall]) {
    for call in calls {
      for entry in call.entries { open[entry.sequence, default: 0] += 1 }
      waiting.append(call)
    }
  }

  private mutating func close(_ call: PurgeCall) {
    for entry in call.entries { open[entry.sequence, default: 1] -= 1 }
  }

  /// Version 4 of RFC 9562.
  static func uuid() -> String {
    let high = UInt64.random(in: 0 ... .max) & ~0xF000 | 0x4000
    let low = UInt64.random(in: 0 ... .max) & ~(3 << 62) | 2 << 62
    func digits(_ number: UInt64) -> String {
      let text = String(number, radix: 16)
      return String(repeating: "0", count: 16 - text.count) + text
    }
    let text = digits(high) + digits(low)
    func part(_ from: Int, _ count: Int) -> Substring { text.dropFirst(from).prefix(count) }
    return "\(part(0, 8))-\(part(8, 4))-\(part(12, 4))-\(part(16, 4))-\(part(20, 12))"
  }
}
