import Testing

@testable import Origin

/// Common Access Tokens. The first is decoded by an independent CWT library; the others were made by the same few lines of
/// Python that make it.
@Suite struct CommonAccessTests {
  static let token =
    "2D3RhEOhAQWhBEJrMVhTpQFuaXNzdWVyLmV4YW1wbGUEGmVT_xAZATYBGQE4owChAGVodHRwcwGhAG9jZG4uZXhhbXBsZS5jb20DoQFnL3YvYWJjLxkBOYJjR0VUZEhFQURYILv6Du2VyS4mK1ZSjWJLgnZhuUub6m8EaaxHfHsWBDhO"

  private static let valid = [
    token,
    // Without the tag of a CWT; with the key id in the protected header; with catreplay 0.
    "0YRDoQEFoQRCazFYU6UBbmlzc3Vlci5leGFtcGxlBBplU_8QGQE2ARkBOKMAoQBlaHR0cHMBoQBvY2RuLmV4YW1wbGUuY29tA6EBZy92L2FiYy8ZATmCY0dFVGRIRUFEWCC7-g7tlckuJitWUo1iS4J2YblLm-pvBGmsR3x7FgQ4Tg",
    "2D3RhEeiAQUEQmsxoFhTpQFuaXNzdWVyLmV4YW1wbGUEGmVT_xAZATYBGQE4owChAGVodHRwcwGhAG9jZG4uZXhhbXBsZS5jb20DoQFnL3YvYWJjLxkBOYJjR0VUZEhFQURYIObrFiMuHSJ9-pdx8QRGF5VGc3ZqOPiPVuuPuwDu2G79",
    "2D3RhEOhAQWhBEJrMVhXpgFuaXNzdWVyLmV4YW1wbGUEGmVT_xAZATYBGQE4owChAGVodHRwcwGhAG9jZG4uZXhhbXBsZS5jb20DoQFnL3YvYWJjLxkBOYJjR0VUZEhFQUQZATQAWCCAxVQORpi_TnduIolEFz2hTnM0GDSm2xrb7eCr4HHPfA",
    // One path; digests and pieces of the URL; ES256.
    "2D3RhEOhAQWhBEJrMVhCpQFuaXNzdWVyLmV4YW1wbGUEGmVT_xAZATYBGQE4oQOhAHIvdi9hYmMvbWFzdGVyLm0zdTgZATmCY0dFVGRIRUFEWCCLu-yfMUD0i17ZbHU3-WEXKEdXyfu12RXK3_tAYIpnyw",
    "2D3RhEOhAQWhBEJrMVhwpQFuaXNzdWVyLmV4YW1wbGUEGmVT_xAZATYBGQE4pQihAGUubTN1OAehIFgg_GE7Tf1nNqe9JoyKDnTtDRwEqVn1nddO8odJg_1EP8kFoQJjYWJjBqEDZHN0ZXICoQBjNDQzGQE5gmNHRVRkSEVBRFggaPQGZb4W6lsV4GeeCTSdiKyiTz3Iuy9Pj0uUnFtC0_o",
    "2D3ShEOhASahBEJlMVhTpQFuaXNzdWVyLmV4YW1wbGUEGmVT_xAZATYBGQE4owChAGVodHRwcwGhAG9jZG4uZXhhbXBsZS5jb20DoQFnL3YvYWJjLxkBOYJjR0VUZEhFQURYQNgEH0YYYywjWjFp-ZVRJqgtb0Z6Bf0XkDHLHvekoN8cM0tcgGH5iP1WmGHg6auTX0SZdVJZTPe95Swcw5Lv58w",
    // An audience, alone and among others; SHA-512/256 of a path; PS256.
    "2D3RhEOhAQWhBEJrMVhXpgFuaXNzdWVyLmV4YW1wbGUEGmVT_xAZATYBGQE4owChAGVodHRwcwGhAG9jZG4uZXhhbXBsZS5jb20DoQFnL3YvYWJjLxkBOYJjR0VUZEhFQUQDYnVzWCCBOFYUaDhdHgrVUQUW-vVwgnLPhz9xD4XKp05k8Qa1eQ",
    "2D3RhEOhAQWhBEJrMVhapgFuaXNzdWVyLmV4YW1wbGUEGmVT_xAZATYBGQE4owChAGVodHRwcwGhAG9jZG4uZXhhbXBsZS5jb20DoQFnL3YvYWJjLxkBOYJjR0VUZEhFQUQDgmF4YnVzWCDZecEakKZSsdhaiyLoDGuILDSlKBqueFLBZxLkIuX4cw",
    "2D3RhEOhAQWhBEJrMVhRpQFuaXNzdWVyLmV4YW1wbGUEGmVT_xAZATYBGQE4oQOhIVgg_ZOy3PE1PJzPu_T7C2l5ddv5LlqZ5EEEuv_c838ql5YZATmCY0dFVGRIRUFEWCByEf7SbFB2sNZjndhsOBAaBA_MKZ2St_U5EV8WNVxKQQ",
    ps256,
  ]

