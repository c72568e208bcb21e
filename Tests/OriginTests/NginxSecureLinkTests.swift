import Testing

@testable import Origin

/// Links of nginx's secure_link. The first digest was checked with nginx 1.22.
@Suite struct NginxSecureLinkTests {
  private static let link = "/v/abc/master.m3u8?md5=-ztyMODET7LWzEs3xaUq6Q&expires=1700003600"
  private static let asset = "/v/abc/master.m3u8?st=Ge2Dbq5IV9FNxeISO_hahQ&e=1700003600"

  private static func settings(
    _ expression: String = "$secure_link_expires$uri$remote_addr $secret",
    names: (String, String) = ("md5", "expires")
  ) throws -> SiteConfiguration.Signing.NginxSecureLink {
    var settings = try OriginFixture.siteConfiguration().signing.nginx
    settings.keys = [SigningFixture.key("a", [1, 2, 3]), SigningFixture.key("b", Array("secret".utf8))]
    settings.expression = try #require(SecureLinkPart.parse(expression))
    (settings.signatureParameter, settings.expiresParameter) = names
    return settings
  }

  @Test func aKnownLinkIsValid() throws {
    let verifier = NginxSecureLinkVerifier(settings: try Self.settings())
    #expect(try SigningFixture.verify(verifier, Self.link).isValid)
    #expect(try SigningFixture.verify(verifier, Self.link, nowSeconds: 1_700_003_600).refusal == .expired)
    for client in ["203.0.113.8", nil] {
      #expect(try SigningFixture.verify(verifier, Self.link, client: client).refusal == .invalid)
    }
    // nginx digests the normal form of a path, too.
    let spelled = Self.link.replacing("/v/abc/master", with: "/v/x/../abc/%6daster")
    #expect(try SigningFixture.verify(verifier, spelled).isValid)
    // Where nginx takes the first of two, nobody in front of us may take the second.
    #expect(try SigningFixture.verify(verifier, Self.link + "&md5=x").refusal == .invalid)
  }

  @Test func aLinkForAnAssetTravels() throws {
    let settings = try Self.settings("$secure_link_expires$asset $secret", names: ("st", "e"))
    let verifier = NginxSecureLinkVerifier(settings: settings)
    guard case .valid(let grant) = try SigningFixture.verify(verifier, Self.asset) else {
      return #expect(Bool(false), "it is valid")
    }
    #expect(grant.childQuery == Array(Self.asset.split(separator: "?")[1].utf8))
    #expect(
      try SigningFixture.verify(verifier, Self.asset.replacing("master.m3u8", with: "g/0/x.ts")).isValid)
    for other in ["/v/abcd/master.m3u8", "/f/abc/master.m3u8", "/v/abc"] {
      #expect(
        try SigningFixture.verify(verifier, Self.asset.replacing("/v/abc/master.m3u8", with: other)).refusal
          == .invalid)
    }
  }

  @Test func noVariantPasses() throws {
    let access = try SigningFixture.access { $0.nginx = try Self.settings() }
    #expect(try SigningFixture.hears(access, Self.link) == nil)
    try TokenTampering.expectRefused(access, Self.link, isOrdered: false) { _ in false }
  }

  @Test func twoSchemesAreNone() throws {
    let access = try SigningFixture.access {
      $0.nginx = try Self.settings()
      $0.keys = [SigningFixture.key()]
    }
    #expect(try SigningFixture.hears(access, Self.link) == nil)
    #expect(try SigningFixture.hears(access, SignedURLTests.exact) == nil)
    let both =
      Self.link.replacing("&expires=1700003600", with: "") + "&"
      + SignedURLTests.exact.split(separator: "?")[1]
    #expect(try SigningFixture.hears(access, both) == "token-invalid")
  }
}
