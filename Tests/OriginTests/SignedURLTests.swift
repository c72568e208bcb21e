import HTTP
import Testing

@testable import Origin

/// The tokens of our own scheme. The signatures were computed by Python's `hmac`.
@Suite struct SignedURLTests {
  static let exact =
    "/v/abc/master.m3u8?expires=1700003600&kid=k1&sig=9Eah6NUdMDK2I0k1hzCGednzi8fN60uXxOeA_FPrDwU"
  static let scoped =
    "/v/abc/master.m3u8?expires=1700003600&kid=k1&scope=/v/abc/&sig=bXcri7tELaD3dZwD1OEajy18kvJjZOie5aClJiPGVPc"
  static let bound =
    "/f/a%20b/%C3%A4.mp4?expires=1700003600&kid=k1&ip=1&sig=UeiMd5TWbFCrTFJKllCZX6MmZt9LXhHICSTRNcGp_Ww"
  static let boundSix =
    "/v/abc/x.ts?expires=1700003600&kid=k1&scope=/v/abc/&ip=1&sig=Sb9U6deftpdQA5JzkvD2NBXbyOcvX-_utif6D27zz9M"

  static let verifier = HeadwaterVerifier(
    keys: [SigningFixture.key()], renewal: .init(beforeSeconds: 0, forSeconds: 0))

