import HTTP
import Loop

/// Verifies Akamai's EdgeAuth tokens, in the query, a cookie or a header field: see `AkamaiToken`.
struct AkamaiVerifier: TokenVerifier {
  let scheme = "Akamai EdgeAuth 2.0"
  let settings: SiteConfiguration.Signing.Akamai

  var secretParameters: [String] { settings.names }

  func verify(
    _ asked: TokenRequest, _ request: borrowing RequestHead, client: () -> SocketAddress?
  ) -> TokenVerdict {
    switch CarriedToken(settings.names, in: settings.carriers, asked, request) {
    case .absent: return .absent
    case .several: return .refused(.invalid("there are several tokens"))
    case .found(let text, let name, let carrier):
      guard let token = AkamaiToken(text) else {
        return .refused(.invalid("the token's fields are not those of EdgeAuth, once each and in order"))
      }
      return judge(token, text, name, carrier, asked, client)
    }
  }

  private func judge(
    _ token: AkamaiToken, _ text: [UInt8], _ name: String, _ carrier: TokenCarrier, _ asked: TokenRequest,
    _ client: () -> SocketAddress?
  ) -> TokenVerdict {
    var message = token.signed
    if token.patterns == nil { message += Array("~url=".utf8) + asked.path }
    if let salt = settings.salt { message += Array("~salt=".utf8) + salt.bytes }
    var id: String?
    for key in settings.keys {
      let code = MessageCode.bytes(of: message, key: key.secret.bytes, hash: settings.hash)
      if ConstantTime.equal(code, token.code) { id = key.id }
    }
    guard let id else { return .refused(.invalid("hmac is that of no key")) }
    if let address = token.address {
      guard let bound = IPAddress.canonical(address), bound == client()?.host else {
        return .refused(.invalid("the token is for the address \(address)"))
      }
    }
    if let start = token.startSeconds, start > asked.nowSeconds {
      return .refused(.invalid("the token begins at \(AccessRecord.iso8601(start * 1000))"))
    }
    guard token.expiresSeconds > asked.nowSeconds else { return .refused(.expired(token.expiresSeconds)) }
    var summary = "key \(id), until \(AccessRecord.iso8601(token.expiresSeconds * 1000))"
    guard let patterns = token.patterns else {
      return .valid(AccessGrant(summary: summary + ", this path alone"))
    }
    let shown = patterns.map { String(decoding: $0, as: UTF8.self) }.joined(separator: ", ")
    guard patterns.contains(where: { Glob.matches($0, asked.decodedPath) }) else {
      return .refused(.invalid("the path is none of \(shown)"))
    }
    summary += ", for \(shown)"
    guard carrier == .query else { return .valid(AccessGrant(summary: summary)) }
    return .valid(AccessGrant(childQuery: Array("\(name)=".utf8) + text, summary: summary))
  }
}
