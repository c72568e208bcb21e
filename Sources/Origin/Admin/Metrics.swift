// Prometheus text format 0.0.4. Names end in their unit; counters end in _total.

import Store
import Synchronization

enum Metrics {
  static func text(_ state: ServerState, _ snapshot: Snapshot, _ jobs: JobQueueFigures) -> String {
    var text = ""
    let counters = state.counters
    func sum(_ value: (LoopCounters) -> UInt64) -> UInt64 { counters.reduce(0) { $0 &+ value($1) } }
    func family(_ name: String, _ type: String, _ help: String, _ value: UInt64) {
      text += Self.family(name, type, help, [("", "\(value)")])
    }
    text += Self.family(
      "info", "gauge", "The program in force.", [("version=\"\(HeadwaterVersion.text)\"", "1")])
    family("start_time_seconds", "gauge", "Unix time of the start.", UInt64(max(0, state.startedSeconds)))
    text += Self.family(
      "responses_total", "counter", "Responses by status class.",
      counters[0].responses.map(\.label).enumerated().map { index, label in
        ("class=\"\(label)\"", "\(sum { $0.responses[index].count })")
      })
    family(
      "sent_bytes_total", "counter", "Bytes of heads and bodies of all responses begun.",
      sum { $0.sentBytes.value })
    family("connections_open", "gauge", "Client connections.", sum { $0.openConnections.value })
    family(
      "connections_accepted_total", "counter", "Connections accepted.", sum { $0.acceptedConnections.value })
    text += Self.family(
      "refused_total", "counter", "Connections and requests turned away, by limit.",
      Limit.allCases.map { limit in
        ("limit=\"\(limit.rawValue)\"", "\(sum { $0.refusals[limit.index].count.value })")
      })
    family(
      "clients_held_bytes", "gauge", "Memory that connections and waiting answers hold.",
      sum { $0.heldBytes.value })
    family(
      "clients_budget_bytes", "gauge", "Memory that they may hold.",
      UInt64(snapshot.configuration.server.limits.memoryBytes))
    family(
      "requests_malformed_total", "counter", "Request heads refused by the parser.",
      sum { $0.badRequests.value })
    family("tls_handshakes_total", "counter", "TLS handshakes completed.", sum { $0.tlsHandshakes.value })
    family(
      "tls_resumptions_total", "counter", "TLS handshakes that resumed a session.",
      sum { $0.tlsResumptions.value })
    family(
      "tls_kernel_connections_total", "counter", "TLS connections whose records the kernel came to make.",
      sum { $0.tlsInKernel.value })
    family("tls_failures_total", "counter", "TLS handshakes that failed.", sum { $0.tlsFailures.value })
    family(
      "proxy_headers_refused_total", "counter",
      "Connections without a sound PROXY header of a trusted proxy.",
      sum { $0.malformedProxyHeaders.value })
    family(
      "http2_connections_total", "counter", "Connections that spoke HTTP/2.",
      sum { $0.http2Connections.value })
    family(
      "http2_abuses_total", "counter", "HTTP/2 connections ended because of what they asked for.",
      sum { $0.http2Abuses.value })
    family("timeouts_total", "counter", "Connections ended by a deadline.", sum { $0.timeouts.value })
    family(
      "cold_reads_total", "counter", "Reads that waited for the disk on a worker.", sum { $0.coldReads.value }
    )
    if state.store.options.verifiesReads {
      family(
        "blobs_found_damaged_total", "counter",
        "Blobs whose bytes were found to be others while they were read.",
        state.store.blobs.blobsFoundDamaged)
    }
    family("hot_table_hits_total", "counter", "Answers found ready-made.", sum { $0.hotHits.value })
    family("hot_table_misses_total", "counter", "Answers made anew.", sum { $0.hotMisses.value })
    family(
      "segments_assembled_total", "counter", "Segments put together in memory.",
      sum { $0.assembledSegments.value })
    let services = snapshot.sites.sites.compactMap(\.keyService)
    if !services.isEmpty {
      family(
        "content_key_requests_total", "counter", "Content keys asked for since the configuration was loaded.",
        services.reduce(0) { $0 &+ $1.requests.load(ordering: .relaxed) })
      family(
        "content_key_failures_total", "counter", "Content keys that the key service did not give.",
        services.reduce(0) { $0 &+ $1.failures.load(ordering: .relaxed) })
    }
    if let log = snapshot.accessLog {
      family(
        "access_log_lost_lines_total", "counter", "Log lines dropped because the log was too slow.",
        log.lostLines)
    }
    family("sites", "gauge", "Sites configured.", UInt64(snapshot.sites.sites.count))
    if let usage = try? state.store.usage() {
      family("index_used_bytes", "gauge", "Bytes of the index in use.", usage.usedBytes)
      family("index_map_bytes", "gauge", "Bytes the index may grow to.", usage.mapBytes)
      family("assets", "gauge", "Assets in the catalog.", usage.assets)
      family("files", "gauge", "Static files in the catalog.", usage.files)
      family("blobs", "gauge", "Blobs in the index.", usage.blobs)
    }
    text += self.jobs(jobs, state.jobMeasures)
    text += plugins(snapshot.sites.sites.map { ($0.name, $0.metricsProviders) })
    return text
  }

  /// One family, as it stands on the page; nothing where it has no sample.
  ///
  /// - Parameter samples: labels as they stand between the braces, empty for none, and the value.
  static func family(
    _ name: String, _ type: String, _ help: String, _ samples: [(labels: String, value: String)]
  ) -> String {
    guard !samples.isEmpty else { return "" }
    return samples.reduce(into: "# HELP headwater_\(name) \(help)\n# TYPE headwater_\(name) \(type)\n") {
      $0 += "headwater_\(name)\($1.labels.isEmpty ? "" : "{\($1.labels)}") \($1.value)\n"
    }
  }
}

/// The program's version, as `--version`, metrics and logs say it.
public enum HeadwaterVersion {
  public static let text = "0.1.0"
}
