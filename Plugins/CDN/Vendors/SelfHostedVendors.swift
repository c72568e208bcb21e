// Caches that the operator runs: Varnish, nginx, Apache Traffic Server
//
// Each is told by a request to the cache itself, with the Host that viewers use. How the cache has to be set up for it is in
// docs/CDN.md, word for word as the tests use it.

import Net

/// The cache server that is told, and the hosts it keeps the site under.
struct CacheServer: Equatable, Sendable {
  /// `http://10.0.0.5:6081`.
  var address: String
  var hosts: [String]
  /// What shows who asks; empty where addresses decide.
  var fields: [HTTPField] = []

  func requests(_ method: String, _ path: String, _ more: [HTTPField] = []) -> [HTTPRequest] {
    hosts.map { HTTPRequest(method, address + path, fields: [HTTPField("Host", $0)] + fields + more) }
  }
}

/// Varnish: `PURGE` of a URL, vmod xkey or bans for tags, bans for trees.
///
/// A ban is a test that every object is put to: cheap to add, dear in thousands. xkey is an index.
struct VarnishVendor: PurgeVendor {
  let server: CacheServer
  let isSoft: Bool
  /// Tags by bans instead of vmod xkey.
  let bans: Bool

  let kinds: Set<EdgeTask.Kind> = [.tag, .path, .tree, .everything]
  let limits = VendorLimits(items: 64)

  func calls(for entries: [EdgeQueue.Entry], at moment: CallMoment) -> [PurgeCall] {
    var calls: [PurgeCall] = []
    func add(_ requests: [HTTPRequest], _ entries: [EdgeQueue.Entry]) {
      calls += requests.map { PurgeCall(request: $0, entries: entries) }
    }
    for batch in entries.of(.tag).batches(limits.items) where !batch.isEmpty {
      let tags = batch.map(\.task.name)
      // Tags are of the site, not of a host: one request does for all.
      if bans {
        // Without blanks: it becomes one word of a ban.
        let pattern = "(^|\\s)(\(tags.map(Self.literal).joined(separator: "|")))(\\s|$)"
        add(Array(server.requests("BAN", "/", [HTTPField("X-Ban-Tags", pattern)]).prefix(1)), batch)
      } else {
        let name = isSoft ? "xkey-softpurge" : "xkey-purge"
        let field = HTTPField(name, tags.joined(separator: " "))
        add(Array(server.requests("PURGE", "/", [field]).prefix(1)), batch)
      }
    }
    for entry in entries.of(.path) { add(server.requests("PURGE", entry.task.name), [entry]) }
    for entry in entries.of(.tree) {
      add(
        server.requests("BAN", "/", [HTTPField("X-Ban-Path", "^\(Self.literal(entry.task.name))")]), [entry])
    }
    for entry in entries.of(.everything) {
      add(server.requests("BAN", "/", [HTTPField("X-Ban-Path", "^/")]), [entry])
    }
    return calls
  }

  /// A text that stands for itself in a regular expression, and inside of quotes of VCL.
  private static func literal(_ text: String) -> String {
    text.map {
      "\\.+*?()[]{}|^$\"".contains($0) ? "[\($0 == "\\" || $0 == "^" ? "\\\($0)" : "\($0)")]" : "\($0)"
    }
    .joined()
  }
}

/// nginx: `PURGE` for its cache purge modules, or a GET that passes by the cache and renews what is kept.
struct NginxVendor: PurgeVendor {
  let server: CacheServer
  /// Renew instead of forget: for an nginx without such a module.
  let refreshes: Bool
  /// A renewal that the origin answers with 404 is kept only where nginx keeps such answers, and for each segment it would be asked.
  var forgetsRemoved: Bool { !refreshes }

  let kinds: Set<EdgeTask.Kind> = [.path]
  let limits = VendorLimits()

  func calls(for entries: [EdgeQueue.Entry], at moment: CallMoment) -> [PurgeCall] {
    entries.of(.path).flatMap { entry in
      server.requests(refreshes ? "GET" : "PURGE", entry.task.name).map {
        var request = $0
        request.keepsBody = false
        request.mostResponseBytes = 1 << 30
        return PurgeCall(request: request, entries: [entry])
      }
    }
  }

  /// 404 is "not kept", 412 the same from older modules. A refresh is answered by the origin: what is gone is kept as gone, but an
  /// answer that nobody may keep leaves the old copy where it is.
  func verdict(on response: HTTPResponse, to call: PurgeCall) -> PurgeVerdict {
    guard refreshes else { return .of(response, done: [404, 412]) }
    switch response.status {
    case 404, 410, 422: return .done
    case 401, 403:
      return .refused("the origin answers \(response.status), which nginx does not keep: the old copy stays")
    default: return .of(response)
    }
  }
}

/// Apache Traffic Server: `PURGE`, which `ip_allow.yaml` has to admit.
struct TrafficServerVendor: PurgeVendor {
  let server: CacheServer

  let kinds: Set<EdgeTask.Kind> = [.path]
  let limits = VendorLimits()

  func calls(for entries: [EdgeQueue.Entry], at moment: CallMoment) -> [PurgeCall] {
    entries.of(.path).flatMap { entry in
      server.requests("PURGE", entry.task.name).map { PurgeCall(request: $0, entries: [entry]) }
    }
  }

  /// 404 is "not kept".
  func verdict(on response: HTTPResponse, to call: PurgeCall) -> PurgeVerdict { .of(response, done: [404]) }
}