  private static let rsa = """
    -----BEGIN PUBLIC KEY-----
    MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAz5krn42Jqyn7ZXTKW6Vd
    i3TimX6BNvdA5h0DmoeTpvbRVeVvPhwKVhAa6jfKdv8hFPlOHd9Mzq+2ROaye3Xx
    i2PB6a6TIdLcmK2TAtQR+EbOApbE86MrnLGy7pll9jXetnfqpYRYcbjl3bjf3Lzy
    dWOvX5S8yHYwgWOVLVi7vmGBjCi/N2pN59hNHfI6tr0BODRI3GdXp5KKIWxwg94T
    U9Wt+gvv+kZzSouuHO8EFCFdPLOMYFGNYTdbeOZQ0nDGTt8MZQZgq25guzEcMEZB
    bB4KKNOr6EOKfKEaR2GW1XTe+OTFI2enB0AIHgU5fiFkGXL17lacUKLyvQkL8TM+
    aQIDAQAB
    -----END PUBLIC KEY-----
    """

  /// RSASSA-PSS with SHA-256, its mask too, and a salt of 32 bytes.
  private static let ps256 =
    "2D3ShEShATgkoQRCcjFYU6UBbmlzc3Vlci5leGFtcGxlBBplU_8QGQE2ARkBOKMAoQBlaHR0cHMBoQBvY2RuLmV4YW1wbGUuY29tA6EBZy92L2FiYy8ZATmCY0dFVGRIRUFEWQEATasVwvoqE7cWYKr-v8y5_zydIhDGx7mhCq0IveIiC_6qBTQrDKVwdJV_DZrRRp6LOAddnteZMK35yrkIJ3EeUzxYs0FSqtpFmh9TU5PXlYVrU9e5GM-9_xcHh-LwKZMDNatEMIF-JWJxycwYulzU96cnXdl8tkeK7QJx5OzlZIqBlLkcXUsgU0RCADg5diBnbpHH8Rp_2WitqGMxeqhDDH3H7JOMyvUG5wKMhbF0jDsYD4phEOkTphEft_Sqrb1IFAqz86AsBh_x7P7zloSwG-g_vZBm9Te1G9Legh8EK_qy8MpLRAFQsszB4bGzAnWplROrRtvkcJ4qgA88IzaM5Q"

