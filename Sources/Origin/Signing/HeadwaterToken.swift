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

/// The five parameters of a token.
struct HeadwaterToken: Sendable, Equatable {
  static let names = ["expires", "kid", "scope", "ip", "sig"]

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

  /// As it stands in a query.
  var query: [UInt8] {
    var query = Array("expires=\(expiresSeconds)&kid=".utf8) + keyID
    if let scope { query += Array("&scope=".utf8) + PercentText.encoded(scope) }
    if isBound { query += Array("&ip=1".utf8) }
    return query + Array("&sig=".utf8) + StrictBase64.encodeURL(signature)
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
    guard let expires = value("expires").flatMap({ PlainNumber.seconds($0) }) else {
      return .malformed("expires is not a plain number of seconds")
    }
    guard let keyID = value("kid"), !keyID.isEmpty else { return .malformed("kid is empty") }
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
        expiresSeconds: expires, keyID: keyID, scope: scope, isBound: bound != nil,
        signature: signature))
  }

  init(expiresSeconds: Int64, keyID: [UInt8], scope: [UInt8]?, isBound: Bool, signature: [UInt8]) {
    self.expiresSeconds = expiresSeconds
    self.keyID = keyID
    self.scope = scope
    self.isBound = isBound
    self.signature = signature
  }

  private static func name(of parameter: QueryParameters.Parameter) -> String? {
    names.first { $0.utf8.elementsEqual(parameter.name) }
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
