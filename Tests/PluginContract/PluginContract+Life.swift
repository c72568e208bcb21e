import Logging
import Loop
import Origin
import Synchronization

extension PluginContract {
  /// Starts and ends instances in all the ways the server does. Each instance is shut down once.
  func life(_ settings: ConfigTable, _ text: String) async -> [Violation] {
    var found: [Violation] = []
    func instance() -> (any Plugin)? { try? type.init(site: Self.site, settings: settings) }

    // As `headwater check` and `explain` leave it, and as a neighbour's failed start does.
    if let plugin = instance(), await !ends({ await plugin.shutDown() }) {
      found.append(Violation(rule: .shutDownEnds, detail: "\(text): never provisioned"))
    }
    // Workers that take no work any more: whatever needs them at the start fails.
    if let plugin = instance(), let host = host(stopped: true) {
      do throws(PluginError) { try plugin.provision(host) } catch {
        if error.message.isEmpty {
          found.append(Violation(rule: .shutDownEnds, detail: "\(text): fails to start without a word"))
        }
      }
      if await !ends({ await plugin.shutDown() }) {
        found.append(Violation(rule: .shutDownEnds, detail: "\(text): start failed"))
      }
    }
    guard let plugin = instance(), let host = host(stopped: false) else { return found }
    defer { host.workers.shutdown() }
    do throws(PluginError) { try plugin.provision(host) } catch {
      found.append(Violation(rule: .exampleSettings, detail: "\(text): \(error)"))
    }
    if let provider = plugin as? any JobProvider { found += jobs(of: provider, text) }
    if let provider = plugin as? any MetricsProvider { found += metrics(of: provider, text) }
    let begun = Latch()
    let running = Task {
      begun.open()
      await plugin.run()
    }
    await begun.wait()
    running.cancel()
    let hasEnded = await ends { await running.value }
    if !hasEnded { found.append(Violation(rule: .runEnds, detail: "\(text): cancelled, it goes on")) }
    // The server waits for `run` before it shuts a plugin down; one that never ends can't be asked.
    if hasEnded, await !ends({ await plugin.shutDown() }) {
      found.append(Violation(rule: .shutDownEnds, detail: "\(text): after running"))
    }
    return found
  }

  private func host(stopped: Bool) -> PluginHost? {
    guard let workers = try? WorkerPool(threadCount: 1), let loop = try? EventLoop() else { return nil }
    if stopped { workers.shutdown() }
    return PluginHost(
      site: Self.site, store: store, workers: workers, loop: loop,
      logger: Logger(label: "contract") { _ in SwiftLogNoOpLogHandler() })
  }

  /// Whether the work ends before the deadline. Work that does not is left behind.
  private func ends(_ work: @escaping @Sendable () async -> Void) async -> Bool {
    let first = First()
    let working = Task {
      await work()
      first.decide(true)
    }
    let waiting = Task {
      // Cancelled when the work has ended first.
      try? await Task.sleep(for: .milliseconds(deadlineMilliseconds))
      first.decide(false)
    }
    let answer = await first.answer()
    waiting.cancel()
    if !answer { working.cancel() }
    return answer
  }
}

/// The first of several answers.
private final class First: Sendable {
  private struct State {
    var answer: Bool?
    var waiter: CheckedContinuation<Bool, Never>?
  }
  private let state = Mutex(State())

  func decide(_ answer: Bool) {
    let waiter = state.withLock { state in
      guard state.answer == nil else { return nil as CheckedContinuation<Bool, Never>? }
      state.answer = answer
      defer { state.waiter = nil }
      return state.waiter
    }
    waiter?.resume(returning: answer)
  }

  func answer() async -> Bool {
    await withCheckedContinuation { continuation in
      let known = state.withLock { state in
        if state.answer == nil { state.waiter = continuation }
        return state.answer
      }
      if let known { continuation.resume(returning: known) }
    }
  }
}

/// Holds one waiter until it is opened.
private final class Latch: Sendable {
  private let first = First()
  func open() { first.decide(true) }
  func wait() async { _ = await first.answer() }
}
