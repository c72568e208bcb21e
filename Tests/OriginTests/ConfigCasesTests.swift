import Origin
import Testing

/// Text files: TOML, a ruler, the problems that `headwater check` prints for it.
///
/// Files beginning with `server` are read as `etc/headwater.toml`, the others as a site.
@Suite struct ConfigCasesTests {
  static let folder = ConfigFixture.packageFolder + "/Tests/OriginTests/ConfigCases"
  static let names = (try? ConfigFixture.names(in: folder)) ?? []
  static let ruler = "----\n"

  @Test func thereAreCases() {
    #expect(Self.names.count >= 20)
  }

  @Test(arguments: names) func problems(_ name: String) throws {
    let path = Self.folder + "/" + name
    let text = String(decoding: try ConfigFixture.read(path), as: UTF8.self)
    // A case always has a ruler, so an empty expectation is meant.
    let range = try #require(text.firstRange(of: Self.ruler), "\(name) has no ruler")
    let input = String(text[..<range.lowerBound])
    let expected = String(text[range.upperBound...])

    let schema =
      name.hasPrefix("server")
      ? ServerConfiguration.schema : SiteConfiguration.schema(plugins: ConfigFixture.plugins)
    let file = name.hasPrefix("server") ? "headwater.toml" : "demo.toml"
    let problems = schema.decode(text: input, file: file, environment: ["HEADWATER_K1": "0123456789abcdef"])
      .problems
    let found = problems.map { "\($0) (\($0.code.rawValue))\n" }.joined()
    if ConfigFixture.rewrites {
      try ConfigFixture.write(input + Self.ruler + found, to: path)
    } else {
      #expect(found == expected)
    }
  }
}
