// The signed URLs of our own scheme.
//
//     /v/film/master.m3u8?expires=1767225600&kid=k1&scope=/v/film/&sig=xJ5…
//     /f/offer.pdf?download=1&expires=1767225600&kid=k1&ip=1&sig=0aZ…
//
// `sig` is the unpadded base64url of HMAC-SHA256 under the key `kid`, over these lines, each ended by a line feed:
//
//     headwater-v1
//     GET                    the method class: HEAD and ranges are GET
//     /v/film/               the scope; without one the path itself; decoded and normalised
//     1767225600             `expires`, seconds since 1970
//     k1                     `kid`
//     192.0.2.7              the client's address where there is `ip=1`, else nothing
//
// The parameters come last in the query and in this order: expires, kid, scope, ip, sig. What stands before them is not
// signed. Anything else is refused: another order, a parameter twice, a leading zero, a name in escapes, a signature
// that is not canonical base64url. So one token has one spelling (the scope aside, which may be percent-encoded), and
// nobody in front of us can read another token out of the same URL.
//
// No two tokens share their lines: a path that ends in a slash is refused without a scope, or the signature of the path
// would be one of everything below it; control characters are refused in paths, addresses and key ids hold none.

import HTTP
import Loop

/// The five parameters of a token.
struct HeadwaterToken: Sendable, Equatable {
  static let names = ["expires", "kid", "scope", "ip", "sig"]
  /// 2^53: what every language can count to.
  static let latestSeconds: Int64 = 1 << 53

  var expiresSeconds: Int64
  var keyID: [UInt8]
  /// Decoded: begins and ends with a slash.
  var scope: [UInt8]?
  var isBound: Bool
  var signature: [UInt8]

  /// What is signed.
  ///
  /// - Parameters:
  ///   - covered: the scope, or the path where there is none; decoded.
  ///   - address: the client's, for a token that is bound to one.
  static func message(
    covering covered: [UInt8], expiresSeconds: Int64, keyID: [UInt8], address: String?
  ) -> [UInt8] {
    var message = Array("headwater-v1\nGET\n".utf8)
    message.reserveCapacity(message.count + covered.count + keyID.count + 64)
    message += covered
    message += Array("\n\(expiresSeconds)\n".utf8)
    message += keyID
    message.append(0x0A)
    if let address { message += Array(address.utf8) }
    message.append(0x0A)
    return message
  }

  /// Makes a token.
  ///
  /// - Parameter covered: the scope if `isScope`, else the path; decoded.
  init(
    covering covered: [UInt8], isScope: Bool, expiresSeconds: Int64, key: SiteConfiguration.Credential,
    address: String? = nil
  ) {
    self.expiresSeconds = expiresSeconds
    keyID = Array(key.id.utf8)
    scope = isScope ? covered : nil
    isBound = address != nil
    signature = MessageCode.bytes(
      of: Self.message(
        covering: covered, expiresSeconds: expiresSeconds, keyID: keyID, address: address),
      key: key.secret.bytes)
  }

  /// As it stands in a query.
  var query: [UInt8] {
    var query = Array("expires=\(expiresSeconds)&kid=".utf8) + keyID
    if let scope { query += Array("&scope=".utf8) + Self.encoded(scope) }
    if isBound { query += Array("&ip=1".utf8) }
    return query + Array("&sig=".utf8) + StrictBase64.encodeURL(signature)
  }

  /// Slashes may stand in a query (RFC 3986 §3.4); everything else that is not unreserved is escaped.
  private static func encoded(_ scope: [UInt8]) -> [UInt8] {
    let parts = scope.split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: false)
    return Array(parts.map { PercentEncoding.encode(component: Array($0).span) }.joined(separator: [0x2F]))
  }

  enum Parsed: Equatable {
    /// Neither key nor signature: whatever else there is, it is not a token.
    case absent
    case token(HeadwaterToken)
    case malformed(String)
  }

  static func parse(_ query: QueryParameters) -> Parsed {
    guard query.contains("sig") || query.contains("kid") || query.isDisguised(names) else { return .absent }
    guard !query.isDisguised(names) else { return .malformed("a parameter's name is written with escapes") }
    let all = query.parameters
    guard let start = all.firstIndex(where: { name(of: $0) != nil }) else { return .absent }
    let tail = all[start...].map { name(of: $0) }
    guard
      tail == ["expires", "kid", "sig"] || tail == ["expires", "kid", "scope", "sig"]
        || tail == ["expires", "kid", "ip", "sig"] || tail == ["expires", "kid", "scope", "ip", "sig"]
    else {
      return .malformed(
        "the parameters are not expires, kid, scope, ip and sig, once each, in this order, last")
    }
    func value(_ name: String) -> [UInt8]? {
      all[start...].first { $0.name.elementsEqual(name.utf8) }.map { Array($0.value ?? []) }
    }
    guard let expires = value("expires").flatMap(seconds) else {
      return .malformed("expires is not a plain number of seconds")
    }
    guard let signature = value("sig").flatMap({ StrictBase64.decodeURL($0) }), signature.count == 32 else {
      return .malformed("sig is not the base64url of 32 bytes without padding")
    }
    var scope: [UInt8]?
    if let text = value("scope") {
      guard let decoded = self.scope(text) else {
        return .malformed("scope is not a normalised path that begins and ends with a slash")
      }
      scope = decoded
    }
    let bound = value("ip")
    guard bound == nil || bound == [0x31] else { return .malformed("ip is not 1") }
    return .token(
      HeadwaterToken(
        expiresSeconds: expires, keyID: value("kid") ?? [], scope: scope, isBound: bound != nil,
        signature: signature))
  }

  private init(expiresSeconds: Int64, keyID: [UInt8], scope: [UInt8]?, isBound: Bool, signature: [UInt8]) {
    self.expiresSeconds = expiresSeconds
    self.keyID = keyID
    self.scope = scope
    self.isBound = isBound
    self.signature = signature
  }

  private static func name(of parameter: QueryParameters.Parameter) -> String? {
    names.first { $0.utf8.elementsEqual(parameter.name) }
  }

  /// A decimal number without sign or leading zero.
  static func seconds(_ text: some Collection<UInt8>) -> Int64? {
    guard let first = text.first, text.count <= 16, text.count == 1 || first != 0x30 else { return nil }
    var number: Int64 = 0
    for byte in text {
      guard (0x30...0x39).contains(byte) else { return nil }
      number = number * 10 + Int64(byte - 0x30)
    }
    return number <= latestSeconds ? number : nil
  }

  /// Undoes escapes, and refuses what is not the normal form of a folder's path.
  static func scope(_ text: [UInt8]) -> [UInt8]? {
    guard let decoded = PercentText.decoded(text), decoded.first == 0x2F, decoded.last == 0x2F,
      String(validating: decoded, as: UTF8.self) != nil,
      !decoded.contains(where: { $0 < 0x20 || $0 == 0x7F || $0 == 0x5C })
    else { return nil }
    let segments = decoded.split(separator: 0x2F, omittingEmptySubsequences: false)
    guard !segments.contains(where: { $0.elementsEqual(".".utf8) || $0.elementsEqual("..".utf8) }) else {
      return nil
    }
    return decoded
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
    case .malformed(let reason): return .refused(.invalid(reason))
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
