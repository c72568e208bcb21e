extension Metrics {
  /// What the plugins say, one family after the other in the order of their first appearance.
  static func plugins(_ sites: [(name: String, providers: [any MetricsProvider])]) -> String {
    var order: [String] = []
    var families: [String: (metric: PluginMetric, samples: [(labels: String, value: String)])] = [:]
    for site in sites {
      for metric in site.providers.flatMap(\.metrics) {
        let samples = metric.samples.map { sample in
          let labels = ([("site", site.name)] + sample.labels).map { "\($0)=\"\(escape($1))\"" }
          return (labels.joined(separator: ","), number(sample.value))
        }
        if families[metric.name] == nil { order.append(metric.name) }
        families[metric.name, default: (metric, [])].samples += samples
      }
    }
    return order.reduce(into: "") { text, name in
      guard let (metric, samples) = families[name] else { return }
      text += family(name, metric.kind.rawValue, metric.help, samples)
    }
  }

  /// A label's value between its quotes.
  private static func escape(_ text: String) -> String {
    var escaped = ""
    for scalar in text.unicodeScalars {
      switch scalar {
      case "\\": escaped += "\\\\"
      case "\"": escaped += "\\\""
      case "\n": escaped += "\\n"
      default: escaped.unicodeScalars.append(scalar)
      }
    }
    return escaped
  }

  /// Whole numbers without a fraction, as the built-in figures are written.
  private static func number(_ value: Double) -> String {
    Int64(exactly: value).map { "\($0)" } ?? "\(value)"
  }
}