  /// What RFC 8230 does not allow: a salt of 20 bytes, PKCS #1 v1.5, a mask by SHA-1.
  private static let otherRSA = [
    "2D3ShEShATgkoQRCcjFYU6UBbmlzc3Vlci5leGFtcGxlBBplU_8QGQE2ARkBOKMAoQBlaHR0cHMBoQBvY2RuLmV4YW1wbGUuY29tA6EBZy92L2FiYy8ZATmCY0dFVGRIRUFEWQEAddPL_vuqi9JwNa2DZ6umE8HXn1f9kBXbWtYMEE0aOFa_25h17h95zopPjFgpjbcD8EFO5Tn1s_cNQzo5TcqT10fPfVv3mHUE-uW-fkL-mo8PJUMXgkR6DO3Zg0W_qiJ6gxtPhV7rCs6OMM7_i-3ld7s07sQ7_dANtgeBF8gne-eOvL8tIT_SthIpbZJKRiirox9s66Jss0hUYvEtkB-_gIT06Oc37HiBhEygR2kKQ3_qn4BxW7s-pZ_s5gPGDC888Fsjv1dELsQ9u6uwi1UIUolcjJBojLlQGsJITyActy06_K1NUEQNIDVUSnQlLDSMnCF-9stmQhNN8VOwna6Gww",
    "2D3ShEShATgkoQRCcjFYU6UBbmlzc3Vlci5leGFtcGxlBBplU_8QGQE2ARkBOKMAoQBlaHR0cHMBoQBvY2RuLmV4YW1wbGUuY29tA6EBZy92L2FiYy8ZATmCY0dFVGRIRUFEWQEAdZplm_S8a-U00CbslD320eEh4wTwwBMpypDhwSdXjs1JDfPoEc8mQqVgXa2ysLvCpl_IDH-ZOfunQpSmzRBkp8s7v8WtHzIGaJAO6fbH6bcSsPon5yffon2Piw7pMq6K2VFY4vtX8vkhehre8ByVFkXQYKbgtQdKpQtwvKVy4XzcE7v2bBQLrGfmnnwuMKRClUlL3SYE51yCOYvyrQISkFPq4OljqaRPKAplyPyv-0L_sUwbCVNK-DtxE9sWD6bMwHk6_CGA9ZCZ7yJ4h-7cbIoNB8omwQfpLVK1RsHQN-IIxWVdqo8KK-1h2dm_2Kq0mTyrqhNCKGuxPgo2NroXSw",
    "2D3ShEShATgkoQRCcjFYU6UBbmlzc3Vlci5leGFtcGxlBBplU_8QGQE2ARkBOKMAoQBlaHR0cHMBoQBvY2RuLmV4YW1wbGUuY29tA6EBZy92L2FiYy8ZATmCY0dFVGRIRUFEWQEAOGCyNaoXLcYTgtfTySYdRhNXIor319YY8IgCL_B7jU-b8gJoiNSskieQelOv0ICXtDirHGWRCLouZjJFjRdVGrXa3S57YsOa3AuYkg5878nvSorY6R5OeyxXf-hRWuCSA3VwDdScCBeBFtmYRo24HvajJpHtGl1GFTgXkykkSD5gbVk7aeDH0Ciz5oLPGQSrA21YH9Y8CyNkqVTOi19DOGKNtldIuJ_UFKaSzSu_6jM6k5GL8lot3qK2n6Cco2cu-FNucSlV6XZpnwdhBtUv43BYm_LnYJsQaVRZnsxzXVglzKsuHNEbeaLw0yuAvjU14z6Eyc5a_qKYOtYm9M1Reg",
  ]

