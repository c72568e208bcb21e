import Net
import Origin

/// Cloudflare's `purge_cache`: one kind in a call, 100 items.
///
/// A zone's tags have no regard for case: assets whose ids differ in case alone are forgotten together.
struct CloudflareVendor: PurgeVendor {
  let api: String
  let zone: String
  let token: String
  let site: SiteURLs

  let kinds: Set<EdgeTask.Kind> = [.tag, .path, .tree, .everything]
  /// Those of the Pro plan.
  let limits = VendorLimits(items: 100, callsPerMinute: 300, callBurst: 25)

  func calls(for entries: [EdgeQueue.Entry], at moment: CallMoment) -> [PurgeCall] {
    let perBase = max(1, limits.items / max(1, site.bases.count))
    var calls: [PurgeCall] = []
    func add(_ name: String, _ values: [String], _ entries: [EdgeQueue.Entry]) {
      calls.append(call(entries) { $0.member(name, values) })
    }
    for batch in entries.of(.tag).batches(limits.items) { add("tags", batch.map(\.task.name), batch) }
    for batch in entries.of(.path).batches(perBase) {
      add("files", batch.flatMap { site.urls($0.task.name) }, batch)
    }
    for batch in entries.of(.tree).batches(perBase) {
      // Without a scheme.
      add("prefixes", batch.flatMap { entry in site.hosts.map { $0 + entry.task.name } }, batch)
    }
    for entry in entries.of(.everything) {
      // A zone may hold other sites: only the hosts of this one.
      add("hosts", site.hosts, [entry])
    }
    return calls
  }

  private func call(_ entries: [EdgeQueue.Entry], _ write: (inout JSONWriter) -> Void) -> PurgeCall {
    var json = JSONWriter()
    json.object { write(&$0) }
    return PurgeCall(
      request: HTTPRequest(
        "POST", "\(api)/client/v4/zones/\(zone)/purge_cache",
        fields: [
          HTTPField("Authorization", "Bearer \(token)"), HTTPField("Content-Type", "application/json"),
        ], body: json.bytes), entries: entries)
  }

  /// 200 is not enough: the body has to say `"success": true`.
  func verdict(on response: HTTPResponse, to call: PurgeCall) -> PurgeVerdict {
    let verdict = PurgeVerdict.of(response)
    guard verdict == .done else { return verdict }
    guard case .object(let members) = try? JSONValue(response.body) else {
      return .later("its answer is no JSON", afterMilliseconds: 0)
    }
    return members.contains { $0.key == "success" && $0.value == .bool(true) }
      ? .done : .refused("it answers 200 without success")
  }
}
