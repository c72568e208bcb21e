// Counters of one loop. Written by its thread alone, read by the admin listener's: atomics with relaxed
// order, which cost a plain add.

import Synchronization

final class LoopCounters: Sendable {
  let acceptedConnections = Atomic<UInt64>(0)
  /// By `Limit`, in the order of its cases.
  let refusals = Limit.allCases.map { _ in RefusalCounter() }
  /// Memory that connections and waiting answers hold; see OriginLoop+Limits.swift.
  let heldBytes = Atomic<UInt64>(0)
  let openConnections = Atomic<UInt64>(0)
  let sentBytes = Atomic<UInt64>(0)
  let coldReads = Atomic<UInt64>(0)
  let badRequests = Atomic<UInt64>(0)
  let tlsHandshakes = Atomic<UInt64>(0)
  let tlsResumptions = Atomic<UInt64>(0)
  let tlsFailures = Atomic<UInt64>(0)
  let tlsInKernel = Atomic<UInt64>(0)
  let malformedProxyHeaders = Atomic<UInt64>(0)
  let http2Connections = Atomic<UInt64>(0)
  let http2Abuses = Atomic<UInt64>(0)
  let timeouts = Atomic<UInt64>(0)
  let hotHits = Atomic<UInt64>(0)
  let hotMisses = Atomic<UInt64>(0)
  let assembledSegments = Atomic<UInt64>(0)
  private let informational = Atomic<UInt64>(0)
  private let success = Atomic<UInt64>(0)
  private let redirection = Atomic<UInt64>(0)
  private let clientError = Atomic<UInt64>(0)
  private let serverError = Atomic<UInt64>(0)

  func count(status: UInt16) {
    switch status {
    case ..<200: informational.add(1)
    case ..<300: success.add(1)
    case ..<400: redirection.add(1)
    case ..<500: clientError.add(1)
    default: serverError.add(1)
    }
  }

  /// Responses by status class, as Prometheus labels.
  var responses: [(label: String, count: UInt64)] {
    [
      ("2xx", success.value), ("3xx", redirection.value), ("4xx", clientError.value),
      ("5xx", serverError.value),
    ]
  }
}

/// A counter that can stand in an array.
final class RefusalCounter: Sendable {
  let count = Atomic<UInt64>(0)
}

extension Atomic where Value == UInt64 {
  /// Adds; only the owning loop writes, so a load and a store do, and no locked instruction is needed.
  func add(_ amount: UInt64) {
    store(load(ordering: .relaxed) &+ amount, ordering: .relaxed)
  }

  func subtract(_ amount: UInt64) {
    store(load(ordering: .relaxed) &- amount, ordering: .relaxed)
  }

  var value: UInt64 { load(ordering: .relaxed) }
}
