import Testing

@testable import Packaging

@Suite("Encryption: chains side by side")
struct EncryptionLanesTests {
  /// The same bytes as one chain after the other, for as many runs and lengths as fill the lanes, and do not.
  @Test(arguments: [0, 1, 2, 63, 64, 65, 500]) func everyRunIsAChainOfItsOwn(count: Int) throws {
    let cipher = try OpenSSLCipher(EncryptionFixture.keyBytes)
    let vector = UInt128(bigEndianBytes: EncryptionFixture.iv)
    var random = ReaderRandom(seed: UInt64(count))
    let lengths = (0..<count).map { number in
      number % 7 == 0 ? Int.random(in: 0...40, using: &random) : Int.random(in: 0...900, using: &random)
    }
    let clear = (0..<lengths.reduce(0, +)).map { _ in UInt8.random(in: 0...255, using: &random) }
    var expected = clear
    expected.withUnsafeMutableBytes { bytes in
      var position = 0
      for length in lengths {
        var vector = vector
        let whole = UnsafeMutableRawBufferPointer(rebasing: bytes[position..<position + length / 16 * 16])
        cipher.encryptCBC(whole, vector: &vector)
        position += length
      }
    }
    var found = clear
    found.withUnsafeMutableBytes { bytes in
      var lanes = ChainLanes(vector: vector)
      var position = 0
      for (number, length) in lengths.enumerated() {
        lanes.append(UnsafeMutableRawBufferPointer(rebasing: bytes[position..<position + length]))
        position += length
        // What was taken so far may be encrypted at any time.
        if number == count / 3 { lanes.encrypt(cipher) }
      }
      lanes.encrypt(cipher)
    }
    #expect(found == expected)
  }
}
