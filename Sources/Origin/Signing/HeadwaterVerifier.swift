import HTTP
import Loop

extension HeadwaterToken {
  /// Makes a token.
  ///
  /// - Parameter covered: the scope if `isScope`, else the path; decoded.
  init(
    covering covered: [UInt8], isScope: Bool, expiresSeconds: Int64, key: SiteConfiguration.Credential,
    address: String? = nil
  ) {
    let keyID = Array(key.id.utf8)
    let message = Self.message(
      covering: covered, expiresSeconds: expiresSeconds, keyID: keyID, address: address)
    self.init(
      expiresSeconds: expiresSeconds, keyID: keyID, scope: isScope ? covered : nil, isBound: address != nil,
      signature: MessageCode.bytes(of: message, key: key.secret.bytes))
  }
}

/// Verifies the tokens of our own scheme, and renews them.
struct HeadwaterVerifier: TokenVerifier {
  let scheme = "headwater"
  let secretParameters = ["sig"]
  let keys: [SiteConfiguration.Credential]
  let renewal: SiteConfiguration.Signing.Renewal

  func verify(
    _ asked: TokenRequest, _ request: borrowing RequestHead, client: () -> SocketAddress?
  ) -> TokenVerdict {
    switch HeadwaterToken.parse(asked.query) {
    case .absent: return .absent
    case .malformed(let reason):
      // It costs the time of one that is well formed.
      _ = MessageCode.bytes(of: asked.decodedPath, key: Self.noKey)
      return .refused(.invalid(reason))
    case .token(let token): return judge(token, asked, client)
    }
  }

  private func judge(
    _ token: HeadwaterToken, _ asked: TokenRequest, _ client: () -> SocketAddress?
  ) -> TokenVerdict {
    let key = keys.first { $0.id.utf8.elementsEqual(token.keyID) }
    let address = token.isBound ? client()?.host : nil
    let code = MessageCode.bytes(
      of: HeadwaterToken.message(
        covering: token.scope ?? asked.decodedPath, expiresSeconds: token.expiresSeconds, keyID: token.keyID,
        address: address),
      // An unknown key costs the same time.
      key: key?.secret.bytes ?? Self.noKey)
    let isRight = ConstantTime.equal(code, token.signature)
    guard let key else { return .refused(.invalid("there is no key of that id")) }
    guard !token.isBound || address != nil else {
      return .refused(.invalid("the token is bound to an address, and the client's is not known"))
    }
    guard isRight else {
      return .refused(
        .invalid("the signature is not that of key \(key.id)\(token.isBound ? " and this address" : "")"))
    }
    guard token.expiresSeconds > asked.nowSeconds else { return .refused(.expired(token.expiresSeconds)) }
    var summary = "key \(key.id), until \(AccessRecord.iso8601(token.expiresSeconds * 1000))"
    if token.isBound { summary += ", for \(address ?? "")" }
    guard let scope = token.scope else {
      guard asked.decodedPath.last != 0x2F else {
        return .refused(.invalid("a path that ends in a slash needs a scope"))
      }
      return .valid(AccessGrant(summary: summary + ", this path alone"))
    }
    guard asked.decodedPath.starts(with: scope) else {
      return .refused(.invalid("the scope \(String(decoding: scope, as: UTF8.self)) does not hold this path"))
    }
    summary += ", below \(String(decoding: scope, as: UTF8.self))"
    let fresh = renewed(token, scope, address, asked.nowSeconds)
    return .valid(
      AccessGrant(childQuery: (fresh ?? token).query, isRenewed: fresh != nil, summary: summary))
  }

  /// A token for the same that ends later, where the site wants that and the end is near.
  ///
  /// Its end is a whole minute, so that within one all answers are the same.
  private func renewed(
    _ token: HeadwaterToken, _ scope: [UInt8], _ address: String?, _ nowSeconds: Int64
  ) -> HeadwaterToken? {
    guard renewal.beforeSeconds > 0, let key = keys.first,
      token.expiresSeconds - nowSeconds <= renewal.beforeSeconds
    else {
      return nil
    }
    let expires = (nowSeconds / 60 + 1) * 60 + renewal.forSeconds
    guard expires > token.expiresSeconds else { return nil }
    return HeadwaterToken(covering: scope, isScope: true, expiresSeconds: expires, key: key, address: address)
  }

  private static let noKey = [UInt8](repeating: 0, count: 32)
}
