// Brings the catalog's events to a plugin, at least once and in order.
//
// The cursor lies in the store under `plugin/site`, and moves only after `consume` has returned. A crash
// between the two brings the same events again: consumers must bear a repetition. Events of other sites
// move the cursor too, without reaching the plugin. Other processes append to the log as well, so it is
// looked at every 250 ms rather than waited for.

import Logging
import Loop
import Store

struct EventFollower: Sendable {
  static let pollMilliseconds: UInt64 = 250
  static let longestDelayMilliseconds: UInt64 = 60_000
  static let batch = 256

  let consumer: any CatalogConsumer
  let name: String
  let host: PluginHost

  func run() async {
    let store = host.store
    let cursorName = "\(name)/\(host.site)"
    var delay = Self.pollMilliseconds
    while !Task.isCancelled {
      do {
        let events = try await host.workers.run {
          try store.events(after: try store.cursor(for: cursorName), limit: Self.batch)
        }
        guard let last = events.last else {
          try await Task.sleep(for: .milliseconds(Self.pollMilliseconds))
          continue
        }
        let own = events.filter { $0.site == host.site }
        if !own.isEmpty { try await consumer.consume(own) }
        try await host.workers.run { try store.advance(consumer: cursorName, to: last.sequence) }
        delay = Self.pollMilliseconds
      } catch {
        // A consumer may throw `CancellationError` for work of its own; only this task's own end counts.
        if Task.isCancelled { return }
        host.logger.error("catalog events wait: \(error)", metadata: ["retry_ms": "\(delay)"])
        do { try await Task.sleep(for: .milliseconds(delay)) } catch { return }
        delay = min(delay * 2, Self.longestDelayMilliseconds)
      }
    }
  }
}
