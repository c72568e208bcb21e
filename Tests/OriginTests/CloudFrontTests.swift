import Packaging
import Testing

@testable import Origin

/// CloudFront's signed URLs and cookies. The first signature is Amazon's documented form as its own signer makes it; the
/// others are by openssl.
@Suite struct CloudFrontTests {
  private static let documented = """
    -----BEGIN PUBLIC KEY-----
    MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEArCR+aQJ9cBtXcDMZ1HY/
    P5GjW19iLfCW5x/VzV12hk6c0nhe3t2nEiJ0liyhNR8IhbFQs8aTNtL9CPhmnYQB
    ylnkcWEBpzc+19ckEk6QDmCsz8NpsfSg4m5p9tFApZ9NmOV9NLfgbgMGPGcmy1vF
    ngMp6SlbWdx/j1znRghFs903gE5c4p1lgDq59UxUGBlCmDil6ZS6SlPbgGJhW57d
    3EZGL94xEBAZab1VHxblIi2tx2dtu/CE1iGEjw9EFSnyYCIHqh74VDF3NZLarQfK
    g2P3ruZ/9RfiCUmCRVsY2YF+T8EgWPIqU2RXFJCHH9mtuRVOCkCYwjNBY1IU4TgF
    lwIDAQAB
    -----END PUBLIC KEY-----
    """

  private static let rsa = """
    -----BEGIN PUBLIC KEY-----
    MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAs4NNfGrJGEdfTWGRS0WQ
    +SenvK1QzV+Xf3FOqnwhSctVl0j+ydpk8oFT+IwFoISJFf0f8kicSJBcdLFj+5NF
    SxswF6xpFmLydK5HX65uCa3AaqGRXa/aG5jjiPU8kdyYOKDgE8HmyA7K7ij+avwb
    3xANHUGx1i/bKnUMMxg+a3kpWzv2WpoMEMHbpTHsa5+eYeD9/2HlP/pjfChkrohr
    S2a974oZ19qtbxCdHNyKvHTi56haT31BMXjPwVrtnkCk6zHeYUswTi2ebv/byH06
    MEBWGzTzWVU96uOyq8BTLcdaFkv2KwM8y/+OA9XKL/72Tv+4SuNXuiwKlFYp59AP
    sQIDAQAB
    -----END PUBLIC KEY-----
    """

  static let p256 = """
    -----BEGIN PUBLIC KEY-----
    MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEKtJN88OJpjLul+vYScaDd14L+BEJ
    ZUo2rYJB0NfxpnES4AScuaEDzG332ygXYY1r00QGnp9OM0E8R+xV4kIaDw==
    -----END PUBLIC KEY-----
    """

  private static let canned =
    "/v/abc/master.m3u8?x=1&Expires=1700003600&Signature=mxaA~HS~54ZNhTVkVRcLSxcTbvJYuIHIdr9QNLXSljyICE6kF2TvpmDxdeH2Qi~-Q~g-aEsEWK5ssEx7uenkheYQ4KwkJObkCjafSevfYbjwRAX-4M3TTpbRGvPv5CmcSbjB3qZNZUpLVrrvwgFIymSgcGxSy9OdREKzkS7ElYVWBQcziT6BYMlabkd~94BhxoEosRGAH39PVSE0KvzkEUPjKUX6Kthwyjpc9gFB6k9f~ckztrLVKY55SdUNj9f4C-EaLsWeJW-hO7gc3TgD7-bL~Y800yh6p4XMCa0tDPoGdnCZXX~AM6raxL6f2grPcwL8xJL2EzOVmuu2fG4C9A__&Key-Pair-Id=KDOC"

  private static let cannedSHA256 =
    "/v/abc/master.m3u8?Expires=1700003600&Signature=XX02uoRpU-zyKTsefNU-FIgHCiZDMTac9tgVw0DVnhwKA5LHg~g131dRDXMFmY53yTPADU3VuyHTc8tcEdoa7lSk0OiskvhYKpZFUfWrmjEweqrVftrARwZdLA1Wk~KrJuIaeZVxMXKvFDubFcYNJOywlVDrujJvUOb3Cu2kF9fIAXW2MvuSYVnGPkdi9A4ojDLckeikLCjNGVTZDTNG0c8joON9ehrK0JC-DqD9kTvbqCiFyBsY6-0Wm8dSFM1J-k7FlB44dwzIhI1FCZL5hCjteADO~qfXuKGF8JzciW-XlzDibMYKrLXEwhtfjQiIdh4ZY2oiajTHToJb0nExCg__&Hash-Algorithm=SHA256&Key-Pair-Id=KRSA"

