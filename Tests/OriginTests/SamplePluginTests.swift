import PluginContract
import Testing

@testable import Origin

/// The plugin that docs/PLUGINS.md teaches with.
@Suite struct SamplePluginTests {
  @Test func theGuideShowsThisVeryPlugin() throws {
    let guide = String(
      decoding: try ConfigFixture.read(ConfigFixture.packageFolder + "/docs/PLUGINS.md"), as: UTF8.self)
    let source = String(
      decoding: try ConfigFixture.read(
        ConfigFixture.packageFolder + "/Tests/OriginTests/SamplePlugin.swift"), as: UTF8.self)
    #expect(guide.contains("```swift\n\(source)```\n"), "copy SamplePlugin.swift into docs/PLUGINS.md")
  }

  @Test func keepsTheContract() async throws {
    let folder = try StoreFolder()
    let contract = PluginContract(
      GreetingPlugin.self, settings: ["text = \"Good day.\"\n"], store: folder.store)
    #expect(await contract.violations().isEmpty)
  }

  private func serving(_ text: String, _ check: (OriginUnderTest) throws -> Void) throws {
    let folder = try StoreFolder()
    try folder.publish(file: "a.txt", "a file")
    let configuration = try OriginFixture.siteConfiguration(text, plugins: [GreetingPlugin.declaration])
    let set = try PluginSet(
      OriginFixture.configuration([configuration]), PluginRegistry([GreetingPlugin.self]))
    let site = Site(configuration, number: 0, plugins: set.plugins(of: "default"))
    let server = try OriginUnderTest(folder.store, sites: [site])
    defer { server.stop() }
    try check(server)
  }

  @Test func answersLikeAnyFile() throws {
    try serving("[plugins.greeting]\ntext = \"Good day.\"\n") { server throws in
      let answer = try TestClient.get("/hello", from: server.address)
      #expect(answer.status == 200)
      #expect(answer.text == "Good day.\n")
      #expect(answer.fields["content-type"] == "text/plain; charset=utf-8")
      #expect(answer.fields["access-control-allow-origin"] == "*")
      let tag = try #require(answer.fields["etag"])
      let part = try TestClient.get("/hello", from: server.address, fields: "Range: bytes=5-7\r\n")
      #expect(part.status == 206)
      #expect(part.text == "day")
      #expect(
        try TestClient.get("/hello", from: server.address, fields: "If-None-Match: \(tag)\r\n").status == 304)
      let head = try TestClient.get("/hello", from: server.address, method: "HEAD")
      #expect(head.status == 200 && head.body.isEmpty && head.fields["content-length"] == "10")
    }
  }

  @Test func leavesOtherPathsAlone() throws {
    try serving("[plugins.greeting]\n") { server throws in
      #expect(try TestClient.get("/hello", from: server.address).text == "Hello.\n")
      #expect(try TestClient.get("/f/a.txt", from: server.address).text == "a file")
      #expect(try TestClient.get("/hello/", from: server.address).status == 404)
      #expect(try TestClient.get("/f//hello", from: server.address).status != 200)
    }
  }

  @Test func isNotThereUnlessEnabled() throws {
    for text in ["", "[plugins.greeting]\nenabled = false\n"] {
      try serving(text) { server throws in
        #expect(try TestClient.get("/hello", from: server.address).status == 404)
      }
    }
  }

  @Test func settingsThatMakeNoSenseAreRefused() throws {
    let long = String(repeating: "x", count: 1001)
    let error = #expect(throws: PluginError.self) {
      _ = try GreetingPlugin(
        site: "a", settings: GreetingPlugin.declaration.settings.decode(text: "text = \"\(long)\"").table)
    }
    #expect(error?.key == "text")
  }
}