  private static let refused = [
    (
      "another aud",
      "2D3RhEOhAQWhBEJrMVhcpgFuaXNzdWVyLmV4YW1wbGUEGmVT_xAZATYBGQE4owChAGVodHRwcwGhAG9jZG4uZXhhbXBsZS5jb20DoQFnL3YvYWJjLxkBOYJjR0VUZEhFQUQDgmF4ZHRoZW1YILnpumDT260Thh42DFqJFVKBEDAvG12Fv_cmd0Y8zJcO"
    ),
    (
      "aud that is no text",
      "2D3RhEOhAQWhBEJrMVhWpgFuaXNzdWVyLmV4YW1wbGUEGmVT_xAZATYBGQE4owChAGVodHRwcwGhAG9jZG4uZXhhbXBsZS5jb20DoQFnL3YvYWJjLxkBOYJjR0VUZEhFQUQDgQFYILShdlfhteyiRmnLZofIktsWf8Pcibo0TcZrfbusjQWp"
    ),
    (
      "another digest",
      "2D3RhEOhAQWhBEJrMVhRpQFuaXNzdWVyLmV4YW1wbGUEGmVT_xAZATYBGQE4oQOhIVgg0nPPW4_9n1jWfjuzKrBJ4RlDwRpcHbmiBdFHrgBKKEQZATmCY0dFVGRIRUFEWCBLeY0d3WWCsv1MAUNIl8w43ulSYj_lsmIW9r2yRSzr1w"
    ),
    (
      "nbf future",
      "2D3RhEOhAQWhBEJrMVhZpgFuaXNzdWVyLmV4YW1wbGUEGmVT_xAZATYBGQE4owChAGVodHRwcwGhAG9jZG4uZXhhbXBsZS5jb20DoQFnL3YvYWJjLxkBOYJjR0VUZEhFQUQFGmVT8QFYIBaIxpq4nDbxzJAneYX3ab96Iob01KfxNYpT_-Au7j9Z"
    ),
    (
      "aud",
      "2D3RhEOhAQWhBEJrMVhWpgFuaXNzdWVyLmV4YW1wbGUEGmVT_xAZATYBGQE4owChAGVodHRwcwGhAG9jZG4uZXhhbXBsZS5jb20DoQFnL3YvYWJjLxkBOYJjR0VUZEhFQUQDYXhYIP2rcQnkv8ASoO9bW_6tZ1gfp8l-pEv8taG0SsGkDh5h"
    ),
    (
      "catr",
      "2D3RhEOhAQWhBEJrMVhZpgFuaXNzdWVyLmV4YW1wbGUEGmVT_xAZATYBGQE4owChAGVodHRwcwGhAG9jZG4uZXhhbXBsZS5jb20DoQFnL3YvYWJjLxkBOYJjR0VUZEhFQUQZAUOhAAFYIN5s7S9Gj0IP9tArdIDPlj-n8vxPBqR9m6qzoEbx6EIY"
    ),
    (
      "replay1",
      "2D3RhEOhAQWhBEJrMVhXpgFuaXNzdWVyLmV4YW1wbGUEGmVT_xAZATYBGQE4owChAGVodHRwcwGhAG9jZG4uZXhhbXBsZS5jb20DoQFnL3YvYWJjLxkBOYJjR0VUZEhFQUQZATQBWCDzLzrJ2RhxFrm4wWwTqs6jFqZzMkfE9VGyv3_CrlMEcQ"
    ),
    (
      "text claim",
      "2D3RhEOhAQWhBEJrMVhWpgFuaXNzdWVyLmV4YW1wbGUEGmVT_xAZATYBGQE4owChAGVodHRwcwGhAG9jZG4uZXhhbXBsZS5jb20DoQFnL3YvYWJjLxkBOYJjR0VUZEhFQURheAFYICTCOHcvln71u_1qYKnZh_pLQp-tDW9d40iq1vmKPebr"
    ),
    (
      "regex",
      "2D3RhEOhAQWhBEJrMVg1pQFuaXNzdWVyLmV4YW1wbGUEGmVT_xAZATYBGQE4oQOhBIFkXi92LxkBOYJjR0VUZEhFQURYIO7RLqWNpP1keh6WPquDgCtYJ9sdqPOIDzOcKjwzmpvU"
    ),
    (
      "post",
      "2D3RhEOhAQWhBEJrMVhPpQFuaXNzdWVyLmV4YW1wbGUEGmVT_xAZATYBGQE4owChAGVodHRwcwGhAG9jZG4uZXhhbXBsZS5jb20DoQFnL3YvYWJjLxkBOYFkUE9TVFggHfCctb-UEAa20ed_2VPjtFm0bBR8TjToaiegxwZVbvA"
    ),
    (
      "issuer",
      "2D3RhEOhAQWhBEJrMVhSpQFtb3RoZXIuZXhhbXBsZQQaZVP_EBkBNgEZATijAKEAZWh0dHBzAaEAb2Nkbi5leGFtcGxlLmNvbQOhAWcvdi9hYmMvGQE5gmNHRVRkSEVBRFgg_hnpV2YqkyAjg57NVZp_FL_j3t5tajkMIirMsqQh2nI"
    ),
    (
      "no exp",
      "2D3RhEOhAQWhBEJrMVhNpAFuaXNzdWVyLmV4YW1wbGUZATYBGQE4owChAGVodHRwcwGhAG9jZG4uZXhhbXBsZS5jb20DoQFnL3YvYWJjLxkBOYJjR0VUZEhFQURYICceCzKrrgQl1o-3T1ULC5hmW9NzX5tgblRVxkpyGKMS"
    ),
    (
      "catv2",
      "2D3RhEOhAQWhBEJrMVhTpQFuaXNzdWVyLmV4YW1wbGUEGmVT_xAZATYCGQE4owChAGVodHRwcwGhAG9jZG4uZXhhbXBsZS5jb20DoQFnL3YvYWJjLxkBOYJjR0VUZEhFQURYICzpCJOVVlftWOHQUJjpMRkjy6VMCOwDAjcsz7UdhNhb"
    ),
    (
      "float exp",
      "2D3RhEOhAQWhBEJrMVgbogFuaXNzdWVyLmV4YW1wbGUE-0HZVP_EAAAAWCDmk_ij5O1lypH_wHXpkhNzKCuDfqrTTo_O-YK_cndkDw"
    ),
    (
      "dup",
      "2D3RhEOhAQWhBEJrMVgdowFuaXNzdWVyLmV4YW1wbGUEGmVT_xAEGmtJ4BBYIDeUrAIedMtmEOU3U5ZvYVQyux-MyIOqLfBAGkLBsyJh"
    ),
    (
      "crit",
      "2D3RhEeiAQUCgRhjoQRCazFYU6UBbmlzc3Vlci5leGFtcGxlBBplU_8QGQE2ARkBOKMAoQBlaHR0cHMBoQBvY2RuLmV4YW1wbGUuY29tA6EBZy92L2FiYy8ZATmCY0dFVGRIRUFEWCBr-gOS_lAEg299TKULVAlG0ez9EpmMv8EixLfzAwA5Fg"
    ),
  ]

