// nginx's ngx_http_secure_link_module: `?md5=…&expires=…`.
//
// `md5` is the unpadded base64url of the MD5 over an expression that the operator wrote into nginx's configuration, here
// with `$secret` for the secret, so that several can be valid:
//
//     secure_link      $arg_md5,$arg_expires;
//     secure_link_md5  "$secure_link_expires$uri$remote_addr s3cret";    →  "$secure_link_expires$uri$remote_addr $secret"
//
// `$uri` is the path without escapes, in normal form, as in nginx. `$asset` is ours: `/v/{id}/` for all that lies below
// an asset. With it in the place of `$uri` a link opens the whole asset, and manifests carry it on.
//
// MD5 with a secret behind public text is weak by today's measures, and the text has no marks between its parts: take it
// for links that exist, and our own scheme for new ones. Where nginx takes the first of two parameters, both are refused.

import HTTP
import Loop

/// Verifies links of nginx's secure_link.
struct NginxSecureLinkVerifier: TokenVerifier {
  let scheme = "nginx secure_link"
  let settings: SiteConfiguration.Signing.NginxSecureLink

  var secretParameters: [String] { [settings.signatureParameter] }

  func verify(
    _ asked: TokenRequest, _ request: borrowing RequestHead, client: () -> SocketAddress?
  ) -> TokenVerdict {
    let names = [settings.signatureParameter, settings.expiresParameter]
    guard asked.query.contains(settings.signatureParameter) || asked.query.isDisguised(names) else {
      return .absent
    }
    guard !asked.query.isDisguised(names), let sent = asked.query.single(settings.signatureParameter),
      let expiresText = asked.query.single(settings.expiresParameter)
    else {
      return .refused(.invalid("\(names[0]) and \(names[1]) are not there once each"))
    }
    guard let signature = StrictBase64.decodeURL(sent), signature.count == 16 else {
      return .refused(.invalid("\(names[0]) is not the base64url of 16 bytes without padding"))
    }
    guard let expires = PlainNumber.seconds(expiresText) else {
      return .refused(.invalid("\(names[1]) is not a plain number of seconds"))
    }
    guard let template = text(asked, Array(expiresText), client) else {
      return .refused(.invalid("the path lies below no asset, or the client's address is not known"))
    }
    // All keys are tried, whichever fits.
    var id: String?
    for key in settings.keys {
      let parts = template.map { $0 ?? key.secret.bytes }
      if ConstantTime.equal(MessageDigest.md5(Array(parts.joined())), signature) { id = key.id }
    }
    guard let id else { return .refused(.invalid("\(names[0]) is that of no key")) }
    guard expires > asked.nowSeconds else { return .refused(.expired(expires)) }
    let summary = "key \(id), until \(AccessRecord.iso8601(expires * 1000))"
    guard settings.expression.contains(.asset) else { return .valid(AccessGrant(summary: summary)) }
    let query = Array("\(names[0])=".utf8) + sent + Array("&\(names[1])=".utf8) + expiresText
    return .valid(AccessGrant(childQuery: query, summary: summary + ", the whole asset"))
  }

  /// The text that is digested, with nil in the place of the secret.
  private func text(
    _ asked: TokenRequest, _ expires: [UInt8], _ client: () -> SocketAddress?
  ) -> [[UInt8]?]? {
    var parts: [[UInt8]?] = []
    for part in settings.expression {
      switch part {
      case .text(let text): parts.append(Array(text.utf8))
      case .expires: parts.append(expires)
      case .uri: parts.append(asked.decodedPath)
      case .asset:
        guard let asset = asked.assetPath else { return nil }
        parts.append(asset)
      case .address:
        guard let address = client()?.host else { return nil }
        parts.append(Array(address.utf8))
      case .host: parts.append(Array(asked.host.utf8))
      case .secret: parts.append(nil)
      }
    }
    return parts
  }
}

/// A piece of the text that nginx digests.
enum SecureLinkPart: Sendable, Equatable {
  case text(String)
  case expires
  case uri
  case asset
  case address
  case host
  case secret

  private static let variables: [(name: String, part: SecureLinkPart)] = [
    ("$secure_link_expires", .expires), ("$uri", .uri), ("$asset", .asset), ("$remote_addr", .address),
    ("$host", .host), ("$secret", .secret),
  ]

  /// Takes an expression apart; nil where a variable is not one of ours.
  static func parse(_ expression: String) -> [SecureLinkPart]? {
    var parts: [SecureLinkPart] = []
    var rest = expression[...]
    while let dollar = rest.firstIndex(of: "$") {
      if dollar > rest.startIndex { parts.append(.text(String(rest[..<dollar]))) }
      rest = rest[dollar...]
      guard let found = variables.first(where: { rest.hasPrefix($0.name) }) else { return nil }
      parts.append(found.part)
      rest = rest.dropFirst(found.name.count)
    }
    if !rest.isEmpty { parts.append(.text(String(rest))) }
    return parts
  }
}
