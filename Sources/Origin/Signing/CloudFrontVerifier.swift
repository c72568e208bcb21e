import HTTP
import Loop

/// Verifies CloudFront's signed URLs and cookies: see `CloudFrontPolicy`.
struct CloudFrontVerifier: TokenVerifier {
  let scheme = "CloudFront"
  let keys: [SiteConfiguration.PublicCredential]
  let publicURLs: [String]

  let secretParameters = ["Signature", "Policy"]

  private static let names = ["Expires", "Policy", "Signature", "Key-Pair-Id", "Hash-Algorithm"]

  /// The parts of a token, wherever they were.
  private struct Sent {
    var values: [String: [UInt8]] = [:]
    var isCookie = false
  }

  private enum Gathered {
    case absent
    case malformed(String)
    case found(Sent)
  }

  func verify(
    _ asked: TokenRequest, _ request: borrowing RequestHead, client: () -> SocketAddress?
  ) -> TokenVerdict {
    let sent: Sent
    switch Self.gather(asked, request) {
    case .absent: return .absent
    case .malformed(let reason): return .refused(.invalid(reason))
    case .found(let found): sent = found
    }
    guard let id = sent.values["Key-Pair-Id"], let signatureText = sent.values["Signature"],
      let signature = CloudFrontPolicy.decode(signatureText), !signature.isEmpty
    else { return .refused(.invalid("Key-Pair-Id or a sound Signature is missing")) }
    let hash: MessageHash
    switch sent.values["Hash-Algorithm"].map({ String(decoding: $0, as: UTF8.self) }) {
    case nil, "SHA1": hash = .sha1
    case "SHA256": hash = .sha256
    default: return .refused(.invalid("Hash-Algorithm is neither SHA1 nor SHA256"))
    }
    guard let key = keys.first(where: { $0.id.utf8.elementsEqual(id) }) else {
      // An unknown key costs the same time.
      if let other = keys.first { _ = other.key.verifies(signature: signature, of: id, hash) }
      return .refused(.invalid("there is no key of that Key-Pair-Id"))
    }
    switch (sent.values["Policy"], sent.values["Expires"]) {
    case (let text?, nil): return custom(text, signature, key, hash, sent, asked, client)
    case (nil, let expires?): return canned(expires, signature, key, hash, asked)
    default: return .refused(.invalid("there is neither Policy nor Expires, or both"))
    }
  }

  private func canned(
    _ expires: [UInt8], _ signature: [UInt8], _ key: SiteConfiguration.PublicCredential, _ hash: MessageHash,
    _ asked: TokenRequest
  ) -> TokenVerdict {
    guard let seconds = PlainNumber.seconds(expires) else {
      return .refused(.invalid("Expires is not a plain number of seconds"))
    }
    let isSigned = asked.origins(publicURLs).contains { origin in
      guard let policy = CloudFrontPolicy.canned(Self.url(origin, asked), expires: expires) else {
        return false
      }
      return key.key.verifies(signature: signature, of: policy, hash)
    }
    guard isSigned else {
      return .refused(.invalid("the signature is not that of key \(key.id) for this URL"))
    }
    guard seconds > asked.nowSeconds else { return .refused(.expired(seconds)) }
    return .valid(
      AccessGrant(summary: "key \(key.id), until \(AccessRecord.iso8601(seconds * 1000)), this path alone"))
  }

  private func custom(
    _ text: [UInt8], _ signature: [UInt8], _ key: SiteConfiguration.PublicCredential, _ hash: MessageHash,
    _ sent: Sent, _ asked: TokenRequest, _ client: () -> SocketAddress?
  ) -> TokenVerdict {
    guard let bytes = CloudFrontPolicy.decode(text), bytes.count <= CloudFrontPolicy.largestBytes,
      key.key.verifies(signature: signature, of: bytes, hash)
    else { return .refused(.invalid("the signature is not that of key \(key.id) for this policy")) }
    guard let policy = CloudFrontPolicy(bytes) else {
      return .refused(.invalid("the policy holds what is not understood here"))
    }
    let resource = Array(policy.resource.utf8)
    guard asked.origins(publicURLs).contains(where: { Glob.matches(resource, Self.url($0, asked)) }) else {
      return .refused(.invalid("the resource \(policy.resource) is not this URL"))
    }
    if let network = policy.network, network != "0.0.0.0/0" {
      guard let address = client()?.host, CloudFrontPolicy.contains(network, address) else {
        return .refused(.invalid("the policy is for the addresses \(network)"))
      }
    }
    if let start = policy.startSeconds, start > asked.nowSeconds {
      return .refused(.invalid("the policy begins at \(AccessRecord.iso8601(start * 1000))"))
    }
    guard policy.expiresSeconds > asked.nowSeconds else { return .refused(.expired(policy.expiresSeconds)) }
    let summary =
      "key \(key.id), until \(AccessRecord.iso8601(policy.expiresSeconds * 1000)), for \(policy.resource)"
    guard !sent.isCookie, policy.resource.contains("*") else { return .valid(AccessGrant(summary: summary)) }
    let query = ["Policy", "Signature", "Key-Pair-Id", "Hash-Algorithm"].compactMap { name in
      sent.values[name].map { Array("\(name)=".utf8) + $0 }
    }
    return .valid(AccessGrant(childQuery: Array(query.joined(separator: [0x26])), summary: summary))
  }

  private static func gather(
    _ asked: TokenRequest, _ request: borrowing RequestHead
  ) -> Gathered {
    var query = Sent()
    var cookie = Sent()
    cookie.isCookie = true
    for name in names {
      let places = asked.query.indices(of: name)
      let cookies = request.cookies(named: "CloudFront-\(name)")
      guard places.count <= 1, cookies.count <= 1 else {
        return .malformed("\(name) is there more than once")
      }
      if let place = places.first { query.values[name] = Array(asked.query.parameters[place].value ?? []) }
      cookie.values[name] = cookies.first
    }
    // What a URL of somebody else's may well have by itself.
    let isInQuery = query.values["Signature"] != nil || query.values["Key-Pair-Id"] != nil
    let isInCookie = !cookie.values.isEmpty
    if asked.query.isDisguised(names) {
      return .malformed("a parameter's name is written with escapes")
    }
    switch (isInQuery, isInCookie) {
    case (false, false): return .absent
    case (true, true): return .malformed("there are a signed URL and signed cookies")
    case (true, false): return .found(query)
    case (false, true): return .found(cookie)
    }
  }

  /// The URL that was signed: without the parameters of the token.
  private static func url(_ origin: TokenRequest.Origin, _ asked: TokenRequest) -> [UInt8] {
    let rest = asked.query.without(Set(names.flatMap { asked.query.indices(of: $0) }))
    let isDefault = origin.port == (origin.scheme == "https" ? 443 : 80)
    let authority = isDefault ? origin.host : "\(origin.host):\(origin.port)"
    return Array("\(origin.scheme)://\(authority)".utf8) + asked.path + (rest.isEmpty ? [] : [0x3F] + rest)
  }
}