  private static func settings() throws -> SiteConfiguration.Signing.CommonAccess {
    var settings = try OriginFixture.siteConfiguration().signing.commonAccess
    settings.keys = [SigningFixture.key()]
    settings.publicKeys = [
      .init(id: "e1", key: try #require(PublicKey(pem: Array(CloudFrontTests.p256.utf8)))),
      .init(id: "r1", key: try #require(PublicKey(pem: Array(rsa.utf8)))),
    ]
    settings.issuers = ["issuer.example"]
    settings.audiences = ["us"]
    settings.name = "cat"
    return settings
  }

  static func verifier() throws -> CommonAccessVerifier {
    CommonAccessVerifier(settings: try settings(), publicURLs: ["https://cdn.example.com"])
  }

  @Test(arguments: valid) func knownTokensAreValid(token: String) throws {
    for (target, fields) in [
      ("/v/abc/master.m3u8?cat=\(token)", ""), ("/v/abc/master.m3u8?a=b&cat=\(token)&c", ""),
      ("/v/abc/master.m3u8", "CAT: \(token)"), ("/v/abc/master.m3u8", "Cookie: x=y; cat=\(token)"),
    ] {
      let verdict = try SigningFixture.verify(Self.verifier(), target, fields: fields)
      #expect(verdict.isValid, "\(verdict)")
    }
    let target = "/v/abc/master.m3u8?cat=\(token)"
    #expect(try SigningFixture.verify(Self.verifier(), target, nowSeconds: 1_700_003_600).refusal == .expired)
  }

  @Test(arguments: refused) func whatIsNotUnderstoodIsRefused(name: String, token: String) throws {
    let verdict = try SigningFixture.verify(Self.verifier(), "/v/abc/master.m3u8?cat=\(token)")
    #expect(verdict.refusal == .invalid, "\(name)")
  }

  @Test func noVariantPasses() throws {
    let access = try SigningFixture.access {
      $0.commonAccess = try Self.settings()
      $0.publicURLs = ["https://cdn.example.com"]
    }
    for token in [Self.valid[0], Self.valid[6], Self.ps256] {
      let target = "/v/abc/master.m3u8?cat=\(token)"
      #expect(try SigningFixture.hears(access, target) == nil)
      try TokenTampering.expectRefused(access, target, isOrdered: false) { $0.hasPrefix("/v/abc/") }
    }
  }

  @Test(arguments: otherRSA) func otherSignaturesOfRSAAreNone(token: String) throws {
    #expect(try SigningFixture.verify(Self.verifier(), "/v/abc/master.m3u8?cat=\(token)").refusal == .invalid)
  }

  /// The operator reads what it was.
  @Test(arguments: [
    ("regex", "catu has a regular expression, which is not understood here"),
    ("catr", "the claim catr is not understood here"),
    ("replay1", "the claim catreplay, other than 0, is not understood here"),
    ("another aud", "the token is for x, them: none of signing.cat.audiences"),
  ]) func aRefusalNamesTheClaim(name: String, reason: String) throws {
    let token = try #require(Self.refused.first { $0.0 == name }).1
    #expect(try SigningFixture.verify(Self.verifier(), "/v/abc/master.m3u8?cat=\(token)").reason == reason)
  }

  @Test func aPrefixTravelsAndAPathDoesNot() throws {
    for (token, travels) in [(Self.valid[0], true), (Self.valid[4], false), (Self.valid[5], false)] {
      guard
        case .valid(let grant) = try SigningFixture.verify(Self.verifier(), "/v/abc/master.m3u8?cat=\(token)")
      else {
        return #expect(Bool(false), "it is valid")
      }
      #expect((grant.childQuery != nil) == travels)
    }
    #expect(
      try SigningFixture.verify(Self.verifier(), "/v/abcd/master.m3u8?cat=\(Self.token)").refusal == .invalid)
  }

  @Test func oneTokenAtATime() throws {
    let target = "/v/abc/master.m3u8?cat=\(Self.token)"
    #expect(
      try SigningFixture.verify(Self.verifier(), target, fields: "cat: \(Self.token)").refusal == .invalid)
    #expect(try SigningFixture.verify(Self.verifier(), target + "&cat=x").refusal == .invalid)
  }

