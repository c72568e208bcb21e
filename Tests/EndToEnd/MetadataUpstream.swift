import Support

/// A site's own JSON API: it answers `/videos/{id}`, counts, and behaves as it is told.
final class MetadataUpstream: Sendable {
  static let token = "t0ken-of-the-upstream"
  private let documents: DocumentServer

  init() throws { documents = try DocumentServer(token: Self.token, garbage: #"{"title": ["#) }

  /// `[plugins.redis]` of a site that asks it.
  func settings(_ redis: String, _ lines: String = "") -> String {
    """
    [plugins.redis]
    url = "\(redis)"
    upstream_url = "http://127.0.0.1:\(documents.port)/videos/{id}"
    upstream_token_file = "../upstream.token"
    upstream_allow_private = true
    upstream_timeout = "10s"
    wait = "500ms"
    \(lines)
    """
  }

  /// What it says of a video from now on; nil: it knows none.
  func set(_ id: String, _ json: String?) throws { try documents.set(id, json) }

  /// `ok`, `hang`, or what is answered instead: a status, or `garbage`.
  func behave(_ mode: String) throws { try documents.behave(mode) }

  /// How often the video was asked for, with the token.
  func requests(for id: String) -> Int { documents.requests(for: id) }
}
