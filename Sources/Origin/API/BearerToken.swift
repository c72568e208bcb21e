import HTTP

/// A bearer token in a request (RFC 6750 §2.1).
enum BearerToken {
  enum Verdict {
    /// No Authorization field, two of them, or another scheme.
    case absent
    case unknown
    /// The token with this name.
    case known(String)
  }

  /// Every token is compared, in constant time, so that timing tells neither which nor how much fits.
  /// - Parameter worker: the token of workers, where it opens what is asked for.
  static func verdict(
    _ request: borrowing RequestHead, _ tokens: [SiteConfiguration.Credential], worker: Secret? = nil
  ) -> Verdict {
    guard request.fieldCount(of: .authorization) == 1, let field = request.field(.authorization),
      let shown = token(field)
    else { return .absent }
    var found: String?
    for known in tokens where known.secret.matches(shown.span.bytes) { found = known.id }
    if let worker, worker.matches(shown.span.bytes) { found = found ?? "worker" }
    return found.map { .known($0) } ?? .unknown
  }

  private static func token(_ field: Span<UInt8>) -> [UInt8]? {
    let scheme = Array("bearer ".utf8)
    guard field.count > scheme.count else { return nil }
    for index in scheme.indices where lowerCased(field[index]) != scheme[index] { return nil }
    return [UInt8](copying: field.extracting(scheme.count...))
  }
}
