import Support

/// A key service: it answers `/keys/{id}`, counts, and behaves as it is told.
final class KeyServer: Sendable {
  static let token = "t0ken-of-the-key-service"
  private let documents: DocumentServer
  var port: Int { documents.port }

  /// - Parameter keys: the JSON answer by asset; 404 for all others.
  init(_ keys: [String: String]) throws {
    documents = try DocumentServer(token: Self.token, garbage: #"{"kid": "5ec2e7", "key": ["#)
    for (id, json) in keys { try documents.set(id, json) }
  }

  /// What `[encryption]` says about it.
  func settings(_ server: ServerUnderTest) throws -> String {
    try server.folder.writeSecret("etc/key.token", Self.token + "\n")
    return """
      key_url = "http://127.0.0.1:\(port)/keys/{id}"
      key_token_file = "../key.token"
      key_allow_private = true
      """
  }

  /// How often the key of the asset was asked for, with the token.
  func requests(for id: String) -> Int { documents.requests(for: id) }

  /// `ok`, `hang`, or what is answered instead: a status, or `garbage`.
  func behave(_ mode: String) throws { try documents.behave(mode) }

  func kill() { documents.kill() }
}
