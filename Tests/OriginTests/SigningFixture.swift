import HTTP
import Loop

@testable import Origin

/// Requests with tokens, judged without a server.
enum SigningFixture {
  /// 00 01 .. 1f, the key of all vectors.
  static let keyBytes = [UInt8](0..<32)
  static let nowSeconds: Int64 = 1_700_000_000
  static let client = "203.0.113.7"

  static func key(_ id: String = "k1", _ bytes: [UInt8] = keyBytes) -> SiteConfiguration.Credential {
    .init(id: id, secret: Secret(bytes: bytes))
  }

  /// A verifier's verdict on a request line such as `GET /path?query`, or on lines with further fields.
  static func verify(
    _ verifier: any TokenVerifier, _ target: String, fields: String = "", client: String? = client,
    nowSeconds: Int64 = nowSeconds
  ) throws -> TokenVerdict {
    try OriginFixture.withRequest("GET \(target) HTTP/1.1" + (fields.isEmpty ? "" : "\n" + fields)) { head in
      guard let asked = TokenRequest(head, nowSeconds: nowSeconds) else { return .refused(.invalid("path")) }
      return verifier.verify(asked, head) { client.flatMap { try? SocketAddress("\($0):80") } }
    }
  }

  /// What a client hears: nil where it is let pass, else the code of the problem. A request that the parser refuses is
  /// `malformed`, as the server answers it before anybody looks for a token.
  static func hears(
    _ access: SignedAccess, _ target: String, fields: String = "", client: String? = client
  ) throws -> String? {
    do {
      return try OriginFixture.withRequest("GET \(target) HTTP/1.1" + (fields.isEmpty ? "" : "\n" + fields)) {
        head in
        switch access.check(
          head, from: { client.flatMap { try? SocketAddress("\($0):80") } },
          in: try OriginFixture.site())
        {
        case .pass, .grant: nil
        case .awaiting: "awaiting"
        case .refuse(let problem): problem.status == 403 ? problem.code : "\(problem.status)"
        }
      }
    } catch is OriginFixture.NotParsed {
      return "malformed"
    }
  }

  /// The access handler of a site with this `[signing]`.
  static func access(
    _ configure: (inout SiteConfiguration.Signing) throws -> Void, nowSeconds: Int64 = nowSeconds
  ) throws -> SignedAccess {
    var signing = try OriginFixture.siteConfiguration().signing
    signing.required = true
    try configure(&signing)
    guard let access = SignedAccess(signing, nowSeconds: { nowSeconds }) else { throw NoKeys() }
    return access
  }

  struct NoKeys: Error {}
}

extension TokenVerdict {
  var isValid: Bool { if case .valid = self { true } else { false } }

  var reason: String? { if case .refused(let refusal) = self { refusal.reason } else { nil } }

  var refusal: TokenRefusal.Class? { if case .refused(let refusal) = self { refusal.kind } else { nil } }
}
