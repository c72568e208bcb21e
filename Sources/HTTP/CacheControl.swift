/// A `Cache-Control` value (RFC 9111 §5.2, RFC 5861, RFC 8246), rendered in one fixed order.
public struct CacheControl: Sendable, Equatable {
  public enum Visibility: Sendable, Equatable {
    case `public`
    case `private`
  }

  /// Whether shared caches may keep the answer; `nil` leaves it to their rules.
  public var visibility: Visibility?
  /// Nothing may be kept. All else is then left out, because it would contradict.
  public var noStore: Bool
  /// Kept answers are asked about again before each use.
  public var noCache: Bool
  /// Stale answers are never used, not even when the origin cannot be reached.
  public var mustRevalidate: Bool
  /// Lifetime in seconds in any cache.
  public var maxAgeSeconds: UInt32?
  /// Lifetime in seconds in shared caches, before `maxAgeSeconds`.
  public var sMaxAgeSeconds: UInt32?
  /// The answer never changes during its lifetime; not even a reload asks again.
  public var immutable: Bool
  /// Seconds after the lifetime in which the stale answer may be used while a new one is fetched.
  public var staleWhileRevalidateSeconds: UInt32?
  /// Seconds after the lifetime in which the stale answer may stand in for an error.
  public var staleIfErrorSeconds: UInt32?

  public init(
    visibility: Visibility? = nil, noStore: Bool = false, noCache: Bool = false,
    mustRevalidate: Bool = false, maxAgeSeconds: UInt32? = nil, sMaxAgeSeconds: UInt32? = nil,
    immutable: Bool = false, staleWhileRevalidateSeconds: UInt32? = nil, staleIfErrorSeconds: UInt32? = nil
  ) {
    self.visibility = visibility
    self.noStore = noStore
    self.noCache = noCache
    self.mustRevalidate = mustRevalidate
    self.maxAgeSeconds = maxAgeSeconds
    self.sMaxAgeSeconds = sMaxAgeSeconds
    self.immutable = immutable
    self.staleWhileRevalidateSeconds = staleWhileRevalidateSeconds
    self.staleIfErrorSeconds = staleIfErrorSeconds
  }

  /// The field value; empty if nothing is set, and then the field should not be sent.
  public var bytes: [UInt8] {
    guard !noStore else { return [UInt8]("no-store".utf8) }
    var directives: [String] = []
    switch visibility {
    case .public: directives.append("public")
    case .private: directives.append("private")
    case nil: break
    }
    if noCache { directives.append("no-cache") }
    if let maxAgeSeconds { directives.append("max-age=\(maxAgeSeconds)") }
    // Private answers never reach a shared cache.
    if let sMaxAgeSeconds, visibility != .private { directives.append("s-maxage=\(sMaxAgeSeconds)") }
    if mustRevalidate { directives.append("must-revalidate") }
    if immutable { directives.append("immutable") }
    if let seconds = staleWhileRevalidateSeconds { directives.append("stale-while-revalidate=\(seconds)") }
    if let seconds = staleIfErrorSeconds { directives.append("stale-if-error=\(seconds)") }
    return [UInt8](directives.joined(separator: ", ").utf8)
  }
}
