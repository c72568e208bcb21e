// The secret by which an origin knows its CDN.
//
// A CDN that is told to add a header field to its requests can be told from everybody else who finds the origin's
// address. Several values are valid at once, so that one can be replaced: add the new one here, change the CDN, remove
// the old one here. It is looked at before everything else, OPTIONS included.

import HTTP

/// What requests of a site must bring to be answered at all.
struct OriginSecret: Sendable {
  private let name: [UInt8]
  private let secrets: [Secret]

  /// Nil for a site that asks for none.
  init?(_ configuration: SiteConfiguration.OriginSecret) {
    guard !configuration.secrets.isEmpty else { return nil }
    name = configuration.header.utf8.map(lowerCased)
    secrets = configuration.secrets.map(\.secret)
  }

  /// Whether the request has one of the secrets. Every one is compared, in constant time.
  func admits(_ request: borrowing RequestHead) -> Bool {
    guard let field = request.field(named: name) else { return false }
    var matches = false
    for secret in secrets where secret.matches(field.bytes) { matches = true }
    return matches
  }
}

extension Problem {
  static let originSecretRequired = Problem(
    status: 403, code: "origin-secret-required", title: "Not for direct requests",
    detail: "This origin answers its CDN alone.")
}