  /// {4: 2^63-1}, {4: -2^63}, {4: 0, 5: -1}: times that arithmetic could stumble over.
  @Test(
    arguments: [
      [0xA1, 4, 0x1B, 0x7F, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF],
      [0xA1, 4, 0x3B, 0x7F, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF], [0xA2, 4, 0, 5, 0x20],
    ] as [[UInt8]]) func timesHaveABound(payload: [UInt8])
  {
    #expect(throws: AccessClaims.Refusal(reason: "exp or nbf is no time")) { try AccessClaims(payload) }
  }

  // MARK: CBOR

  @Test(
    arguments: [
      ([0x00], CBORItem.integer(0)), ([0x18, 0x18], .integer(24)), ([0x3A, 0, 1, 0, 0], .integer(-65537)),
      ([0x42, 1, 2], .bytes([1, 2])), ([0x61, 0x61], .text("a")),
      ([0x82, 1, 0x20], .array([.integer(1), .integer(-1)])),
      ([0xA1, 1, 0xF5], .map([(key: .integer(1), value: .simple(21))])), ([0xC1, 0], .tag(1, .integer(0))),
    ] as [([UInt8], CBORItem)]) func items(bytes: [UInt8], expected: CBORItem)
  {
    #expect(CBORItem(bytes) == expected)
    #expect(CBORItem(bytes + [0]) == nil && CBORItem(Array(bytes.dropLast())) == nil)
  }

  @Test(
    arguments: [
      // Longer than needed, indefinite, reserved, floating-point, keys twice, keys of another kind, no UTF-8, too large.
      [0x18, 0x17], [0x19, 0, 0xFF], [0x1A, 0, 0, 0xFF, 0xFF], [0x1B, 0, 0, 0, 0, 0xFF, 0xFF, 0xFF, 0xFF],
      [0x5F, 0xFF],
      [0x9F, 0xFF], [0xBF, 0xFF], [0x1C], [0xFC], [0xF9, 0, 0], [0xFB, 0, 0, 0, 0, 0, 0, 0, 0], [0xF8, 0x20],
      [0xA2, 1, 1, 1, 2], [0xA1, 0x80, 1], [0x61, 0xFF],
      [0x1B, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF],
      [0x9B, 0x7F, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF],
      [0x5B, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF],
      [0x81, 0x81, 0x81, 0x81, 0x81, 0x81, 0x81, 0x81, 0x81, 0x81, 0x00], [],
    ] as [[UInt8]]) func noOtherSpelling(bytes: [UInt8])
  {
    #expect(CBORItem(bytes) == nil)
  }
}
