import Foundation
import Support
import Testing

/// A site with an API, and what its tests ask it.
enum APIFixture {
  static let token = "0123456789abcdef0123456789abcdef"
  static let bearer = ("Authorization", "Bearer \(token)")

  static let film = "h264-aac-2997.mp4"

  /// In hexadecimal digits, by a program that is not ours.
  static func sha256(_ bytes: [UInt8]) throws -> String {
    String(try Command.run("sha256sum", stdin: bytes).text.prefix(64))
  }

  /// - Parameter tables: whole tables of `headwater.toml`.
  static func options(tables: String = "", site: String = "") -> ServerUnderTest.Options {
    var options = ServerUnderTest.Options()
    options.threads = 2
    options.tables = tables
    options.files = ["etc/ops.token": token, "etc/old.token": "another-token-that-is-still-valid"]
    options.sites = [
      "demo": """
      hosts = ["*"]
      [api]
      tokens = [{ id = "old", secret_file = "../old.token" }, { id = "ops", secret_file = "../ops.token" }]
      \(site)
      """,
      "closed": #"hosts = ["closed.test"]"#,
    ]
    return options
  }
}

extension ServerUnderTest {
  /// A call with the token.
  func call(
    _ method: String, _ path: String, _ json: String? = nil, type: String = "application/json",
    _ fields: [(String, String)] = []
  ) throws -> RawResponse {
    let content = json.map { _ in [("Content-Type", type)] } ?? []
    return try request(
      method, path, [APIFixture.bearer] + content + fields, body: json.map { Array($0.utf8) })
  }
}

extension RawResponse {
  /// The body as an object.
  var json: [String: Any] {
    (try? JSONSerialization.jsonObject(with: Data(body))) as? [String: Any] ?? [:]
  }

  /// The code of a problem document.
  var code: String? { json["code"] as? String }
}
