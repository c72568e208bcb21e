import HTTP
import Testing

@testable import Origin

/// `docs/openapi.yaml` and the router name the same calls. What has `x-plugin` below its path is a plugin's, whose own tests hold it.
@Suite struct OpenAPITests {
  /// The calls of the document: its paths are keys with two spaces in front, their methods keys with four.
  static func described(_ text: String) -> Set<String> {
    var calls: Set<String> = []
    var path = ""
    var isInPaths = false
    for line in text.split(separator: "\n", omittingEmptySubsequences: true) {
      if !line.hasPrefix(" ") {
        isInPaths = line == "paths:"
      } else if isInPaths, line.hasPrefix("  /"), line.hasSuffix(":") {
        path = String(line.dropFirst(2).dropLast())
      } else if line.hasPrefix("    x-plugin:") {
        path = ""
      } else if isInPaths, !path.isEmpty, let method = methods.first(where: { line == "    \($0):" }) {
        calls.insert("\(method.uppercased()) \(path)")
      }
    }
    return calls
  }

  private static let methods = ["get", "head", "options", "post", "put", "patch", "delete"]

  @Test func everyRouteIsDescribedAndNothingElse() throws {
    let bytes = try ConfigFixture.read(ConfigFixture.packageFolder + "/docs/openapi.yaml")
    let text = String(decoding: bytes, as: UTF8.self)
    let routes = APIRouter.builtIn.map { route in
      "\(route.method.name) \(route.path.replacing("*}", with: "}"))"
    }
    #expect(Set(routes).count == routes.count, "a call is there twice")
    // Blobs are read on the media side.
    #expect(Self.described(text) == Set(routes + ["GET /blob/{sha256}"]))
  }
}
