import Origin

extension PluginContract {
  /// What a provisioned plugin has on the metrics page.
  func metrics(of plugin: any MetricsProvider, _ text: String) -> [Violation] {
    var found: [Violation] = []
    let metrics = plugin.metrics
    let names = metrics.map(\.name)
    if names != plugin.metrics.map(\.name) || Set(names).count != names.count {
      found.append(
        Violation(rule: .metricNames, detail: "\(text): asked twice, it has other names: \(names)"))
    }
    let prefix = type.declaration.name + "_"
    for metric in metrics {
      let isName = metric.name.utf8.allSatisfy {
        (0x61...0x7A).contains($0) || (0x30...0x39).contains($0) || $0 == 0x5F
      }
      if !isName || !metric.name.hasPrefix(prefix)
        || metric.name.hasSuffix("_total") != (metric.kind == .counter)
      {
        found.append(
          Violation(
            rule: .metricNames,
            detail: "\(text): \"\(metric.name)\" is not \(prefix), words of letters and digits, and a unit"))
      }
      if metric.help.isEmpty || metric.help.contains("\n") {
        found.append(Violation(rule: .metricNames, detail: "\(text): \(metric.name) does not say what it is"))
      }
    }
    return found
  }
}
