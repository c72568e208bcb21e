// One entry of `edges`, checked and turned into edges: one, or one for each cache server.

import HTTP
import Net
import Origin

struct EdgeSettings {
  let table: ConfigTable
  let site: String
  /// `edges[0]`, for complaints.
  let place: String

  private var vendorName: String { table.string("vendor") }
  private var isSelfHosted: Bool { ["varnish", "nginx", "trafficserver"].contains(vendorName) }
  private var siteURLs: SiteURLs { SiteURLs(bases: table.strings("urls")) }
  private var isSoft: Bool { table.bool("soft") }

  func edges() throws(PluginError) -> [Edge] {
    guard !siteURLs.bases.isEmpty else {
      throw complaint("urls", "say how viewers reach the site through it")
    }
    let servers = table.strings("servers")
    guard isSelfHosted else {
      guard servers.isEmpty else {
        throw complaint("servers", "\(vendorName) is told by its API: leave it out")
      }
      return [try edge(table.string("name"), server: nil)]
    }
    guard !servers.isEmpty else { throw complaint("servers", "say where the caches are that are to be told") }
    var edges: [Edge] = []
    for server in servers {
      let suffix = servers.count == 1 ? "" : "@\(SiteURLs.host(server))"
      edges.append(try edge(table.string("name") + suffix, server: server))
    }
    return edges
  }

  private func complaint(_ key: String, _ message: String) -> PluginError {
    PluginError(key: "\(place).\(key)", message)
  }

  private func edge(_ name: String, server: String?) throws(PluginError) -> Edge {
    let vendor = try vendor(server: server)
    let method = try method(of: vendor)
    var limits = vendor.limits
    if table.integer("batch") > 0 { limits.items = min(limits.items, table.integer("batch")) }
    if table.integer("calls_per_minute") > 0 { limits.callsPerMinute = table.integer("calls_per_minute") }
    if table.integer("call_burst") > 0 { limits.callBurst = table.integer("call_burst") }
    let prefetch = Edge.Prefetch(rawValue: table.string("prefetch")) ?? .off
    var prefetchCall: GenericVendor.Template?
    if prefetch == .api {
      guard vendorName == "generic" else {
        throw complaint("prefetch", "\(vendorName) has no call for it: use \"requests\"")
      }
      prefetchCall = .init(path: table.string("prefetch_path"), body: table.string("prefetch_body"))
    }
    let mayBePrivate = server != nil || table.bool("private_addresses")
    return Edge(
      name: name, vendorName: vendorName, vendor: vendor, site: siteURLs, server: server, method: method,
      limits: limits, concurrency: table.integer("concurrency"),
      timeoutMilliseconds: UInt64(table.durationMilliseconds("timeout")),
      addresses: mayBePrivate ? .publicAndPrivate : .publicOnly, tagField: tagField, cacheRule: cacheRule,
      prefetch: prefetch, verifies: table.bool("verify"), prefetchCall: prefetchCall,
      rulesCall: try rulesCall(vendor), analytics: try analytics)
  }

  /// Whom to ask about traffic.
  private var analytics: Edge.Analytics? {
    get throws(PluginError) {
      let seconds = Int64(table.durationMilliseconds("analytics") / 1000)
      guard seconds > 0 else { return nil }
      func address(_ usual: String) -> String {
        table.string("analytics_api").isEmpty ? usual : table.string("analytics_api")
      }
      let token = table.secret("analytics_token") == nil ? "token" : "analytics_token"
      let vendor: any AnalyticsVendor
      switch vendorName {
      case "fastly":
        vendor = FastlyAnalytics(
          api: address("https://api.fastly.com"), service: try needed("zone"), token: try text(token))
      case "cloudflare":
        vendor = CloudflareAnalytics(
          api: address("https://api.cloudflare.com"), zone: try needed("zone"), token: try text(token),
          site: siteURLs)
      case "cloudfront":
        vendor = CloudFrontAnalytics(
          api: address("https://monitoring.us-east-1.amazonaws.com"), distribution: try needed("zone"),
          credentials: .init(keyID: try needed("key_id"), secret: try secret("key_secret")))
      case "akamai":
        vendor = AkamaiAnalytics(
          api: try needed("analytics_api"),
          credentials: .init(
            clientToken: try needed("key_id"), accessToken: try text("access_token"),
            clientSecret: try secret("key_secret")), site: siteURLs)
      case "bunny":
        vendor = BunnyAnalytics(
          api: address("https://api.bunny.net"), zone: try needed("zone"), key: try text(token))
      default:
        throw complaint("analytics", "\(vendorName) has nothing that can be asked: leave it out")
      }
      return Edge.Analytics(
        vendor: vendor, periodSeconds: seconds,
        intervalMilliseconds: UInt64(table.durationMilliseconds("analytics_interval")))
    }
  }

  // MARK: Parts

  private func secret(_ key: String) throws(PluginError) -> Secret {
    guard let secret = table.secret(key), !secret.bytes.isEmpty else {
      throw complaint("\(key)_file", "\(vendorName) needs it, or \(key)_env")
    }
    return secret
  }

  private func text(_ key: String) throws(PluginError) -> String {
    let bytes = try secret(key).bytes
    guard bytes.allSatisfy({ (0x21...0x7E).contains($0) }) else {
      throw complaint("\(key)_file", "it is not of visible ASCII alone: take out what does not belong to it")
    }
    return String(decoding: bytes, as: UTF8.self)
  }

  private func needed(_ key: String) throws(PluginError) -> String {
    guard !table.string(key).isEmpty else { throw complaint(key, "\(vendorName) needs it") }
    return table.string(key)
  }

  private func api(_ usual: String) -> String { table.string("api").isEmpty ? usual : table.string("api") }

