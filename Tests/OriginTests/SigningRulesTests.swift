import HTTP
import Testing

@testable import Origin

@Suite struct SigningRulesTests {
  @Test(arguments: [
    ("/f/open/x", TokenNeed.open), ("/f/open", .checked), ("/f/openly", .checked), ("/f/x", .checked),
    ("/v/a/master.m3u8", .required), ("/v/a/g/0/source/playlist.m3u8", .required),
    ("/f/live/i.mpd", .required),
    ("/v/a/source/segment_0000.m4s", .open), ("/v/a/source/init.mp4", .open),
    ("/v/a/source.mp4", .checked),
    ("/v/free/master.m3u8", .open), ("/v/a/poster.jpg", .open), ("/v/a/poster.jpg/", .checked),
    ("/blob/00", .exempt), ("/api/v1/videos", .exempt), ("/API/v1/videos", .checked),
    ("/v/a/g/0123456789ab/enc/cbcs-01234567/key", .required), ("/v/a/key", .checked),
  ]) func theFirstRuleThatFitsDecides(path: String, expected: TokenNeed) throws {
    let rules = """
      rules = [
        { path = "/f/open/", required = false },
        { path = "/v/free/", class = "manifest", required = false },
        { class = "manifest" },
        { class = "segment", required = false },
        { class = "thumbnail", required = false },
      ]
      keys = [{ id = "k1", secret_env = "K" }]
      """
    let (table, _) = SiteConfiguration.schema(plugins: []).decode(
      text: "[signing]\n\(rules)", environment: ["K": "secret"])
    let signing = SiteConfiguration(table, name: "default", file: nil, plugins: []).signing
    #expect(SigningRules(required: false, rules: signing.rules).need(Array(path.utf8)).need == expected)
  }

  @Test func withoutRulesTheDefaultDecides() {
    #expect(SigningRules(required: true, rules: []).need(Array("/f/x".utf8)).need == .required)
    #expect(SigningRules(required: true, rules: []).need(Array("/blob/x".utf8)).need == .exempt)
    #expect(SigningRules(required: false, rules: []).need(Array("/f/x".utf8)).need == .checked)
  }

  /// A token that has ended does not close what is open, and one that is wrong closes what would be open without it.
  @Test func openPathsStayOpen() throws {
    let access = try SigningFixture.access {
      $0.keys = [SigningFixture.key()]
      $0.required = false
      $0.rules = [.init(path: "/f/open/", kind: nil, required: false)]
    }
    #expect(try SigningFixture.hears(access, "/f/open/x?expires=1&kid=k1&sig=AAAA") == nil)
    #expect(try SigningFixture.hears(access, "/f/x") == nil)
    #expect(try SigningFixture.hears(access, "/f/x?expires=1&kid=k1&sig=AAAA") == "token-invalid")
    #expect(try SigningFixture.hears(access, "/f/x?expires=soon") == nil)
  }

  @Test func aSiteWithoutKeysHasNoHandler() throws {
    let site = try OriginFixture.site()
    #expect(site.pipeline.access.count == 1 && site.originSecret == nil && !site.signs)
  }

  @Test func eachClassOfRefusalHasOneBody() {
    let problems = [TokenRefusal.missing, .invalid("a"), .invalid("b"), .expired(1), .expired(2)].map(
      \.problem)
    #expect(problems[1] == problems[2] && problems[3] == problems[4])
    #expect(problems.allSatisfy { $0.status == 403 && $0.cause == nil })
    #expect(Set(problems.map(\.code)).count == 3)
  }
}
