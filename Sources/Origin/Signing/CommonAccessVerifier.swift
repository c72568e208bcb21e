import HTTP
import Loop
import Store

/// Verifies Common Access Tokens: see `CommonAccessToken`.
struct CommonAccessVerifier: TokenVerifier {
  let scheme = "Common Access Token"
  let settings: SiteConfiguration.Signing.CommonAccess
  let publicURLs: [String]

  var secretParameters: [String] { [settings.name] }

  func verify(
    _ asked: TokenRequest, _ request: borrowing RequestHead, client: () -> SocketAddress?
  ) -> TokenVerdict {
    switch CarriedToken([settings.name], in: Set(TokenCarrier.allCases), asked, request) {
    case .absent: return .absent
    case .several: return .refused(.invalid("there are several tokens"))
    case .found(let text, let name, let carrier):
      guard let token = CommonAccessToken(text) else {
        return .refused(
          .invalid(
            "it is not a COSE_Mac0 with HS256 or a COSE_Sign1 with ES256 or PS256, as strictly written"))
      }
      guard let id = signer(of: token) else {
        return .refused(.invalid("the signature is that of no key, or its kid names none"))
      }
      let claims: AccessClaims
      do throws(AccessClaims.Refusal) { claims = try AccessClaims(token.payload) } catch {
        return .refused(.invalid(error.reason))
      }
      if let refusal = refusal(claims, asked, query: asked.query.without(Set(asked.query.indices(of: name))))
      {
        return .refused(refusal)
      }
      let summary =
        "key \(id), issuer \(claims.issuer ?? ""), until \(AccessRecord.iso8601(claims.expiresSeconds * 1000))"
      guard carrier == .query, claims.opensMore else { return .valid(AccessGrant(summary: summary)) }
      return .valid(AccessGrant(childQuery: Array("\(name)=".utf8) + text, summary: summary))
    }
  }

  /// The id of the key that made the token; all that could have are tried, where it names none.
  private func signer(of token: CommonAccessToken) -> String? {
    var id: String?
    switch token.algorithm {
    case .hmacSHA256:
      let named = settings.keys.filter { token.keyID == nil || token.keyID == Array($0.id.utf8) }
      // An unknown key costs the same time.
      if named.isEmpty { _ = MessageCode.bytes(of: token.signed, key: [UInt8](repeating: 0, count: 32)) }
      for key in named
      where ConstantTime.equal(MessageCode.bytes(of: token.signed, key: key.secret.bytes), token.signature) {
        id = key.id
      }
    case .es256, .ps256:
      for key in settings.publicKeys where token.keyID == nil || token.keyID == Array(key.id.utf8) {
        let isMade =
          token.algorithm == .es256
          ? key.key.verifies(rawSignature: token.signature, of: token.signed)
          : key.key.verifies(pssSignature: token.signature, of: token.signed)
        if isMade { id = key.id }
      }
    }
    return id
  }

  private func refusal(_ claims: AccessClaims, _ asked: TokenRequest, query: [UInt8]) -> TokenRefusal? {
    guard let issuer = claims.issuer, settings.issuers.contains(issuer) else {
      return .invalid("the issuer \(claims.issuer ?? "that is not there") is none of signing.cat.issuers")
    }
    if let audiences = claims.audiences, !audiences.contains(where: settings.audiences.contains) {
      return .invalid("the token is for \(audiences.joined(separator: ", ")): none of signing.cat.audiences")
    }
    if let start = claims.notBeforeSeconds, start > asked.nowSeconds {
      return .invalid("the token begins at \(AccessRecord.iso8601(start * 1000))")
    }
    guard claims.expiresSeconds > asked.nowSeconds else { return .expired(claims.expiresSeconds) }
    if let methods = claims.methods, !methods.contains(asked.method) {
      return .invalid("catm does not hold \(asked.method)")
    }
    guard
      asked.origins(publicURLs).contains(where: { origin in
        claims.url.allSatisfy { $0.holds(asked, origin, query: query) }
      })
    else { return .invalid("catu does not hold this URL") }
    return nil
  }
}

extension AccessClaims.URLMatch {
  func holds(_ asked: TokenRequest, _ origin: TokenRequest.Origin, query: [UInt8]) -> Bool {
    let text = self.text(asked, origin, query)
    return switch kind {
    case .exact: text == value
    case .prefix: text.starts(with: value)
    case .suffix: text.reversed().starts(with: value.reversed())
    case .contains: value.isEmpty || text.firstRange(of: value) != nil
    case .sha256: BlobID.digest(of: text).withUnsafeBytes { $0.elementsEqual(value) }
    case .sha512t256: MessageDigest.sha512t256(text) == value
    }
  }

  private func text(_ asked: TokenRequest, _ origin: TokenRequest.Origin, _ query: [UInt8]) -> [UInt8] {
    let path = asked.decodedPath
    let nameStart = path.lastIndex(of: 0x2F).map { $0 + 1 } ?? 0
    let name = path[nameStart...]
    let period = name.lastIndex(of: 0x2E)
    return switch part {
    case .scheme: Array(origin.scheme.utf8)
    case .host: Array(origin.host.utf8)
    case .port: Array("\(origin.port)".utf8)
    case .path: path
    case .query: query
    case .parentPath: Array(path[..<max(0, nameStart - 1)])
    case .fileName: Array(name)
    case .stem: period.map { Array(name[..<$0]) } ?? Array(name)
    case .fileExtension: period.map { Array(name[$0...]) } ?? []
    }
  }
}