  /// `https://cdn.example.com/v/abc/*`, from 1700000000 to 1700003600, for 203.0.113.0/24.
  private static let policy =
    "eyJTdGF0ZW1lbnQiOlt7IlJlc291cmNlIjoiaHR0cHM6Ly9jZG4uZXhhbXBsZS5jb20vdi9hYmMvKiIsIkNvbmRpdGlvbiI6eyJEYXRlTGVzc1RoYW4iOnsiQVdTOkVwb2NoVGltZSI6MTcwMDAwMzYwMH0sIkRhdGVHcmVhdGVyVGhhbiI6eyJBV1M6RXBvY2hUaW1lIjoxNzAwMDAwMDAwfSwiSXBBZGRyZXNzIjp7IkFXUzpTb3VyY2VJcCI6IjIwMy4wLjExMy4wLzI0In19fV19"
  private static let custom =
    "/v/abc/master.m3u8?Policy=\(policy)&Signature=HPVoGqwt11XtdXX9L-W7HtwpSYEBSrlxMFgzzwJAWGdoYeyQsTwC5ohkVLL3GXBqZeC8MKZGa15DoytzrowAXPqLylp80uq27wVJ3hpukMLe-jsUOBbIaFfbl6hygkDWbEkAc2nKrNtmVPu5shNf4~3p0qe5UXpWvZUH5upoEfD2PoXwj3ZxWBAhp8yqzIA3JXv6ay23Fzb2BPksRXbwkpJ5KJ0QcnkFnOJzwKTt1HK8RlLocDfVEJeIWqPgA1Tfqf3yMe8aLr4~4FoEs8ltgIFBybUcV5S71fgyn0LxIzCugrjKOhJPjvl9XSw3QFQpA-3WyiW~GyjDu~gsH3fUrA__&Key-Pair-Id=KRSA"
  private static let curve =
    "/v/abc/master.m3u8?Policy=\(policy)&Signature=MEQCIANpwOEy1sqwZ~T46UmMozbVM7AnGXoyLr~9-7k6ZG~yAiAu~1hrP78ib5FnDEf5yJo0DbLQrxU-YH3qZFFRIw~Mkg__&Hash-Algorithm=SHA256&Key-Pair-Id=KEC"
  /// With a condition `Bool` that is not understood.
  private static let strange =
    "/v/abc/master.m3u8?Policy=eyJTdGF0ZW1lbnQiOlt7IlJlc291cmNlIjoiaHR0cHM6Ly9jZG4uZXhhbXBsZS5jb20vdi9hYmMvKiIsIkNvbmRpdGlvbiI6eyJEYXRlTGVzc1RoYW4iOnsiQVdTOkVwb2NoVGltZSI6MTcwMDAwMzYwMH0sIkJvb2wiOnsiYXdzOlNlY3VyZVRyYW5zcG9ydCI6MX19fV19&Signature=kwh1zAvBbMcj9oxKAVkgjpJ3VHvaBejeZXOqecLiMw3V2kZxBx-89bWMsx-k4wTNOd2TESUeNcfA3FTJsG-4aKDHQROswUl8qKAoD2Nji~oObjUHq7Vtpz0I5nXHp9YUcNBDRx5buCLQB~QeX3UVSI6DCbrBce~ntq2GIYU6k9P9gssI~fen779jmOgCb64Fh-HbaVW6yQl7T3iGRFN0TiZxtAyyJ2lWQKN~9LF~fT2-uoOIumD3QCj7hd5~mEf2LSaUH~wd2blLp~mw8EiFDEDIbynq1-c3ZQHnFnQksA6aTIaymcKAcAGB78g64Svpld7dUMDRIi~g34fRH55Ibw__&Key-Pair-Id=KRSA"

