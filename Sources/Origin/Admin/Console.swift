// The console: one page for the person on call. No script, nothing loaded from elsewhere.

import Store

enum Console {
  static func page(_ state: ServerState, _ snapshot: Snapshot) -> String {
    var rows = ""
    for site in snapshot.sites.sites {
      let plugins = site.configuration.plugins.map(\.name).joined(separator: ", ")
      rows +=
        "<tr><td>\(escape(site.name))</td><td>\(escape(site.configuration.hosts.joined(separator: ", ")))</td>"
      rows += "<td>\(escape(plugins.isEmpty ? "none" : plugins))</td></tr>\n"
    }
    let counters = state.counters
    func sum(_ value: (LoopCounters) -> UInt64) -> UInt64 { counters.reduce(0) { $0 &+ value($1) } }
    var numbers: [(String, String)] = [
      ("Version", HeadwaterVersion.text),
      ("Event loops", "\(counters.count)"),
      ("Open connections", "\(sum { $0.openConnections.value })"),
      ("Bytes sent", "\(sum { $0.sentBytes.value })"),
      ("Answers ready-made / made", "\(sum { $0.hotHits.value }) / \(sum { $0.hotMisses.value })"),
    ]
    for (index, label) in counters[0].responses.map(\.label).enumerated() {
      numbers.append(("Responses \(label)", "\(sum { $0.responses[index].count })"))
    }
    if let usage = try? state.store.usage() {
      numbers.append(("Assets / files / blobs", "\(usage.assets) / \(usage.files) / \(usage.blobs)"))
      numbers.append(("Index used", "\(usage.usedBytes) of \(usage.mapBytes) bytes"))
    }
    let facts = numbers.map { "<tr><th>\(escape($0.0))</th><td>\(escape($0.1))</td></tr>" }.joined(
      separator: "\n")
    return """
      <!doctype html>
      <html lang="en"><head><meta charset="utf-8"><title>Headwater</title><style>
      body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 52rem; color: #16323f; }
      table { border-collapse: collapse; margin: 0 0 2rem; width: 100%; }
      th, td { text-align: left; padding: .3rem .8rem .3rem 0; border-bottom: 1px solid #d5e0e4; }
      </style></head><body>
      <h1>Headwater</h1>
      <table>\(facts)</table>
      <h2>Sites</h2>
      <table><tr><th>Site</th><th>Hosts</th><th>Plugins</th></tr>\(rows)</table>
      <p><a href="/metrics">metrics</a> · <a href="/healthz">health</a> · <a href="/readyz">readiness</a></p>
      </body></html>

      """
  }

  private static func escape(_ text: String) -> String {
    var result = ""
    for character in text {
      switch character {
      case "&": result += "&amp;"
      case "<": result += "&lt;"
      case ">": result += "&gt;"
      case "\"": result += "&quot;"
      default: result.append(character)
      }
    }
    return result
  }
}
