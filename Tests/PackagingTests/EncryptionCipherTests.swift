import Packaging
import Testing

@Suite("Encryption: ciphers and whole resources")
struct EncryptionCipherTests {
  private static func bytes(_ hex: String) -> [UInt8] {
    let digits = hex.filter { $0 != " " }.compactMap(\.hexDigitValue)
    return stride(from: 0, to: digits.count, by: 2).map { UInt8(digits[$0] * 16 + digits[$0 + 1]) }
  }

  private static let key = bytes("2b7e151628aed2a6abf7158809cf4f3c")
  private static let plain = bytes(
    "6bc1bee22e409f96e93d7e117393172a ae2d8a571e03ac9c9eb76fac45af8e51"
      + "30c81c46a35ce411e5fbc1191a0a52ef f69f2445df4f9b17ad2b417be66c3710")

  /// NIST SP 800-38A F.2.1, in one call and in two.
  @Test func theCipherOfTheTestsChainsAsTheStandardDoes() throws {
    let expected = Self.bytes(
      "7649abac8119b246cee98e9b12e9197d 5086cb9b507219ee95db113a917678b2"
        + "73bed6b8e3c1743b7116e69e22229516 3ff1caa1681fac09120eca307586e1a7")
    let cipher = try OpenSSLCipher(Self.key)
    for cut in [0, 16, 48, 64] {
      var bytes = Self.plain
      var vector: UInt128 = 0x0001_0203_0405_0607_0809_0a0b_0c0d_0e0f
      bytes.withUnsafeMutableBytes { whole in
        cipher.encryptCBC(UnsafeMutableRawBufferPointer(rebasing: whole[..<cut]), vector: &vector)
        cipher.encryptCBC(UnsafeMutableRawBufferPointer(rebasing: whole[cut...]), vector: &vector)
      }
      #expect(bytes == expected)
    }
  }

  /// NIST SP 800-38A F.5.1, whole and from the third block on.
  @Test func theCipherOfTheTestsCountsAsTheStandardDoes() throws {
    let expected = Self.bytes(
      "874d6191b620e3261bef6864990db6ce 9806f66b7970fdff8617187bb9fffdff"
        + "5ae4df3edbd5d35e5b4f09020db03eab 1e031dda2fbe03d1792170a0f3009cee")
    let cipher = try OpenSSLCipher(Self.key)
    let counter: UInt128 = 0xf0f1_f2f3_f4f5_f6f7_f8f9_fafb_fcfd_feff
    for start in [0, 32] {
      var bytes = Array(Self.plain[start...])
      bytes.withUnsafeMutableBytes { cipher.encryptCTR($0, counter: counter + UInt128(start / 16)) }
      #expect(bytes == Array(expected[start...]))
    }
  }

  @Test(arguments: [0, 1, 15, 16, 17, 31, 32, 4095, 4096, 100_003])
  func aWholeResourceComesBack(count: Int) throws {
    let resource = (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 131) }
    let encrypted = SegmentCipher.encrypt(
      resource, iv: EncryptionFixture.iv, cipher: try OpenSSLCipher(EncryptionFixture.keyBytes))
    #expect(UInt64(encrypted.count) == SegmentCipher.encryptedBytes(UInt64(count)))
    #expect(encrypted.count % 16 == 0 && encrypted.count > count)
    let clear = try Decryptor(key: EncryptionFixture.keyBytes)
      .cbc(encrypted, iv: EncryptionFixture.iv, isPadded: true)
    #expect(clear == resource)
  }

  @Test func lengthsNeverOverflow() {
    #expect(SegmentCipher.encryptedBytes(UInt64.max) == UInt64.max)
    #expect(SegmentCipher.encryptedBytes(UInt64.max - 16) == UInt64.max - 15)
    #expect(SegmentCipher.encryptedBytes(UInt64.max - 15) == UInt64.max)
  }

  @Test func aKeyIsSixteenBytesAndNeverShown() throws {
    #expect(ContentKey(id: [], key: EncryptionFixture.keyBytes) == nil)
    #expect(ContentKey(id: EncryptionFixture.keyID, key: Array(EncryptionFixture.keyBytes.dropLast())) == nil)
    #expect(
      ContentKey(id: EncryptionFixture.keyID, key: EncryptionFixture.keyBytes, iv: [1, 2]) == nil)
    let key = try EncryptionFixture.key()
    var dumped = ""
    dump(key, to: &dumped)
    let shown = [String(describing: key), String(reflecting: key), "\([key])", dumped]
    for text in shown {
      #expect(!text.contains("\(EncryptionFixture.keyBytes[1]), \(EncryptionFixture.keyBytes[2])"))
      #expect(!text.contains("key: 16") && !text.contains("30a11"), "\(text)")
    }
    #expect(shown[0] == "content key a0a1a2a3-a4a5-a6a7-a8a9-aaabacadaeaf")
  }
}
