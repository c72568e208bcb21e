import Testing

@testable import Store

@Suite struct BlobIDTests {
  @Test(arguments: [
    ("", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
    ("abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
    (
      "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
      "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"
    ),
  ])
  func digestsAreThoseOfFIPS180(text: String, hex: String) throws {
    #expect(BlobID.digest(of: Array(text.utf8)).hex == hex)
    var hasher = try SHA256Hasher()
    for byte in text.utf8 { [byte].withUnsafeBytes { hasher.update($0) } }
    #expect(hasher.finish().hex == hex)
  }

  @Test func hexReadsBackWhatItWrote() throws {
    let id = BlobID.digest(of: [1, 2, 3])
    #expect(BlobID(hex: id.hex) == id)
    #expect(id.withUnsafeBytes { BlobID(bytes: $0) } == id)
  }

  @Test(arguments: [
    "", "ba78", String(repeating: "a", count: 63), String(repeating: "a", count: 65),
    String(repeating: "A", count: 64), String(repeating: "g", count: 64), String(repeating: "é", count: 32),
  ])
  func hexRefusesWhatIsNoName(text: String) {
    #expect(BlobID(hex: text) == nil)
  }

  @Test func orderIsThatOfTheBytes() {
    let ids = (0..<200).map { BlobID.digest(of: [UInt8($0)]) }
    #expect(ids.sorted().map(\.hex) == ids.map(\.hex).sorted())
  }

  @Test func bytesOfAnotherLengthAreNoID() {
    for count in [0, 31, 33] {
      #expect([UInt8](repeating: 0, count: count).withUnsafeBytes { BlobID(bytes: $0) } == nil)
    }
  }
}

@Suite struct GenerationTests {
  private let first = BlobID.digest(of: [1])
  private let second = BlobID.digest(of: [2])

  @Test func isTwelveDigitsThatReadBack() {
    let generation = Generation.make(roles: [("source", first)])
    #expect(generation.hex.count == 12)
    #expect(Generation(hex: generation.hex) == generation)
    #expect(Generation(hexBytes: Array(generation.hex.utf8)) == generation)
  }

  /// Computed with Python's hashlib; a change would change every URL and entity tag.
  @Test func staysTheSameForEver() {
    #expect(Generation.make(roles: [("source", first), ("video:720p:0", second)]).hex == "c9fc2cb7d499")
  }

  @Test func dependsOnBlobsRolesAndOrder() {
    let all: [[(role: String, blob: BlobID)]] = [
      [("source", first)], [("source", second)], [("sourc", first)], [("a", first), ("b", second)],
      [("b", second), ("a", first)], [("a", second), ("b", first)], [],
    ]
    #expect(Set(all.map { Generation.make(roles: $0) }).count == all.count)
  }

  @Test(arguments: ["", "00000000000", "0000000000000", "00000000000G", "00000000000A"])
  func refusesOtherText(text: String) {
    #expect(Generation(hex: text) == nil)
  }
}

@Suite struct AssetIDTests {
  @Test func madeIDsAreValidAndSortByTime() {
    let ids = (0..<100).map { AssetID.make(atMilliseconds: 1_700_000_000_000 + $0 * 7) }
    #expect(ids == ids.sorted())
    for id in ids {
      #expect(id.utf8.count == 26)
      #expect(AssetID.isValid(id))
    }
    #expect(Set((0..<1000).map { _ in AssetID.make() }).count == 1000)
  }

  @Test(arguments: ["a", "Z_9-", String(repeating: "x", count: 64)])
  func accepts(id: String) { #expect(AssetID.isValid(id)) }

  @Test(arguments: ["", String(repeating: "x", count: 65), "a/b", "a.b", "ä", "a b", "a\0"])
  func refuses(id: String) { #expect(!AssetID.isValid(id)) }
}
