import Glibc
import Testing

@testable import Origin

@Suite struct TLSTests {
  // MARK: - Keys of tickets

  private static let day: Int64 = 86_400

  private func key(_ keys: TLSTicketKeys, _ name: [UInt8], at seconds: Int64) -> (TLSTicketKeys.Key, Bool)? {
    name.withUnsafeBufferPointer {
      keys.key(named: $0, lifetimeSeconds: Self.day, nowSeconds: seconds).map { ($0.key, $0.isReplaced) }
    }
  }

  @Test func keysOfTicketsAreReplacedAndForgotten() throws {
    let keys = TLSTicketKeys()
    let half = Self.day / 2
    let first = try #require(keys.current(lifetimeSeconds: Self.day, nowSeconds: 1000))
    #expect(keys.current(lifetimeSeconds: Self.day, nowSeconds: 1000 + half - 1)?.name == first.name)
    let second = try #require(keys.current(lifetimeSeconds: Self.day, nowSeconds: 1000 + half))
    #expect(second.name != first.name && second.cipherKey != first.cipherKey && second.macKey != first.macKey)
    // A ticket that the first key sealed last lives a whole lifetime from then.
    #expect(key(keys, first.name, at: 1000 + half)?.1 == true)
    #expect(key(keys, second.name, at: 1000 + half)?.1 == false)
    #expect(key(keys, first.name, at: 1000 + half + Self.day - 1) != nil)
    #expect(key(keys, first.name, at: 1000 + half + Self.day) == nil)
    #expect(key(keys, [UInt8](repeating: 0, count: 16), at: 1000) == nil)
  }

  /// The clock may be set back: then the newest key is no key of the future.
  @Test func aClockSetBackMakesANewKey() throws {
    let keys = TLSTicketKeys()
    let first = try #require(keys.current(lifetimeSeconds: Self.day, nowSeconds: 10_000))
    let second = try #require(keys.current(lifetimeSeconds: Self.day, nowSeconds: 5000))
    #expect(first.name != second.name)
  }

  @Test func keysOfTicketsAreHandedOver() throws {
    let keys = TLSTicketKeys()
    #expect(keys.handOver() == nil, "there are none yet")
    for seconds in [1000, 1000 + Self.day / 2] {
      _ = try #require(keys.current(lifetimeSeconds: Self.day, nowSeconds: seconds))
    }
    let descriptor = try #require(keys.handOver())
    #expect(write(descriptor, [0], 1) == -1, "it is sealed")
    let heir = TLSTicketKeys()
    heir.inherit(from: [TLSTicketKeys.variable: "\(descriptor)"])
    #expect(fcntl(descriptor, F_GETFD) == -1, "it is closed")
    #expect(heir.all.count == 2 && heir.all.map(\.name) == keys.all.map(\.name))
    #expect(heir.all.map(\.cipherKey) == keys.all.map(\.cipherKey))
    #expect(heir.all.map(\.macKey) == keys.all.map(\.macKey))
    #expect(heir.all.map(\.madeSeconds) == [1000 + Self.day / 2, 1000])
    let bytes = TLSTicketKeys.encode(keys.all)
    for wrong in [[], Array(bytes.dropLast()), bytes + [0], Array("HWTK2".utf8) + bytes.dropFirst(5)] {
      #expect(TLSTicketKeys.decode(wrong) == nil)
    }
    #expect(TLSTicketKeys.decode(bytes + bytes.dropFirst(5) + bytes.dropFirst(5)) == nil, "too many")
    for text in ["", "x", "-1", "2", "999999"] {
      let none = TLSTicketKeys()
      none.inherit(from: [TLSTicketKeys.variable: text])
      #expect(none.all.isEmpty)
    }
  }

  // MARK: - Names

  private func name(_ bytes: [UInt8]) -> String? {
    bytes.withUnsafeBufferPointer { serverName(in: $0).map { String(decoding: $0, as: UTF8.self) } }
  }

  @Test func theNameOfAHelloIsRead() {
    #expect(name([0, 9, 0, 0, 6] + Array("a.test".utf8)) == "a.test")
    #expect(name([0, 10, 0, 0, 7] + Array("a.test.".utf8)) == "a.test")
    #expect(name([0, 9, 0, 0, 7] + Array("a.test".utf8)) == nil, "longer than there is")
    #expect(name([0, 9, 1, 0, 6] + Array("a.test".utf8)) == nil, "not a host name")
    #expect(name([0, 3, 0, 0, 0]) == nil)
    #expect(name([]) == nil)
  }

  // MARK: - Configuration

  @Test func listenersAreEncryptedByAWord() throws {
    let address = try #require(ListenAddress("[::]:8443 tls"))
    #expect(address.isTLS && address.description == "[::]:8443" && address.port == 8443)
    #expect(ListenAddress("[::]:8443")?.isTLS == false)
    #expect(ListenAddress("[::]:8443  tls") == nil && ListenAddress("[::]:8443tls") == nil)
  }

  @Test func encryptionNeedsACertificate() throws {
    let folder = try ConfigFolder()
    try folder.write("headwater.toml", "[server]\nlisten = [\"0.0.0.0:1\", \"0.0.0.0:2 tls\"]\n")
    try folder.write("sites/a.toml", "hosts = [\"*\"]\n")
    let result = Configuration.load(path: folder.path + "/headwater.toml", plugins: [], environment: [:])
    #expect(result.configuration == nil)
    #expect(result.errors.map(\.key) == ["server.listen"] && result.errors.map(\.line) == [2])
  }

  @Test func certificatesThatCannotBeUsedAreRefused() {
    let key = Secret(bytes: Array("key".utf8))
    for certificate in ["", "not PEM", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"] {
      #expect(throws: TLSError.self) {
        try TLSCertificate(certificate: Array(certificate.utf8), key: key, ocsp: nil)
      }
    }
  }
}
