import Foundation
import Support
import Testing

extension EndToEnd {
  /// schemathesis makes requests of docs/openapi.yaml, sound ones and unsound ones, and judges the answers by it.
  @Suite(
    .served(
      APIFixture.options(
        site: """
          [plugins.engagement]
          beacon_rate = 0
          [[plugins.cdn.edges]]
          name = "nowhere"
          vendor = "varnish"
          urls = ["https://media.example.com"]
          servers = ["http://127.0.0.1:1"]
          """)
    ) { server in
      try server.importAsset("film", Fixtures.path(APIFixture.film))
    }) struct APISchemaTests
  {
    private static let tool = Checkout.tool("schemathesis")

    /// What is sound by its form and yet refused for what it means: a cursor of no list, another digest, a stale tag.
    private static let settings = """
      [checks.missing_required_header]
      expected-statuses = ["401", "428"]
      [checks.negative_data_rejection]
      expected-statuses = ["400", "401", "404", "405", "411", "412", "413", "414", "415", "422", "428", "431"]
      [[operations]]
      include-name = "GET /api/v1/videos"
      checks.positive_data_acceptance.expected-statuses = ["2xx", "400"]
      [[operations]]
      include-name = "GET /api/v1/jobs"
      checks.positive_data_acceptance.expected-statuses = ["2xx", "400"]
      [[operations]]
      include-name = "PUT /api/v1/videos/{id}"
      checks.positive_data_acceptance.expected-statuses = ["2xx", "404", "412"]
      [[operations]]
      include-name = "PATCH /api/v1/videos/{id}"
      checks.positive_data_acceptance.expected-statuses = ["2xx", "404", "412"]
      [[operations]]
      include-name = "DELETE /api/v1/videos/{id}"
      checks.positive_data_acceptance.expected-statuses = ["2xx", "404", "412"]
      [[operations]]
      include-name = "POST /api/v1/cdn/purge"
      checks.positive_data_acceptance.expected-statuses = ["2xx", "400"]
      [[operations]]
      include-name = "POST /api/v1/cdn/prefetch"
      checks.positive_data_acceptance.expected-statuses = ["400"]
      [[operations]]
      include-name = "POST /api/v1/cdn/retry"
      checks.positive_data_acceptance.expected-statuses = ["2xx", "400"]
      [[operations]]
      include-name = "PUT /blob/{sha256}"
      checks.positive_data_acceptance.expected-statuses = ["2xx", "422"]
      [[operations]]
      include-name = "POST /api/v1/jobs/{id}/finish"
      checks.positive_data_acceptance.expected-statuses = ["404"]

      """

    @Test(.enabled(if: tool != nil, "schemathesis is not installed (pip install schemathesis)"))
    func theServerDoesWhatTheDocumentSays() throws {
      let server = try Served.server
      let settings = try server.folder.write("schemathesis.toml", text: Self.settings)
      // A stream of events has no end to be judged.
      let run = try Command.run(
        Self.tool ?? "",
        [
          "--config-file", settings, "run", Checkout.root.appending(path: "docs/openapi.yaml").path, "--url",
          server.url("/"), "-H", "Authorization: Bearer \(APIFixture.token)", "--max-examples",
          "\(Torture.rounds(10, long: 300))", "--seed", "1", "--generation-database", "none",
          "--exclude-path", "/api/v1/events", "--exclude-path-regex", "^/api/v1/videos/[^/]+/metadata$",
          "--phases", "examples,coverage,fuzzing", "--request-timeout",
          "20", "--warnings", "off", "--no-color",
        ], folder: server.folder.url.path, timeout: .seconds(Torture.rounds(120, long: 540)))
      #expect(run.status == 0, "\(run.text.suffix(6000))\n\(run.errors.suffix(1000))")
      #expect(server.isRunning)
    }
  }
}