  @Test(arguments: [exact, scoped, bound]) func knownTokensAreValid(target: String) throws {
    #expect(try SigningFixture.verify(Self.verifier, target).isValid)
    // What stands before the token is not signed.
    #expect(
      try SigningFixture.verify(Self.verifier, target.replacing("?", with: "?w=320&b&=&x=%20&")).isValid)
  }

  /// Players put it behind the URL that they were given, and it is no part of what was signed.
  @Test(arguments: [exact, scoped, bound]) func whatAPlayerTellsIsNotSigned(target: String) throws {
    for told in ["&CMCD=bl%3D21300%2Csid%3D%22a%22", "&CMCD=su"] {
      #expect(try SigningFixture.verify(Self.verifier, target + told).isValid)
    }
    #expect(try SigningFixture.verify(Self.verifier, target.replacing("?", with: "?CMCD=su&")).isValid)
    #expect(try SigningFixture.verify(Self.verifier, target + "&cmcd=su").isValid == false)
  }

  @Test func anAddressOfSixIsWrittenInItsShortestForm() throws {
    #expect(try SigningFixture.verify(Self.verifier, Self.boundSix, client: "[2001:db8:0::7]").isValid)
    #expect(try SigningFixture.verify(Self.verifier, Self.boundSix, client: "[2001:db8::8]").isValid == false)
  }

  @Test(arguments: ["203.0.113.8", nil]) func aBoundTokenIsForOneAddress(client: String?) throws {
    #expect(try SigningFixture.verify(Self.verifier, Self.bound, client: client).refusal == .invalid)
  }

  @Test func anIPv4AddressMayArriveMapped() throws {
    #expect(try SigningFixture.verify(Self.verifier, Self.bound, client: "[::ffff:203.0.113.7]").isValid)
  }

  /// Routing sees the same path, so it is no other one.
  @Test(arguments: [
    "/v/./abc/master.m3u8", "/v/%61bc/master.m3u8", "/v/x/../abc/master.m3u8", "/v/abc/master%2Em3u8",
  ]) func spellingsOfThePathAreOnePath(path: String) throws {
    let query = try #require(Self.exact.split(separator: "?").last)
    #expect(try SigningFixture.verify(Self.verifier, "\(path)?\(query)").isValid)
  }

  @Test func aScopeMayBeEscaped() throws {
    let target = Self.scoped.replacing("scope=/v/abc/", with: "scope=%2Fv%2fabc%2F")
    #expect(try SigningFixture.verify(Self.verifier, target).isValid)
  }

  @Test func onlyAScopeTravels() throws {
    guard case .valid(let grant) = try SigningFixture.verify(Self.verifier, Self.scoped),
      case .valid(let alone) = try SigningFixture.verify(Self.verifier, Self.exact)
    else { return #expect(Bool(false), "both are valid") }
    #expect(grant.childQuery == Array(Self.scoped.split(separator: "?")[1].utf8))
    #expect(alone.childQuery == nil)
  }

  @Test func itEndsToTheSecond() throws {
    #expect(try SigningFixture.verify(Self.verifier, Self.exact, nowSeconds: 1_700_003_599).isValid)
    #expect(
      try SigningFixture.verify(Self.verifier, Self.exact, nowSeconds: 1_700_003_600).refusal == .expired)
    // Only who has a right signature hears that it is late.
    let wrong = Self.exact.dropLast(2) + "AA"
    #expect(
      try SigningFixture.verify(Self.verifier, String(wrong), nowSeconds: 1_800_000_000).refusal == .invalid)
  }

  /// Bar 30 of the robustness list: at least 200 variants, one body.
  @Test(arguments: [exact, scoped, bound]) func noVariantPasses(target: String) throws {
    let access = try SigningFixture.access { $0.keys = [SigningFixture.key()] }
    #expect(try SigningFixture.hears(access, target) == nil)
    let variants = TokenTampering.variants(of: target)
    #expect(variants.count >= 200)
    var refused = 0
    for variant in variants {
      switch try SigningFixture.hears(access, variant.target) {
      // The last is what the request's own parser says.
      case "token-invalid": refused += 1
      case "token-required", "malformed": continue
      case nil
      where target == Self.scoped && variant.target.hasPrefix("/v/abc/")
        && variant.target.hasSuffix(
          Self.scoped.drop { $0 != "?" }):
        // Another path that the scope holds.
        continue
      case let other: #expect(Bool(false), "\(variant): \(other ?? "passes")")
      }
    }
    #expect(refused >= 200, "\(refused) of \(variants.count)")
  }

  @Test func keysOfOthersDoNotFit() throws {
    let others = HeadwaterVerifier(
      keys: [SigningFixture.key("k1", [UInt8](1...32)), SigningFixture.key("k2")],
      renewal: .init(beforeSeconds: 0, forSeconds: 0))
    for target in [Self.exact, Self.scoped] {
      #expect(try SigningFixture.verify(others, target).refusal == .invalid)
    }
  }

  /// While both keys are there, tokens of both are valid; afterwards those of the newer alone.
  @Test func keysRotate() throws {
    let (old, new) = (SigningFixture.key("old"), SigningFixture.key("new", [UInt8](32..<64)))
    let targets = [old, new].map { key in
      let token = HeadwaterToken(
        covering: Array("/f/x".utf8), isScope: false, expiresSeconds: 1_700_000_001, key: key)
      return "/f/x?" + String(decoding: token.query, as: UTF8.self)
    }
    let steps: [([SiteConfiguration.Credential], [Bool])] = [
      ([old], [true, false]), ([old, new], [true, true]), ([new, old], [true, true]), ([new], [false, true]),
    ]
    for (keys, expected) in steps {
      let verifier = HeadwaterVerifier(keys: keys, renewal: .init(beforeSeconds: 0, forSeconds: 0))
      #expect(try targets.map { try SigningFixture.verify(verifier, $0).isValid } == expected)
    }
  }

  /// The signature of a folder's path would be one of all that lies in it.
  @Test func aFolderNeedsAScope() throws {
    let token = HeadwaterToken(
      covering: Array("/f/x/".utf8), isScope: false, expiresSeconds: 1_800_000_000, key: SigningFixture.key())
    let target = "/f/x/?" + String(decoding: token.query, as: UTF8.self)
    #expect(try SigningFixture.verify(Self.verifier, target).refusal == .invalid)
    #expect(throws: URLSigner.Refusal.self) {
      try Self.signer().sign("/f/x/", expiresSeconds: 1_800_000_000)
    }
  }

  // MARK: Signing

  private static func signer() throws -> URLSigner {
    var site = try OriginFixture.siteConfiguration()
    site.signing.keys = [SigningFixture.key()]
    return try URLSigner(site)
  }

  @Test func signedURLsAreThoseOfTheVectors() throws {
    let signer = try Self.signer()
    #expect(try signer.sign("/v/abc/master.m3u8", expiresSeconds: 1_700_003_600) == Self.exact)
    #expect(
      try signer.sign("https://h/v/abc/master.m3u8", expiresSeconds: 1_700_003_600, scope: "/v/abc/")
        == "https://h" + Self.scoped)
    #expect(
      try signer.sign("/f/a%20b/%c3%a4.mp4?x=1", expiresSeconds: 1_700_003_600, address: "203.0.113.7")
        == Self.bound.replacing("%C3%A4", with: "%c3%a4").replacing("?", with: "?x=1&"))
    #expect(
      try signer.sign(
        "/v/abc/x.ts", expiresSeconds: 1_700_003_600, scope: "/v/abc/", address: "2001:DB8:0:0::7")
        == Self.boundSix)
  }

  @Test(
    arguments: [
      ("/v/abc/x#y", nil, nil), ("/v/%zz", nil, nil), ("/v/%2f", nil, nil), ("/f/x?sig=1", nil, nil),
      ("/f/x?a&expires=1", nil, nil), ("/f/x", "/f", nil), ("/f/x", "/v/", nil), ("/f/x", "/f/../", nil),
      ("/f/x", nil, "localhost"), ("/f/x", nil, "1.2.3"), ("/f/%01", nil, nil),
    ] as [(String, String?, String?)]) func whatCannotBeSignedIsSaid(
      url: String, scope: String?, address: String?
    ) throws
  {
    let signer = try Self.signer()
    #expect(throws: URLSigner.Refusal.self) {
      try signer.sign(url, expiresSeconds: 1_700_003_600, scope: scope, address: address)
    }
  }

  @Test func aKeyMustBeThere() throws {
    var site = try OriginFixture.siteConfiguration()
    #expect(throws: URLSigner.Refusal.self) { try URLSigner(site) }
    site.signing.keys = [SigningFixture.key()]
    #expect(throws: URLSigner.Refusal.self) { try URLSigner(site, keyID: "k2") }
  }

  // MARK: Renewal

  @Test func aTokenThatEndsSoonIsRenewed() throws {
    let verifier = HeadwaterVerifier(
      keys: [SigningFixture.key("k2", [9]), SigningFixture.key()],
      renewal: .init(beforeSeconds: 600, forSeconds: 7200))
    func grant(_ target: String, _ now: Int64) throws -> AccessGrant? {
      guard case .valid(let grant) = try SigningFixture.verify(verifier, target, nowSeconds: now) else {
        return nil
      }
      return grant
    }
    #expect(try grant(Self.scoped, 1_700_002_999)?.isRenewed == false)
    let renewed = try #require(try grant(Self.scoped, 1_700_003_000))
    #expect(renewed.isRenewed)
    let query = String(decoding: try #require(renewed.childQuery), as: UTF8.self)
    // The next whole minute and two hours, by the first key.
    #expect(query.hasPrefix("expires=1700010240&kid=k2&scope=/v/abc/&sig="))
    #expect(try grant("/v/abc/y.ts?" + query, 1_700_010_239)?.isRenewed == true)
    #expect(try grant("/v/other/y.ts?" + query, 1_700_003_000) == nil)
    // The same within a minute, and never for one path alone.
    #expect(try grant(Self.scoped, 1_700_003_039)?.childQuery == renewed.childQuery)
    #expect(try grant(Self.exact, 1_700_003_599)?.isRenewed == false)
  }

  @Test func renewalKeepsTheAddress() throws {
    let verifier = HeadwaterVerifier(
      keys: [SigningFixture.key()], renewal: .init(beforeSeconds: 600, forSeconds: 7200))
    guard
      case .valid(let grant) = try SigningFixture.verify(
        verifier, Self.boundSix, client: "[2001:db8::7]", nowSeconds: 1_700_003_599)
    else { return #expect(Bool(false), "it is valid") }
    let target = "/v/abc/x.ts?" + String(decoding: try #require(grant.childQuery), as: UTF8.self)
    #expect(try SigningFixture.verify(verifier, target, client: "[2001:db8::7]").isValid)
    #expect(try SigningFixture.verify(verifier, target, client: "[2001:db8::8]").isValid == false)
  }
}
