// Common Access Tokens (CTA-5007): CBOR Web Tokens (RFC 8392) under COSE (RFC 9052), taken apart.
//
//     base64url without padding of
//     61( 17([ protected, unprotected, payload, tag ]) )          COSE_Mac0, HMAC-SHA256
//     61( 18([ protected, unprotected, payload, signature ]) )    COSE_Sign1, ECDSA P-256 with SHA-256 (ES256), or
//                                                                 RSASSA-PSS with SHA-256 (PS256, RFC 8230)
//
// The outer tag 61 may be left out. `protected` is a byte string that holds the map { 1: algorithm, 4: key id }; the key id
// may be in the unprotected map. `payload` holds the claims:
//
//     1 iss   2 sub   3 aud   4 exp   5 nbf   6 iat   7 cti   308 catreplay   310 catv   312 catu   313 catm   323 catr …
//
// Understood are iss, aud, exp, nbf, catv (1), catu, catm and catreplay (0, which permits it); sub, iat and cti say nothing
// that could refuse a request. A token with any other claim, or with a part of catu that is not understood, is refused: a
// claim is a condition, and one that is not looked at would be no condition (CTA-5007 §4). That holds for regular
// expressions in catu, which need an engine with a bound on its time, and for catr: a token is renewed by whoever issues it.

/// A token in its COSE wrapping.
struct CommonAccessToken: Sendable, Equatable {
  enum Algorithm: Int64, Sendable {
    case hmacSHA256 = 5
    case es256 = -7
    case ps256 = -37
  }

  var algorithm: Algorithm
  var keyID: [UInt8]?
  /// The 32 bytes of a MAC; r and s of ES256, 32 bytes each; as long as the key for PS256.
  var signature: [UInt8]
  /// What it is over: the Sig_structure or MAC_structure (RFC 9052 §4.4, §6.3).
  var signed: [UInt8]
  var payload: [UInt8]

  /// Nil for what is not such a token.
  init?(_ text: [UInt8]) {
    guard let bytes = StrictBase64.decodeURL(text), var item = CBORItem(bytes) else { return nil }
    if case .tag(61, let inner) = item { item = inner }
    guard case .tag(let kind, .array(let parts)) = item, parts.count == 4,
      case .bytes(let protected) = parts[0], case .map(let unprotected) = parts[1],
      case .bytes(let payload) = parts[2], case .bytes(let signature) = parts[3],
      let header = CBORItem(protected), case .map(let entries) = header,
      case .integer(let number) = header.value(1), let algorithm = Algorithm(rawValue: number)
    else { return nil }
    // Other parameters of the header could change what it all means: "crit" exists to say so.
    for (key, _) in entries where key != .integer(1) && key != .integer(4) { return nil }
    for (key, _) in unprotected where key != .integer(4) { return nil }
    switch (kind, algorithm) {
    case (17, .hmacSHA256) where signature.count == 32: break
    case (18, .es256) where signature.count == 64: break
    case (18, .ps256) where signature.count >= 256: break
    default: return nil
    }
    let ids = [header.value(4), parts[1].value(4)].compactMap { $0 }
    guard ids.count <= 1 else { return nil }
    if let id = ids.first {
      guard case .bytes(let bytes) = id else { return nil }
      keyID = bytes
    }
    self.algorithm = algorithm
    self.signature = signature
    self.payload = payload
    signed = CBORText.array([
      CBORText.text(algorithm == .hmacSHA256 ? "MAC0" : "Signature1"), CBORText.bytes(protected),
      CBORText.bytes([]), CBORText.bytes(payload),
    ])
  }
}

/// What a token claims, every claim of it understood.
struct AccessClaims: Sendable, Equatable {
  var issuer: String?
  /// Nil: whoever understands it.
  var audiences: [String]?
  var expiresSeconds: Int64
  var notBeforeSeconds: Int64?
  /// Nil: all.
  var methods: [String]?
  var url: [URLMatch]

  /// One condition on a part of the URL.
  struct URLMatch: Sendable, Equatable {
    enum Part: Int64, Sendable {
      case scheme = 0
      case host, port, path, query, parentPath, fileName, stem, fileExtension
    }

    enum Kind: Int64, Sendable {
      case exact = 0
      case prefix, suffix, contains
      case sha256 = -1
      case sha512t256 = -2
    }

