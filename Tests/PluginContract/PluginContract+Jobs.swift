import Origin
import Store

extension PluginContract {
  /// What a provisioned plugin says of its background work.
  func jobs(of plugin: any JobProvider, _ text: String) -> [Violation] {
    var found: [Violation] = []
    let handlers = plugin.jobHandlers
    let kinds = handlers.map(\.kind)
    if kinds != plugin.jobHandlers.map(\.kind) {
      found.append(Violation(rule: .jobKinds, detail: "\(text): asked twice, it has other kinds"))
    }
    if Set(kinds).count != kinds.count {
      found.append(Violation(rule: .jobKinds, detail: "\(text): a kind has two handlers: \(kinds)"))
    }
    let prefix = type.declaration.name + "."
    for handler in handlers {
      let draft = JobDraft(site: Self.site, kind: handler.kind, key: "")
      if !handler.kind.hasPrefix(prefix) || handler.kind == prefix || (try? draft.check()) == nil {
        found.append(
          Violation(
            rule: .jobKinds,
            detail: "\(text): \"\(handler.kind)\" is not \(prefix) and a verb of lower-case letters"))
      }
      let limits = handler.limits
      let isSound =
        limits.framePixels > 0 && limits.sidePixels > 0 && limits.durationSeconds > 0 && limits.streams > 0
        && limits.wallSeconds >= 1 && limits.wallSecondsPerMediaSecond >= 0 && limits.memoryBytes >= 64 << 20
        && limits.outputBytes > 0
      if !isSound {
        found.append(
          Violation(rule: .jobLimits, detail: "\(text): \(handler.kind) could do nothing: \(limits)"))
      }
    }
    return found
  }
}
