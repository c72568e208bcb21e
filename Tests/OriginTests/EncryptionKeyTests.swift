import Packaging
import Testing

@testable import Origin

/// Which key an asset has, and what a key file may say.
@Suite struct EncryptionKeyTests {
  static func hex(_ bytes: [UInt8]) -> String {
    bytes.map { String($0 >> 4, radix: 16) + String($0 & 15, radix: 16) }.joined()
  }

  static func bytes(_ hex: String) -> [UInt8] {
    let digits = hex.compactMap(\.hexDigitValue)
    return stride(from: 0, to: digits.count, by: 2).map { UInt8(digits[$0] * 16 + digits[$0 + 1]) }
  }

  private func parse(_ text: String) -> (keys: KeyRing, complaints: [KeyRing.Complaint]) {
    KeyRing.parse(Array(text.utf8))
  }

  /// RFC 4231 §4.2 and §4.3.
  @Test func theCodeIsThatOfTheStandard() {
    let first = MessageCode.bytes(of: Array("Hi There".utf8), key: [UInt8](repeating: 0x0B, count: 20))
    #expect(Self.hex(first) == "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7")
    let second = MessageCode.bytes(of: Array("what do ya want for nothing?".utf8), key: Array("Jefe".utf8))
    #expect(Self.hex(second) == "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843")
  }

  /// NIST SP 800-38A F.2.1 and F.5.1.
  @Test func theCipherIsThatOfTheStandard() throws {
    let plain = Self.bytes(
      "6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e51"
        + "30c81c46a35ce411e5fbc1191a0a52eff69f2445df4f9b17ad2b417be66c3710")
    let key = try #require(
      ContentKey(
        id: [UInt8](repeating: 1, count: 16), key: Self.bytes("2b7e151628aed2a6abf7158809cf4f3c")))
    let cipher = OpenSSLCipher(key)
    for cut in [0, 16, 48, 64] {
      var chained = plain
      var vector: UInt128 = 0x0001_0203_0405_0607_0809_0a0b_0c0d_0e0f
      chained.withUnsafeMutableBytes { whole in
        cipher.encryptCBC(UnsafeMutableRawBufferPointer(rebasing: whole[..<cut]), vector: &vector)
        cipher.encryptCBC(UnsafeMutableRawBufferPointer(rebasing: whole[cut...]), vector: &vector)
      }
      #expect(
        Self.hex(chained)
          == "7649abac8119b246cee98e9b12e9197d5086cb9b507219ee95db113a917678b2"
          + "73bed6b8e3c1743b7116e69e222295163ff1caa1681fac09120eca307586e1a7")
    }
    var counted = plain
    counted.withUnsafeMutableBytes {
      cipher.encryptCTR($0, counter: 0xf0f1_f2f3_f4f5_f6f7_f8f9_fafb_fcfd_feff)
    }
    #expect(
      Self.hex(counted)
        == "874d6191b620e3261bef6864990db6ce9806f66b7970fdff8617187bb9fffdff"
        + "5ae4df3edbd5d35e5b4f09020db03eab1e031dda2fbe03d1792170a0f3009cee")
  }

  /// By `openssl dgst -sha256 -mac HMAC -macopt hexkey:…`, another program.
  @Test func keysAreDerivedForEachAsset() throws {
    let secret = (0..<32).map { format($0) }.joined()
    let (keys, complaints) = parse("[default]\nsecret = \"\(secret)\"")
    #expect(complaints.isEmpty)
    let film = try #require(keys.key(ofAsset: "film"))
    #expect(Self.hex(film.id) == "eb75df71d635cbd8c03a5b1966f36539")
    #expect(Self.hex(film.key) == "e55b4e958515b8704878c2c6f0846d82")
    #expect(film.iv.map(Self.hex) == "300ee2eb3c46676ec4e6827f5244abe3")
    let other = try #require(keys.key(ofAsset: "film2"))
    #expect(film.id != other.id && film.key != other.key && film.iv != other.iv)
    #expect(keys == parse("[default]\nsecret = \"\(secret.uppercased())\"").keys)
  }

  private func format(_ byte: Int) -> String { Self.hex([UInt8(byte)]) }

  @Test func aKeyOfItsOwnComesFirst() throws {
    let own =
      "[assets.film]\nid = \"\(String(repeating: "a1", count: 16))\"\nkey = \"\(String(repeating: "0B", count: 16))\"\n"
    let (alone, complaints) = parse(own)
    #expect(complaints.isEmpty)
    let key = try #require(alone.key(ofAsset: "film"))
    #expect(key.id == [UInt8](repeating: 0xA1, count: 16) && key.key == [UInt8](repeating: 0x0B, count: 16))
    #expect(key.iv?.count == 16)
    #expect(alone.key(ofAsset: "other") == nil)
    let withVector = parse(own + "iv = \"\(String(repeating: "0c", count: 16))\"").keys
    #expect(withVector.key(ofAsset: "film")?.iv == [UInt8](repeating: 0x0C, count: 16))
    let both = parse(own + "[default]\nsecret = \"\(String(repeating: "7", count: 64))\"").keys
    #expect(both.key(ofAsset: "film") == key)
    #expect(both.key(ofAsset: "other") != nil)
  }

  static let refused: [(String, Int, String)] = [
    ("", 1, "neither a [default] secret nor"),
    ("default = 3", 1, "neither [default] nor [assets.ID]"),
    ("\n[other]", 2, "neither [default] nor [assets.ID]"),
    ("[default]\nsecret = \"5EC2E7\"", 2, "64 hex digits"),
    ("[default]\nsecret = \"\(String(repeating: "x", count: 64))\"", 2, "64 hex digits"),
    ("[default]\nsecret = 5", 2, "64 hex digits"),
    ("[default]\nsecrt = \"5EC2E7\"", 2, "takes secret and nothing else"),
    ("[assets.\"a b\"]\nid = \"\"", 1, "not the id of an asset"),
    ("[assets]\nfilm = \"5EC2E7\"", 2, "not a table with id and key"),
    ("[assets.film]\nid = \"\(String(repeating: "0", count: 32))\"", 1, "assets.film.key must be"),
    ("[assets.film]\nkey = 5EC2E7", 2, "this is not TOML"),
  ]

  @Test(arguments: refused) func whatIsWrongIsToldWithoutTheKey(text: String, line: Int, message: String) {
    let complaints = parse(text).complaints
    #expect(complaints.contains { $0.position.line == line && $0.message.contains(message) }, "\(complaints)")
    #expect(!"\(complaints)".contains("5EC2E7"))
  }
}

