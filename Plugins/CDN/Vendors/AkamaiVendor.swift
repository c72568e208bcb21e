import Net
import Origin

/// Akamai Fast Purge (CCU v3), signed by EdgeGrid.
///
/// Soft is `invalidate`: the next request asks the origin whether the copy is still right. Hard is `delete`.
struct AkamaiVendor: PurgeVendor {
  /// `https://akab-….purge.akamaiapis.net`.
  let api: String
  /// `production` or `staging`.
  let network: String
  let credentials: EdgeGrid.Credentials
  let site: SiteURLs
  let isSoft: Bool

  let kinds: Set<EdgeTask.Kind> = [.tag, .path]
  /// 100 calls at once and 50 a second; of tags 5,000 and 500 a minute, the smaller ones of the two kinds.
  let limits = VendorLimits(
    items: 500, bodyBytes: 50_000, callsPerMinute: 3000, callBurst: 100, itemsPerMinute: 500, itemBurst: 5000)

  func calls(for entries: [EdgeQueue.Entry], at moment: CallMoment) -> [PurgeCall] {
    calls(entries.of(.tag), "tag", moment) { [$0.task.name] }
      + calls(entries.of(.path), "url", moment) { site.urls($0.task.name) }
  }

  private func calls(
    _ entries: [EdgeQueue.Entry], _ kind: String, _ moment: CallMoment,
    _ objects: (EdgeQueue.Entry) -> [String]
  ) -> [PurgeCall] {
    var calls: [PurgeCall] = []
    var batch: [EdgeQueue.Entry] = []
    var bytes = 0
    func send() {
      guard !batch.isEmpty else { return }
      calls.append(call(batch, kind, batch.flatMap(objects), moment))
      batch = []
      bytes = 0
    }
    for entry in entries {
      // Two quotes and a comma each, and escapes that no URL or tag has.
      let more = objects(entry).reduce(0) { $0 + $1.utf8.count + 3 }
      if batch.count == limits.items || bytes + more > limits.bodyBytes - 32 { send() }
      batch.append(entry)
      bytes += more
    }
    send()
    return calls
  }

  private func call(
    _ entries: [EdgeQueue.Entry], _ kind: String, _ objects: [String], _ moment: CallMoment
  ) -> PurgeCall {
    var json = JSONWriter()
    json.object { $0.member("objects", objects) }
    let path = "/ccu/v3/\(isSoft ? "invalidate" : "delete")/\(kind)/\(network)"
    let authorization = EdgeGrid.authorization(
      "POST", host: SiteURLs.host(api), path: path, body: json.bytes, credentials,
      timestamp: EdgeGrid.timestamp(moment.seconds), nonce: moment.nonce)
    return PurgeCall(
      request: HTTPRequest(
        "POST", api + path,
        fields: [HTTPField("Authorization", authorization), HTTPField("Content-Type", "application/json")],
        body: json.bytes), entries: entries)
  }

  /// 403 may be about one of the objects, and then names it; 429 asks for five seconds.
  func verdict(on response: HTTPResponse, to call: PurgeCall) -> PurgeVerdict {
    switch response.status {
    case 403 where String(decoding: response.body, as: UTF8.self).lowercased().contains("unauthorized arl"):
      .refused("it answers 403: the account may not purge this")
    case 429: .later("it answers 429", afterMilliseconds: response.retryAfterMilliseconds ?? 5000)
    default: .of(response)
    }
  }
}
