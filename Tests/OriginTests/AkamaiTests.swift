import Testing

@testable import Origin

/// Akamai's EdgeAuth tokens, as its own library makes them.
@Suite struct AkamaiTests {
  private static let acl =
    "hdnts=st=1700000000~exp=1700003600~acl=/v/abc/*~hmac=a6b8317a967f5869b2595d2cfa41705a75269134268e60f95e5e7c3a6f8452dd"
  private static let list =
    "__token__=exp=1700003600~acl=/v/abc/*!/keys/abc/*~id=user-1~data=vip~hmac=7fece41e6bfd359d5a094ab066dd8c78f63f98bbff628a514fd225b4480ab975"
  private static let url =
    "hdnts=exp=1700003600~hmac=036c2af613377a4daac7176c9ce3f12c6cdcc2449773afa0e4cc10be2294d660"
  private static let salted =
    "hdnts=ip=203.0.113.7~exp=1700003600~acl=%2fv%2fabc%2f*~hmac=3c7bc742b00f2eb3cf6ee490cc27e74fb69e358572c9ba18ebe990abb3838b3c"
  private static let path = "/v/abc/master.m3u8"

  private static func settings() throws -> SiteConfiguration.Signing.Akamai {
    var settings = try OriginFixture.siteConfiguration().signing.akamai
    let key: [UInt8] = [0x52, 0xA1, 0x52, 0xA1, 0x52, 0xA1, 0x52, 0xA1, 0x52, 0xA1, 0x52, 0xA1, 0x52, 0xA1]
    settings.keys = [SigningFixture.key("old", [1]), SigningFixture.key("new", key)]
    return settings
  }

  /// A target with a valid token.
  static let known = "\(path)?\(acl)"

  static func verifier() throws -> AkamaiVerifier { AkamaiVerifier(settings: try settings()) }

  @Test(arguments: [acl, list, url]) func knownTokensAreValid(token: String) throws {
    let verifier = AkamaiVerifier(settings: try Self.settings())
    #expect(try SigningFixture.verify(verifier, "\(Self.path)?\(token)").isValid)
    #expect(
      try SigningFixture.verify(verifier, "\(Self.path)?\(token)", nowSeconds: 1_700_003_600).refusal
        == .expired)
    #expect(try SigningFixture.verify(verifier, Self.path, fields: "Cookie: \(token)").isValid)
    #expect(
      try SigningFixture.verify(
        verifier, Self.path,
        fields: token.replacing("hdnts=", with: "Hdnts: ").replacing("__token__=", with: "__token__: ")
      ).isValid)
    #expect(
      try SigningFixture.verify(verifier, "\(Self.path)?\(token)", fields: "Cookie: \(token)").refusal
        == .invalid)
  }

  @Test func otherHashesAndASalt() throws {
    for (hash, token) in [
      (MessageHash.sha1, "exp=1700003600~acl=/v/abc/*~hmac=71098a6348aac37b3673e2b407004e7cb03aa3d6"),
      (.md5, "exp=1700003600~hmac=3da174a8ebb0f87a614513a121c89769"),
    ] {
      var settings = try Self.settings()
      settings.hash = hash
      #expect(
        try SigningFixture.verify(AkamaiVerifier(settings: settings), "\(Self.path)?hdnts=\(token)").isValid)
    }
    var settings = try Self.settings()
    settings.salt = Secret(bytes: Array("pepper".utf8))
    let verifier = AkamaiVerifier(settings: settings)
    #expect(try SigningFixture.verify(verifier, "\(Self.path)?\(Self.salted)").isValid)
    #expect(
      try SigningFixture.verify(verifier, "\(Self.path)?\(Self.salted)", client: "203.0.113.8").refusal
        == .invalid)
    #expect(try SigningFixture.verify(verifier, "/v/abcd/x?\(Self.salted)").refusal == .invalid)
  }

  @Test func itBeginsToTheSecond() throws {
    let verifier = AkamaiVerifier(settings: try Self.settings())
    #expect(
      try SigningFixture.verify(verifier, "\(Self.path)?\(Self.acl)", nowSeconds: 1_699_999_999).refusal
        == .invalid)
  }

  @Test func aListTravelsAndAPathDoesNot() throws {
    let verifier = AkamaiVerifier(settings: try Self.settings())
    for (token, travels) in [(Self.acl, true), (Self.list, true), (Self.url, false)] {
      guard case .valid(let grant) = try SigningFixture.verify(verifier, "\(Self.path)?\(token)") else {
        return #expect(Bool(false), "it is valid")
      }
      #expect(grant.childQuery == (travels ? Array(token.utf8) : nil))
    }
  }

  @Test(arguments: [acl, list, url]) func noVariantPasses(token: String) throws {
    let access = try SigningFixture.access { $0.akamai = try Self.settings() }
    let target = "\(Self.path)?\(token)"
    #expect(try SigningFixture.hears(access, target) == nil)
    try TokenTampering.expectRefused(access, target, isOrdered: false) { path in
      token != Self.url && path.hasPrefix("/v/abc/")
    }
  }

  @Test(arguments: [
    ("*", "", true), ("*", "/a/b", true), ("/a/*", "/a/", true), ("/a/*", "/ab/", false),
    ("/a?c", "/abc", true),
    ("/a?c", "/ac", false), ("*.ts", "/x.ts", true), ("*.ts", "/x.ts.m3u8", false),
    ("/a/*/c*", "/a/b/b/cd", true),
    ("", "", true), ("", "/", false), ("**a*", "bba", true), ("a*b*c", "abb", false),
  ]) func globs(pattern: String, text: String, expected: Bool) {
    #expect(Glob.matches(Array(pattern.utf8), Array(text.utf8)) == expected)
  }

  /// No pattern makes the server work for long.
  @Test func globsAreQuick() {
    let pattern = Array(String(repeating: "*a", count: 500).utf8)
    #expect(!Glob.matches(pattern + [0x62], Array(String(repeating: "a", count: 4000).utf8)))
  }
}