  private static func keys() throws -> [SiteConfiguration.PublicCredential] {
    try [("KDOC", documented), ("KRSA", rsa), ("KEC", p256)].map {
      .init(id: $0.0, key: try #require(PublicKey(pem: Array($0.1.utf8))))
    }
  }

  private static func verifier() throws -> CloudFrontVerifier {
    CloudFrontVerifier(keys: try keys(), publicURLs: ["https://cdn.example.com"])
  }

  @Test(arguments: [canned, cannedSHA256, custom, curve]) func knownURLsAreValid(target: String) throws {
    #expect(try SigningFixture.verify(Self.verifier(), target, nowSeconds: 1_700_000_001).isValid)
    #expect(try SigningFixture.verify(Self.verifier(), target, nowSeconds: 1_700_003_600).refusal == .expired)
  }

  @Test(arguments: [canned, cannedSHA256, custom, curve]) func noVariantPasses(target: String) throws {
    let access = try SigningFixture.access(
      {
        $0.cloudFrontKeys = try Self.keys()
        $0.publicURLs = ["https://cdn.example.com"]
      }, nowSeconds: 1_700_000_001)
    #expect(try SigningFixture.hears(access, target) == nil)
    try TokenTampering.expectRefused(access, target, isOrdered: false) { path in
      target.contains("Policy=") && path.hasPrefix("/v/abc/")
    }
  }

  @Test func cookiesAreValid() throws {
    let parts = Self.custom.split(separator: "?").map(String.init)
    let (path, query) = (parts[0], parts[1])
    let cookies =
      "Cookie: a=b; " + query.split(separator: "&").map { "CloudFront-\($0)" }.joined(separator: "; ")
    let verdict = try SigningFixture.verify(Self.verifier(), path, fields: cookies, nowSeconds: 1_700_000_001)
    guard case .valid(let grant) = verdict else { return #expect(Bool(false), "\(verdict)") }
    #expect(grant.childQuery == nil)
    let both = try SigningFixture.verify(
      Self.verifier(), Self.custom, fields: cookies, nowSeconds: 1_700_000_001)
    #expect(both.refusal == .invalid)
    let twice = try SigningFixture.verify(
      Self.verifier(), path, fields: cookies + "\nCookie: CloudFront-Policy=x", nowSeconds: 1_700_000_001)
    #expect(twice.refusal == .invalid)
  }

  @Test func aWildcardTravels() throws {
    guard
      case .valid(let grant) = try SigningFixture.verify(
        Self.verifier(), Self.custom, nowSeconds: 1_700_000_001)
    else { return #expect(Bool(false), "it is valid") }
    #expect(grant.childQuery == Array(Self.custom.split(separator: "?")[1].utf8))
    #expect(ManifestTemplate.canCarry(grant.childQuery ?? []))
  }

  @Test func conditionsHold() throws {
    let verifier = try Self.verifier()
    #expect(try SigningFixture.verify(verifier, Self.custom, nowSeconds: 1_699_999_999).refusal == .invalid)
    for client in ["203.0.114.1", "[2001:db8::1]", nil] {
      #expect(
        try SigningFixture.verify(verifier, Self.custom, client: client, nowSeconds: 1_700_000_001).refusal
          == .invalid)
    }
    let elsewhere = CloudFrontVerifier(keys: try Self.keys(), publicURLs: ["https://other.example.com"])
    for target in [Self.canned, Self.custom] {
      #expect(try SigningFixture.verify(elsewhere, target, nowSeconds: 1_700_000_001).refusal == .invalid)
    }
    let strange = try SigningFixture.verify(verifier, Self.strange, nowSeconds: 1_700_000_001)
    #expect(strange.reason == "the policy holds what is not understood here")
    // Without public_urls the host of the request counts, which is localhost here.
    let open = CloudFrontVerifier(keys: try Self.keys(), publicURLs: [])
    #expect(try SigningFixture.verify(open, Self.canned).refusal == .invalid)
  }

  @Test(arguments: [
    "{}", "[]", "", "{\"Statement\":[]}", "{\"Statement\":[{\"Resource\":\"*\",\"Condition\":{}}]}",
    "{\"Statement\":[{\"Resource\":\"*\",\"Condition\":{\"DateLessThan\":{\"AWS:EpochTime\":1.5}}}]}",
    "{\"Statement\":[{\"Resource\":\"*\",\"Condition\":{\"DateLessThan\":{\"AWS:EpochTime\":\"1\"}}}]}",
    "{\"Statement\":[{\"Resource\":\"*\",\"Condition\":{\"DateLessThan\":{\"AWS:EpochTime\":1}}}],\"x\":1}",
    "{\"Statement\":[{\"Resource\":\"*\",\"Effect\":\"Allow\",\"Condition\":{\"DateLessThan\":{\"AWS:EpochTime\":1}}}]}",
    "{\"Statement\":[{\"Resource\":\"*\",\"Condition\":{\"DateLessThan\":{\"AWS:EpochTime\":1}}}]",
    "{\"Statement\":[{\"Resource\":\"*\",\"Condition\":{\"DateLessThan\":{\"AWS:EpochTime\":9223372036854775807}}}]}",
    "{\"Statement\":[{\"Resource\":\"*\",\"Condition\":{\"DateLessThan\":{\"AWS:EpochTime\":-1}}}]}",
  ]) func otherDocumentsAreNoPolicies(text: String) {
    #expect(CloudFrontPolicy(Array(text.utf8)) == nil)
  }

  @Test(arguments: [
    ("203.0.113.0/24", "203.0.113.255", true), ("203.0.113.0/24", "203.0.114.0", false),
    ("0.0.0.0/0", "1.2.3.4", true),
    ("1.2.3.4", "1.2.3.4", true), ("1.2.3.4/32", "1.2.3.5", false), ("1.2.3.4/33", "1.2.3.4", false),
    ("1.2.3", "1.2.3.4", false), ("1.2.3.04", "1.2.3.4", false), ("::/0", "1.2.3.4", false),
    ("1.2.3.4/8", "::1", false),
  ]) func networks(network: String, address: String, expected: Bool) {
    #expect(CloudFrontPolicy.contains(network, address) == expected)
  }

  @Test func keysAreOfTheRightKind() {
    #expect(PublicKey(pem: []) == nil)
    #expect(PublicKey(pem: Array("-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----".utf8)) == nil)
    #expect(PublicKey(pem: Array(Self.p256.dropLast(60).utf8)) == nil)
  }
}
