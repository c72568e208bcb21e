// The access handler of sites that sign: which token a request brought, and whether it opens the path.

import Glibc
import HTTP
import Loop

/// Lets pass what a site's rules and tokens open.
struct SignedAccess: AccessHandler {
  let rules: SigningRules
  let verifiers: [any TokenVerifier]
  private let nowSeconds: @Sendable () -> Int64

  /// Nil for a site without keys: its requests never come here.
  init?(
    _ signing: SiteConfiguration.Signing,
    nowSeconds: @escaping @Sendable () -> Int64 = { Int64(time(nil)) }
  ) {
    verifiers = signing.verifiers
    guard !verifiers.isEmpty else { return nil }
    rules = SigningRules(required: signing.required, rules: signing.rules)
    self.nowSeconds = nowSeconds
  }

  func check(
    _ request: borrowing RequestHead, from client: () -> SocketAddress?, in site: Site
  ) -> AccessVerdict {
    let path = [UInt8](copying: request.path)
    let need = rules.need(path).need
    if need == .ignored { return .pass }
    switch verify(path, request, client) {
    case .absent: return need == .required ? .refuse(TokenRefusal.missing.problem) : .pass
    case .valid(let grant): return .grant(grant)
    case .refused(let refusal): return .refuse(refusal.problem)
    }
  }

  /// The verdict on the one token that the request has.
  private func verify(
    _ path: [UInt8], _ request: borrowing RequestHead, _ client: () -> SocketAddress?
  ) -> TokenVerdict {
    var query: [UInt8] = []
    if let sent = request.query { query = [UInt8](copying: sent) }
    let parameters = QueryParameters(query)
    guard let asked = TokenRequest(path: path, query: parameters, nowSeconds: nowSeconds()) else {
      return .refused(.invalid("the path holds control characters, or is not UTF-8"))
    }
    var found = TokenVerdict.absent
    for verifier in verifiers {
      let verdict = verifier.verify(asked, request, client: client)
      if verdict == .absent { continue }
      guard found == .absent else { return .refused(.invalid("there are tokens of two schemes")) }
      found = verdict
    }
    return found
  }

  /// What `headwater explain` says of a request.
  func explain(
    _ request: borrowing RequestHead, from client: () -> SocketAddress?
  ) -> [(name: String, value: String)] {
    let path = [UInt8](copying: request.path)
    let (need, rule) = rules.need(path)
    var lines = [("signing", "schemes: \(verifiers.map(\.scheme).joined(separator: ", "))")]
    switch need {
    case .required: lines.append(("signature", "needed: \(rule)"))
    case .welcome: lines.append(("signature", "not needed: \(rule); one that is there must be valid"))
    case .ignored:
      lines.append(("signature", "not looked at: \(rule)"))
      return lines
    }
    switch verify(path, request, client) {
    case .absent: lines.append(("token", "none"))
    case .valid(let grant):
      lines.append(("token", "valid: \(grant.summary)"))
      if let query = grant.childQuery {
        let ends = grant.isRenewed ? "a fresh one, since it ends soon" : "it"
        lines.append(("children", "of manifests carry \(ends) (\(query.count) bytes each)"))
      }
    case .refused(let refusal): lines.append(("token", "refused: \(refusal.reason)"))
    }
    return lines
  }
}