/// What a key service may answer.
@Suite struct KeyDocumentTests {
  private static let hex =
    #"{"kid": "a0a1a2a3a4a5a6a7a8a9aaabacadaeaf", "key": "FFc2e7d00102030405060708090a0b0C""#

  private func parse(_ text: String) -> ContentKey? { KeyDocument.parse(Array(text.utf8)) }

  @Test func allFormsAreTheSameKey() throws {
    let key = try #require(parse(Self.hex + "}"))
    #expect(EncryptionKeyTests.hex(key.id) == "a0a1a2a3a4a5a6a7a8a9aaabacadaeaf")
    #expect(EncryptionKeyTests.hex(key.key) == "ffc2e7d00102030405060708090a0b0c")
    #expect(key.iv == KeyRing.vector(keyID: key.id))
    // By Python's base64.urlsafe_b64encode.
    #expect(parse(#"{"kid": "oKGio6SlpqeoqaqrrK2urw", "key": "_8Ln0AECAwQFBgcICQoLDA"}"#) == key)
    #expect(
      parse(#"{"kid": "A0A1A2A3-A4A5-A6A7-A8A9-AAABACADAEAF", "key": "_8Ln0AECAwQFBgcICQoLDA", "a": [1]}"#)
        == key)
    let all = parse(
      #"{"kid": "-_________________-___", "key": "AAAAAAAAAAAAAAAAAAAAAA", "iv": "_____________________w"}"#)
    #expect(all == nil, "the last digit has bits that mean nothing")
    let vector = try #require(parse(Self.hex + #", "iv": "_____________________w"}"#))
    #expect(vector.iv == [UInt8](repeating: 0xFF, count: 16) && vector.key == key.key)
  }

  @Test(arguments: [
    "", "{", "[]", "null", #"{"kid": "a0a1a2a3a4a5a6a7a8a9aaabacadaeaf"}"#, hex, hex + #", "iv": ""}"#,
    hex + #", "iv": 7}"#, #"{"kid": "oKGio6SlpqeoqaqrrK2urw==", "key": "_8Ln0AECAwQFBgcICQoLDA"}"#,
    #"{"kid": "oKGio6SlpqeoqaqrrK2urw", "key": "/8Ln0AECAwQFBgcICQoLDA"}"#,
    #"{"kid": "a0a1a2a3a4a5-a6a7-a8a9-aaab-acadaeaf", "key": "_8Ln0AECAwQFBgcICQoLDA"}"#,
    #"{"kid": "xxa1a2a3a4a5a6a7a8a9aaabacadaeaf", "key": "_8Ln0AECAwQFBgcICQoLDA"}"#,
    hex + #", "more": ""# + String(repeating: "x", count: 4096) + "\"}",
    String(repeating: "[", count: 4000),
  ])
  func nothingElseIsAKey(text: String) { #expect(parse(text) == nil) }

  /// Whatever a service sends is a key of the right lengths, or none.
  @Test func mutatedAnswersNeverTrap() {
    let seed = UInt64.random(in: .min ... .max)
    var random = ConfigRandom(seed: seed)
    let whole = Array((Self.hex + #", "iv": "_____________________w", "more": [{"a": null}, -1.5e9]}"#).utf8)
    for _ in 0..<5000 {
      var bytes = whole
      for _ in 0..<Int.random(in: 1...6, using: &random) {
        let position = Int.random(in: 0..<bytes.count, using: &random)
        switch Int.random(in: 0..<3, using: &random) {
        case 0: bytes[position] = UInt8.random(in: 0...255, using: &random)
        case 1: bytes.remove(at: position)
        default: bytes.insert(bytes[Int.random(in: 0..<bytes.count, using: &random)], at: position)
        }
      }
      guard let key = KeyDocument.parse(bytes) else { continue }
      #expect(key.id.count == 16 && key.key.count == 16 && key.iv?.count == 16, "seed \(seed)")
    }
  }
}

/// `[encryption]` of a site.
@Suite struct EncryptionConfigurationTests {
  private func load(_ site: String, keys: String, mode: UInt32 = 0o600) throws -> ConfigurationResult {
    let folder = try ConfigFolder()
    try folder.write("etc/secrets/keys.toml", keys, mode: mode)
    try folder.write("etc/sites/demo.toml", "[encryption]\nkey_file = \"../secrets/keys.toml\"\n" + site)
    let config = try folder.write("etc/headwater.toml", "")
    return Configuration.load(path: config, plugins: [], environment: [:])
  }

  private static let secret = "[default]\nsecret = \"\(String(repeating: "5ec2e7d0", count: 8))\"\n"

  @Test(arguments: EncryptionMethod.allCases) func aMethodWithItsKeys(method: EncryptionMethod) throws {
    let result = try load("method = \"\(method.rawValue)\"\nserve_key = true", keys: Self.secret)
    #expect(result.problems.isEmpty)
    let encryption = try #require(result.configuration?.sites.first?.encryption)
    #expect(encryption.method == method)
    #expect(encryption.servesKey)
    #expect(encryption.keys.key(ofAsset: "film") != nil)
    var dumped = ""
    dump(result, to: &dumped)
    for text in [dumped, "\(result)", String(reflecting: result)] {
      #expect(!text.lowercased().contains("5ec2e7"))
      #expect(!text.contains("94, 194, 231"))
    }
  }

  @Test func aWrongKeyFileIsFoundWithItsPlace() throws {
    let result = try load("method = \"cbcs\"", keys: "[default]\nsecret = \"5ec2e7\"")
    #expect(result.configuration == nil)
    let problem = try #require(result.errors.first)
    #expect(problem.line == 2 && problem.column == 12 && problem.code == .secret)
    #expect(problem.message.contains("line 2, column 10: default.secret must be a string of 64 hex digits"))
    #expect(!"\(result.problems)".contains("5ec2e7"))
  }

  @Test func anotherKeyIsAnotherSite() throws {
    let one = try load("method = \"cbcs\"", keys: Self.secret).configuration?.sites.first?.encryption
    let other = try load("method = \"cbcs\"", keys: Self.secret.replacing("d0", with: "d1"))
      .configuration?.sites.first?.encryption
    #expect(one != nil && other != nil && one != other)
  }
}
