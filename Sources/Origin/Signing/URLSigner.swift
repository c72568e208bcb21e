/// Makes signed URLs of our own scheme, as `headwater sign` prints them.
public struct URLSigner: Sendable {
  /// Why a URL cannot be signed, in one sentence that says what to change.
  public struct Refusal: Error, Sendable, Equatable, CustomStringConvertible {
    public let description: String
  }

  private let key: SiteConfiguration.Credential

  /// - Parameter keyID: one of the site's; nil takes the first.
  public init(_ site: SiteConfiguration, keyID: String? = nil) throws(Refusal) {
    let keys = site.signing.keys
    guard let first = keys.first else {
      throw Refusal(
        description: "the site \(site.name) has no signing keys: add some to [signing] in its file")
    }
    guard let keyID else {
      key = first
      return
    }
    guard let found = keys.first(where: { $0.id == keyID }) else {
      let names = keys.map(\.id).joined(separator: ", ")
      throw Refusal(description: "the site \(site.name) has no signing key \"\(keyID)\"; it has: \(names)")
    }
    key = found
  }

  /// The URL with a token behind its other parameters.
  ///
  /// - Parameters:
  ///   - url: absolute, or a path. Its path is signed in the form that the server compares.
  ///   - expiresSeconds: since 1970.
  ///   - scope: a path that begins and ends with a slash; the token opens everything below it. Nil: this URL alone.
  ///   - address: the only client that may use it, as an IP address.
  public func sign(
    _ url: String, expiresSeconds: Int64, scope: String? = nil, address: String? = nil
  ) throws(Refusal) -> String {
    guard (0...PlainNumber.latestSeconds).contains(expiresSeconds) else {
      throw Refusal(description: "the time of expiry is out of range")
    }
    guard !url.contains("#") else {
      throw Refusal(description: "the URL has a fragment, which no server sees: leave it out")
    }
    guard let asked = RequestTarget(url).withHead({ TokenRequest($0, nowSeconds: 0) }) ?? nil else {
      throw Refusal(description: "the URL has no path that can be signed")
    }
    guard HeadwaterToken.names.allSatisfy({ !asked.query.contains($0) }) else {
      let names = HeadwaterToken.names.joined(separator: ", ")
      throw Refusal(description: "the URL has one of the parameters \(names) already")
    }
    var covered = asked.decodedPath
    if let scope {
      guard let normal = HeadwaterToken.scope(Array(scope.utf8)) else {
        throw Refusal(description: "the scope \(scope) is not a path that begins and ends with a slash")
      }
      guard covered.starts(with: normal) else {
        throw Refusal(description: "the scope \(scope) does not hold the path of the URL")
      }
      covered = normal
    } else if covered.last == 0x2F {
      throw Refusal(description: "a path that ends in a slash can be signed only with --scope")
    }
    var bound: String?
    if let address {
      guard let normal = IPAddress.canonical(address) else {
        throw Refusal(description: "\(address) is not an IP address")
      }
      bound = normal
    }
    let token = HeadwaterToken(
      covering: covered, isScope: scope != nil, expiresSeconds: expiresSeconds, key: key, address: bound)
    let joint = !url.contains("?") ? "?" : url.hasSuffix("?") || url.hasSuffix("&") ? "" : "&"
    return url + joint + String(decoding: token.query, as: UTF8.self)
  }
}
