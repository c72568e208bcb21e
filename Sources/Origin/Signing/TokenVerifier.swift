// What the schemes of signed URLs have in common.
//
// A scheme is a `TokenVerifier`. It looks for its own token in a request and says whether the token opens the path that
// was asked for. Everything it compares is the path in the form that routing uses (`RequestHead.path`), so there is no
// spelling of a path that one of the two takes for another. `SignedAccess` asks all verifiers of a site, before anything
// of the store is looked at; two tokens in one request are none.
//
// A client hears the class of a refusal, in one constant body for each. Why it was is for the operator
// (`headwater explain`).

import HTTP
import Loop

/// One scheme of tokens, with the keys of one site.
protocol TokenVerifier: Sendable {
  /// As `headwater explain` names it.
  var scheme: String { get }

  /// Query parameters whose values must not be logged.
  var secretParameters: [String] { get }

  /// Looks for a token and judges it. Compares in constant time, and does the same work for a key that does not exist.
  ///
  /// - Parameters:
  ///   - asked: what the request is for.
  ///   - request: for its other fields.
  ///   - client: looks the client's address up; only for tokens that are bound to one.
  func verify(
    _ asked: TokenRequest, _ request: borrowing RequestHead, client: () -> SocketAddress?
  ) -> TokenVerdict
}

enum TokenVerdict: Sendable, Equatable {
  /// The request has no token of this scheme.
  case absent
  case valid(AccessGrant)
  case refused(TokenRefusal)
}

/// What a valid token gives besides the answer.
public struct AccessGrant: Sendable, Equatable {
  /// The query that opens what lies beside and below the path, for the children of a manifest; nil where the token opens
  /// one path alone, or does not travel in the query.
  var childQuery: [UInt8]?
  /// The token of `childQuery` takes the place of one that ends soon, and the client is told.
  var isRenewed = false
  /// For the operator: key and expiry, never the token.
  var summary: String

  /// - Parameter summary: for `headwater explain`.
  public init(summary: String) { self.summary = summary }

  init(childQuery: [UInt8]?, isRenewed: Bool = false, summary: String) {
    self.childQuery = childQuery
    self.isRenewed = isRenewed
    self.summary = summary
  }
}

/// Why a token does not open what was asked for.
struct TokenRefusal: Sendable, Equatable {
  /// What the client hears.
  enum Class: Sendable {
    case missing
    case invalid
    case expired
  }

  var kind: Class
  /// What the operator reads.
  var reason: String

  static let missing = TokenRefusal(kind: .missing, reason: "there is no token in the request")

  static func invalid(_ reason: String) -> TokenRefusal { TokenRefusal(kind: .invalid, reason: reason) }

  static func expired(_ seconds: Int64) -> TokenRefusal {
    TokenRefusal(kind: .expired, reason: "the token ended at \(AccessRecord.iso8601(seconds * 1000))")
  }

  var problem: Problem {
    switch kind {
    case .missing: .tokenRequired
    case .invalid: .tokenInvalid
    case .expired: .tokenExpired
    }
  }
}

extension Problem {
  static let tokenRequired = Problem(
    status: 403, code: "token-required", title: "Signature required",
    detail: "This path is delivered to signed URLs alone.")

  static let tokenInvalid = Problem(
    status: 403, code: "token-invalid", title: "Signature not valid",
    detail: "The signature of this URL does not open this path.")

  static let tokenExpired = Problem(
    status: 403, code: "token-expired", title: "Signature expired",
    detail: "The time of this signed URL is over; ask for a new one.")
}
