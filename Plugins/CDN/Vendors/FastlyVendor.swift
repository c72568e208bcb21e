import Net
import Origin

/// Fastly's purge API: surrogate keys in batches, URLs one by one, the whole service.
///
/// A soft purge marks as stale, so that `stale-while-revalidate` and `stale-if-error` still have something to serve.
struct FastlyVendor: PurgeVendor {
  let api: String
  let service: String
  let token: String
  let site: SiteURLs
  let isSoft: Bool

  let kinds: Set<EdgeTask.Kind> = [.tag, .path, .everything]
  /// 256 keys in a call; 100,000 purges an hour.
  let limits = VendorLimits(items: 256, callsPerMinute: 1600, callBurst: 100)

  func calls(for entries: [EdgeQueue.Entry], at moment: CallMoment) -> [PurgeCall] {
    var calls: [PurgeCall] = []
    for batch in entries.of(.tag).batches(limits.items) {
      var json = JSONWriter()
      json.object { $0.member("surrogate_keys", batch.map(\.task.name)) }
      var request = request("/service/\(service)/purge", isSoft: isSoft)
      request.fields.append(HTTPField("Content-Type", "application/json"))
      request.body = json.bytes
      calls.append(PurgeCall(request: request, entries: batch))
    }
    for entry in entries.of(.path) {
      for host in site.hosts {
        calls.append(
          PurgeCall(request: request("/purge/\(host)\(entry.task.name)", isSoft: isSoft), entries: [entry]))
      }
    }
    for entry in entries.of(.everything) {
      // There is no soft form of it.
      calls.append(
        PurgeCall(request: request("/service/\(service)/purge_all", isSoft: false), entries: [entry]))
    }
    return calls
  }

  private func request(_ path: String, isSoft: Bool) -> HTTPRequest {
    HTTPRequest(
      "POST", api + path,
      fields: [HTTPField("Fastly-Key", token), HTTPField("Accept", "application/json")]
        + (isSoft ? [HTTPField("Fastly-Soft-Purge", "1")] : []))
  }
}
