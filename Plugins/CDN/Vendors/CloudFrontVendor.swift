import Net
import Origin
import Store

/// CloudFront's CreateInvalidation: paths, trees as `/v/film/*`, and tags as `#tag` where the distribution has a CacheTagConfig.
///
/// The CallerReference follows from the entries and their versions: a repeated try is the invalidation that there is already.
struct CloudFrontVendor: PurgeVendor {
  /// `https://cloudfront.amazonaws.com`.
  let api: String
  let distribution: String
  let credentials: SignatureV4.Credentials

  let kinds: Set<EdgeTask.Kind> = [.tag, .path, .tree, .everything]
  /// 3000 may be in progress, of trees 15: told by an error that is tried again.
  let limits = VendorLimits(items: 1000, callsPerMinute: 60, callBurst: 5)

  private static let tooManyMilliseconds: UInt64 = 30_000

  func calls(for entries: [EdgeQueue.Entry], at moment: CallMoment) -> [PurgeCall] {
    let known = entries.filter { kinds.contains($0.task.kind) }
    let trees = known.filter { $0.task.kind == .tree || $0.task.kind == .everything }
    let others = known.filter { $0.task.kind == .tag || $0.task.kind == .path }
    return (trees.batches(15) + others.batches(limits.items)).map { call($0, moment) }
  }

  private func call(_ entries: [EdgeQueue.Entry], _ moment: CallMoment) -> PurgeCall {
    let items = entries.map(Self.item)
    let names = entries.map { "\($0.task.text) \($0.sequence) \($0.version)\n" }.joined()
    let reference = BlobID.digest(of: Array("\(distribution)\n\(names)".utf8)).hex.prefix(32)
    let body = Self.body(items, reference: "headwater-\(reference)")
    let path = "/2020-05-31/distribution/\(distribution)/invalidation"
    let date = SignatureV4.timestamp(moment.seconds)
    let authorization = SignatureV4.authorization(
      "POST", host: SiteURLs.host(api), path: path, contentType: "application/xml", body: body, date: date,
      region: "us-east-1", service: "cloudfront", credentials)
    return PurgeCall(
      request: HTTPRequest(
        "POST", api + path,
        fields: [
          HTTPField("Content-Type", "application/xml"), HTTPField("X-Amz-Date", date),
          HTTPField("Authorization", authorization),
        ], body: body), entries: entries)
  }

  private static func item(_ entry: EdgeQueue.Entry) -> String {
    switch entry.task.kind {
    case .tag: "#\(entry.task.name)"
    case .tree: "\(entry.task.name)*"
    case .everything: "/*"
    case .path, .warm, .trend: entry.task.name
    }
  }

  static func body(_ items: [String], reference: String) -> [UInt8] {
    func escaped(_ text: String) -> String {
      text.replacing("&", with: "&amp;").replacing("<", with: "&lt;").replacing(">", with: "&gt;")
    }
    let list = items.map { "<Path>\(escaped($0))</Path>" }.joined()
    return Array(
      ("<?xml version=\"1.0\" encoding=\"UTF-8\"?>"
        + "<InvalidationBatch xmlns=\"http://cloudfront.amazonaws.com/doc/2020-05-31/\"><Paths>"
        + "<Quantity>\(items.count)</Quantity><Items>\(list)</Items></Paths>"
        + "<CallerReference>\(escaped(reference))</CallerReference></InvalidationBatch>").utf8)
  }

  /// Too many in progress is 400, and passes.
  func verdict(on response: HTTPResponse, to call: PurgeCall) -> PurgeVerdict {
    let text = String(decoding: response.body.prefix(4096), as: UTF8.self)
    if response.status == 400 {
      if text.contains("TooManyInvalidationsInProgress") || text.contains("Throttling") {
        return .later("too many invalidations are in progress", afterMilliseconds: Self.tooManyMilliseconds)
      }
    }
    return .of(response)
  }
}
