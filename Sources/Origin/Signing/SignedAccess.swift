// The access handler of sites that sign: which token a request brought, and whether it opens the path.

import Glibc
import HTTP
import Loop
import Packaging

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
    let need = rules.need([UInt8](copying: request.path)).need
    if need == .exempt { return .pass }
    switch verify(request, client) {
    case .absent: return need == .required ? .refuse(TokenRefusal.missing.problem) : .pass
    case .valid(let grant): return .grant(grant)
    case .refused(let refusal): return need == .open ? .pass : .refuse(refusal.problem)
    }
  }

  /// The verdict on the one token that the request has.
  private func verify(
    _ request: borrowing RequestHead, _ client: () -> SocketAddress?
  ) -> TokenVerdict {
    guard let asked = TokenRequest(request, nowSeconds: nowSeconds()) else {
      return .refused(.invalid("the path holds control characters, or is not UTF-8"))
    }
    var found = TokenVerdict.absent
    for verifier in verifiers {
      let verdict = verifier.verify(asked, request, client: client)
      if verdict == .absent { continue }
      guard found == .absent else { return .refused(.invalid("there are tokens of two schemes")) }
      found = verdict
    }
    guard case .valid(var grant) = found, let query = grant.childQuery, !ManifestTemplate.canCarry(query)
    else {
      return found
    }
    // It opens this path, and could not be written into every kind of manifest.
    grant.childQuery = nil
    return .valid(grant)
  }

  /// What `headwater explain` says of a request.
  func explain(
    _ request: borrowing RequestHead, from client: () -> SocketAddress?
  ) -> [(name: String, value: String)] {
    let (need, rule) = rules.need([UInt8](copying: request.path))
    var lines = [("signing", "schemes: \(verifiers.map(\.scheme).joined(separator: ", "))")]
    switch need {
    case .required: lines.append(("signature", "needed: \(rule)"))
    case .checked: lines.append(("signature", "not needed: \(rule); one that is there must be valid"))
    case .open: lines.append(("signature", "not needed: \(rule)"))
    case .exempt:
      lines.append(("signature", "not looked at: \(rule)"))
      return lines
    }
    switch verify(request, client) {
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