  private func vendor(server: String?) throws(PluginError) -> any PurgeVendor {
    if let server {
      var cache = CacheServer(address: server, hosts: siteURLs.hosts)
      if table.secret("token") != nil { cache.fields = [HTTPField("X-Purge-Token", try text("token"))] }
      switch vendorName {
      case "varnish": return VarnishVendor(server: cache, isSoft: isSoft, bans: table.bool("ban"))
      case "nginx": return NginxVendor(server: cache, refreshes: table.bool("refresh"))
      default: return TrafficServerVendor(server: cache)
      }
    }
    switch vendorName {
    case "fastly":
      return FastlyVendor(
        api: api("https://api.fastly.com"), service: try needed("zone"), token: try text("token"),
        site: siteURLs, isSoft: isSoft)
    case "cloudflare":
      return CloudflareVendor(
        api: api("https://api.cloudflare.com"), zone: try needed("zone"), token: try text("token"),
        site: siteURLs)
    case "cloudfront":
      return CloudFrontVendor(
        api: api("https://cloudfront.amazonaws.com"), distribution: try needed("zone"),
        credentials: .init(keyID: try needed("key_id"), secret: try secret("key_secret")))
    case "akamai":
      return AkamaiVendor(
        api: try needed("api"), network: table.string("network"),
        credentials: .init(
          clientToken: try needed("key_id"), accessToken: try text("access_token"),
          clientSecret: try secret("key_secret")), site: siteURLs, isSoft: isSoft)
    case "bunny":
      return BunnyVendor(
        api: api("https://api.bunny.net"), zone: try needed("zone"), key: try text("token"), site: siteURLs)
    default:
      let tagBody = table.string("purge_tags_body")
      return GenericVendor(
        api: try needed("api"), site: siteURLs, siteName: site,
        fields: table.secret("token") == nil
          ? [] : [HTTPField("Authorization", "Bearer \(try text("token"))")],
        purge: .init(path: table.string("purge_path"), body: table.string("purge_body")),
        tagBody: tagBody.isEmpty ? nil : tagBody, everythingBody: table.string("purge_all_body"))
    }
  }

  private func method(of vendor: any PurgeVendor) throws(PluginError) -> Edge.Method {
    let asked = table.string("by")
    guard let method = Edge.Method(rawValue: asked) else {
      // CloudFront has tags only where the distribution is set up for them.
      return vendor.kinds.contains(.tag) && vendorName != "cloudfront" ? .tag : .url
    }
    let kind: EdgeTask.Kind = method == .tag ? .tag : method == .url ? .path : .tree
    guard vendor.kinds.contains(kind) else {
      throw complaint("by", "\(vendorName) as it is set here can't purge by \(asked)")
    }
    return method
  }

  /// What each vendor takes of tags, as far as it is documented.
  private var tagField: Edge.TagField? {
    let usual: Edge.TagField? =
      switch vendorName {
      case "fastly": .init(name: "Surrogate-Key", separator: " ")
      case "cloudflare": .init(name: "Cache-Tag", separator: ",")
      case "akamai":
        .init(name: "Edge-Cache-Tag", separator: ",", mostTags: 128, mostTagBytes: 128)
      case "cloudfront": .init(name: "Cache-Tag", separator: ",", mostTags: 50, mostTagBytes: 256)
      case "bunny": .init(name: "CDN-Tag", separator: ",", mostBytes: 1024)
      case "varnish" where !table.bool("ban"): .init(name: "xkey", separator: " ")
      case "varnish": .init(name: "Surrogate-Key", separator: " ")
      case "generic" where !table.string("purge_tags_body").isEmpty: .init(name: "Cache-Tag", separator: ",")
      default: nil
      }
    let asked = table.string("tag_field")
    if asked == "auto" { return usual }
    guard !asked.isEmpty else { return nil }
    var field = usual ?? .init(name: asked, separator: ",")
    field.name = asked
    return field
  }

  private var cacheRule: HTTPField? {
    let seconds = table.durationMilliseconds("edge_max_age") / 1000
    guard seconds > 0 else { return nil }
    switch vendorName {
    case "fastly", "varnish": return HTTPField("Surrogate-Control", "max-age=\(seconds)")
    case "cloudflare": return HTTPField("Cloudflare-CDN-Cache-Control", "max-age=\(seconds)")
    case "akamai": return HTTPField("Akamai-Cache-Control", "max-age=\(seconds)")
    case "nginx": return HTTPField("X-Accel-Expires", "\(seconds)")
    default: return HTTPField("CDN-Cache-Control", "max-age=\(seconds)")
    }
  }

  private func rulesCall(_ vendor: any PurgeVendor) throws(PluginError) -> HTTPRequest? {
    let rules = table.stringTable("rules")
    guard !rules.isEmpty else { return nil }
    guard let vendor = vendor as? GenericVendor else {
      throw complaint("rules", "only the vendor \"generic\" takes rules")
    }
    var parsed: [(path: String, seconds: Int)] = []
    for (path, text) in rules.sorted(by: { $0.key < $1.key }) {
      do throws(ConfigUnitError) {
        parsed.append((path, try ConfigDuration.parse(text) / 1000))
      } catch { throw complaint("rules", "\"\(path)\": \(error)") }
    }
    // The longest pattern first: what is said of a part goes before what is said of the whole.
    parsed.sort { ($1.path.utf8.count, $0.path) < ($0.path.utf8.count, $1.path) }
    var json = JSONWriter()
    json.array(parsed) { json, rule in
      json.object { json in
        json.member("path", rule.path)
        json.member("ttl", rule.seconds)
      }
    }
    return vendor.request(
      .init(path: table.string("rules_path"), body: table.string("rules_body")), lists: [:],
      json: ["rules": json.bytes])
  }
}
