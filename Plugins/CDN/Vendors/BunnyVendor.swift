import HTTP
import Net
import Origin

/// bunny.net: a URL or a tree by `/purge`, a tag or everything by `/pullzone/{id}/purgeCache`.
struct BunnyVendor: PurgeVendor {
  let api: String
  let zone: String
  let key: String
  let site: SiteURLs

  let kinds: Set<EdgeTask.Kind> = [.tag, .path, .tree, .everything]
  /// Of single URLs. Trees have 20 at once and 0.5 a second: told by 429.
  let limits = VendorLimits(callsPerMinute: 300, callBurst: 120)

  func calls(for entries: [EdgeQueue.Entry], at moment: CallMoment) -> [PurgeCall] {
    entries.flatMap { entry -> [PurgeCall] in
      switch entry.task.kind {
      case .tag:
        var json = JSONWriter()
        json.object { $0.member("CacheTag", entry.task.name) }
        return [zoneCall(json.bytes, entry)]
      case .everything: return [zoneCall(Array("{}".utf8), entry)]
      case .path: return urlCalls(entry.task.name, entry)
      case .tree: return urlCalls(entry.task.name + "*", entry)
      case .warm, .trend: return []
      }
    }
  }

  private func urlCalls(_ path: String, _ entry: EdgeQueue.Entry) -> [PurgeCall] {
    site.urls(path).map { url in
      // The star of a tree stands for itself.
      let escaped = String(decoding: PercentEncoding.encode(component: Array(url.utf8).span), as: UTF8.self)
        .replacing("%2A", with: "*")
      return PurgeCall(
        request: HTTPRequest(
          "POST", "\(api)/purge?url=\(escaped)&async=true",
          fields: [HTTPField("AccessKey", key)]), entries: [entry])
    }
  }

  private func zoneCall(_ body: [UInt8], _ entry: EdgeQueue.Entry) -> PurgeCall {
    PurgeCall(
      request: HTTPRequest(
        "POST", "\(api)/pullzone/\(zone)/purgeCache",
        fields: [HTTPField("AccessKey", key), HTTPField("Content-Type", "application/json")], body: body),
      entries: [entry])
  }
}