    var part: Part
    var kind: Kind
    var value: [UInt8]
  }

  /// Why a payload is no set of claims that could be checked.
  struct Refusal: Error, Equatable {
    var reason: String
  }

  init(_ payload: [UInt8]) throws(Refusal) {
    guard case .map(let claims) = CBORItem(payload) else {
      throw Refusal(reason: "the payload is not a map of claims")
    }
    url = []
    var expires: Int64?
    var version: Int64?
    for (key, value) in claims {
      switch (key, value) {
      case (.integer(1), .text(let text)): issuer = text
      case (.integer(3), .text(let text)): audiences = [text]
      case (.integer(3), .array(let items)): audiences = try Self.texts(items, in: "aud")
      case (.integer(2), .text), (.integer(6), .integer), (.integer(7), .bytes): continue
      case (.integer(4), .integer(let seconds)): expires = seconds
      case (.integer(5), .integer(let seconds)): notBeforeSeconds = seconds
      case (.integer(308), .integer(0)): continue
      case (.integer(310), .integer(let number)): version = number
      case (.integer(312), .map(let parts)): url = try Self.matches(parts)
      case (.integer(313), .array(let items)): methods = try Self.texts(items, in: "catm")
      default: throw Refusal(reason: "the claim \(Self.shown(key)) is not understood here")
      }
    }
    guard version == nil || version == 1 else { throw Refusal(reason: "catv is not 1") }
    guard let expires else { throw Refusal(reason: "there is no exp") }
    guard PlainNumber.isTime(expires), PlainNumber.isTime(notBeforeSeconds ?? 0) else {
      throw Refusal(reason: "exp or nbf is no time")
    }
    expiresSeconds = expires
  }

  private static func texts(_ items: [CBORItem], in claim: String) throws(Refusal) -> [String] {
    try items.map { item throws(Refusal) in
      guard case .text(let text) = item else { throw Refusal(reason: "\(claim) holds what is no text") }
      return text
    }
  }

  /// Claims of CTA-5007 that are refused, by their names.
  private static let names: [Int64: String] = [
    8: "cnf", 308: "catreplay, other than 0,", 309: "catpor", 311: "catnip", 314: "catalpn", 315: "cath",
    316: "catgeoiso3166", 317: "catgeocoord", 318: "catgeoalt", 319: "cattpk", 320: "catifdata",
    321: "catdpop",
    322: "catif", 323: "catr",
  ]

  private static func shown(_ key: CBORItem) -> String {
    switch key {
    case .integer(let number): names[number] ?? "\(number)"
    case .text(let text): text
    default: "of that name"
    }
  }

  private static func matches(
    _ parts: [(key: CBORItem, value: CBORItem)]
  ) throws(Refusal) -> [URLMatch] {
    var matches: [URLMatch] = []
    for (key, value) in parts {
      guard case .integer(let number) = key, let part = URLMatch.Part(rawValue: number),
        case .map(let conditions) = value
      else { throw Refusal(reason: "catu names a part of the URL that is not understood here") }
      for (kind, value) in conditions {
        if kind == .integer(4) {
          throw Refusal(reason: "catu has a regular expression, which is not understood here")
        }
        guard case .integer(let number) = kind, let kind = URLMatch.Kind(rawValue: number) else {
          throw Refusal(reason: "catu matches in a way that is not understood here")
        }
        switch (kind, value) {
        case (.sha256, .bytes(let digest)), (.sha512t256, .bytes(let digest)):
          matches.append(URLMatch(part: part, kind: kind, value: digest))
        case (.sha256, _), (.sha512t256, _): throw Refusal(reason: "catu has a digest that is none")
        case (_, .text(let text)): matches.append(URLMatch(part: part, kind: kind, value: Array(text.utf8)))
        default: throw Refusal(reason: "catu compares with what is no text")
        }
      }
    }
    return matches
  }

  /// Whether all that is below some folder may be opened, so that a manifest may carry the token on.
  var opensMore: Bool {
    !url.contains { match in
      switch match.part {
      case .path, .fileName, .stem, .fileExtension: match.kind != .prefix
      case .parentPath, .query: ![.prefix, .suffix, .contains].contains(match.kind)
      case .scheme, .host, .port: false
      }
    }
  }
}
