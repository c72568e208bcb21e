// Content keys from a key service, by `encryption.key_url`
//
//     GET https://keys.example.com/v1/film        Authorization: Bearer …
//     200 {"kid": "…", "key": "…"}                 (`KeyDocument`)
//
//     answer                      what viewers get                        remembered
//     200 and a key               the media                               until the configuration is loaded anew
//     404, 410                    403 `content-key-missing`               10 s
//     all else, or none in time   503 `content-key-unavailable`           1 s, and longer with each failure, up to 15 s
//
// One request an asset and process, whatever the number of viewers, segments and loops: who comes while it is under way
// waits for the same answer. Nothing is ever sent in clear for want of a key. A node that starts while the service is down
// answers 503 for what it has not seen; one that runs goes on with what it knows.
//
// What is below `enc/` has the key in its fingerprint (`Protection`), so nodes agree as long as the service tells all of
// them the same key.

import HTTP
import Logging
import Loop
import Net
import Packaging
import Synchronization

/// Asks for the content keys of one site, and remembers them. Used from all loops.
final class KeyService: Sendable {
  /// What is known about the key of an asset.
  enum Lookup {
    case key(ContentKey)
    /// The service has none for it.
    case missing
    case unavailable(retryAfterSeconds: Int)
    /// Nobody has asked, or the answer is on its way.
    case unknown
  }

  private enum Entry {
    case key(ContentKey)
    case missing(until: ContinuousClock.Instant)
    case failed(until: ContinuousClock.Instant, Backoff)
  }

  private struct State {
    var entries = RecentTable<String, Entry>(limit: 16_384)
    var waiting: [String: [UnsafeContinuation<Void, Never>]] = [:]
  }

  private static let missingDuration = Duration.seconds(10)
  private static let backoff = Backoff(firstMilliseconds: 1000, longestMilliseconds: 15_000)
  /// What a service may ask for with `Retry-After`.
  private static let longestRetryMilliseconds: UInt64 = 60_000

  let requests = Atomic<UInt64>(0)
  let failures = Atomic<UInt64>(0)
  private let settings: SiteConfiguration.Encryption.KeyURL
  private let site: String
  private let client: HTTPClient
  private let logger: Logger
  private let state = Mutex(State())

  /// - Parameter loop: where the requests are made.
  init(_ settings: SiteConfiguration.Encryption.KeyURL, site: String, loop: EventLoop, logger: Logger) {
    self.settings = settings
    self.site = site
    self.logger = logger
    var options = HTTPClient.Options()
    options.addresses = settings.allowsPrivateAddresses ? .publicAndPrivate : .publicOnly
    options.certificateAuthoritiesPath = settings.certificateAuthoritiesPath
    options.mostConnectionsPerHost = 4
    options.mostWaiting = 1024
    client = HTTPClient(loop: loop, options: options)
  }

  /// The service of a site that needs one; nil for all others.
  convenience init?(of site: SiteConfiguration, loop: EventLoop, logger: Logger) {
    guard site.encryption.method != nil, let settings = site.encryption.keyURL else { return nil }
    self.init(settings, site: site.name, loop: loop, logger: logger)
  }

  func lookup(_ asset: String) -> Lookup {
    state.withLock { state in
      switch state.entries[asset] {
      case .key(let key): .key(key)
      case .missing(let until) where until > .now: .missing
      case .failed(let until, _) where until > .now:
        .unavailable(retryAfterSeconds: Int(max(1, (until - .now).components.seconds + 1)))
      case .missing, .failed, nil: .unknown
      }
    }
  }

  /// Returns when the service has answered for the asset, or was found not to. Resumes on the caller's executor.
  nonisolated(nonsending) func fetch(_ asset: String) async {
    await withUnsafeContinuation { continuation in
      let isFirst = state.withLock { state in
        state.waiting[asset, default: []].append(continuation)
        return state.waiting[asset]?.count == 1
      }
      if isFirst { request(asset) }
    }
  }

  private func request(_ asset: String) {
    requests.add(1, ordering: .relaxed)
    var request = HTTPRequest(
      "GET", settings.url(ofAsset: asset), fields: [HTTPField("Accept", "application/json")])
    if let token = settings.token {
      request.fields.append(
        HTTPField("Authorization", "Bearer \(String(decoding: token.bytes, as: UTF8.self))"))
    }
    request.timeoutMilliseconds = settings.timeoutMilliseconds
    request.connectTimeoutMilliseconds = settings.timeoutMilliseconds
    request.mostResponseBytes = KeyDocument.largestBytes
    client.send(request) { self.answered(asset, $0) }
  }

  private func answered(_ asset: String, _ result: Result<HTTPResponse, HTTPClientError>) {
    var complaint: String?
    var retryAfterMilliseconds: UInt64 = 0
    var entry: Entry?
    switch result {
    case .success(let response) where response.status == 200:
      if let key = KeyDocument.parse(response.body) {
        entry = .key(key)
      } else {
        complaint = "the answer is no JSON with kid and key of 16 bytes each"
      }
    case .success(let response) where response.status == 404 || response.status == 410:
      entry = .missing(until: .now + Self.missingDuration)
    case .success(let response):
      complaint = "the answer has status \(response.status)"
      retryAfterMilliseconds = min(response.retryAfterMilliseconds ?? 0, Self.longestRetryMilliseconds)
    case .failure(let error) where error.code == .addressRefused:
      complaint = "\(error); set encryption.key_allow_private = true for a service in a private network"
    case .failure(let error):
      complaint = "\(error)"
    }
    if let complaint {
      failures.add(1, ordering: .relaxed)
      logger.error(
        "content key: \(complaint)", metadata: ["site": "\(site)", "asset": "\(asset)"])
    }
    let waiting = state.withLock { state in
      if let entry {
        state.entries[asset] = entry
      } else {
        var backoff = Self.backoff
        if case .failed(_, let before) = state.entries[asset] { backoff = before }
        let wait = backoff.next(atLeastMilliseconds: retryAfterMilliseconds)
        state.entries[asset] = .failed(until: .now + .milliseconds(Int64(wait)), backoff)
      }
      return state.waiting.removeValue(forKey: asset) ?? []
    }
    for continuation in waiting { continuation.resume() }
  }
}

extension Problem {
  /// Nothing goes out in clear meanwhile.
  static func contentKeyUnavailable(retryAfterSeconds: Int) -> Problem {
    Problem(
      status: 503, code: "content-key-unavailable", title: "Content key unavailable",
      detail: "The key service of this site did not give the key of this asset; try again soon.",
      fields: [.init("Retry-After", "\(retryAfterSeconds)")])
  }
}
