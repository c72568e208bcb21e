import Testing

@testable import Origin

/// What the kernel is given, without a kernel: that it can go on with it is for `TLSTests`.
@Suite struct KernelTLSTests {
  /// RFC 8448 §3: server_application_traffic_secret_0, and what is derived from it.
  private static let secret = "a11af9f05531f856ad47116b45a950328204b4f44bfb6b3a4b4f1f3fcb631643"
  private static let random = String(repeating: "0", count: 64)

  private static func keys(_ line: String) -> TLSSendingKeys? {
    Array(line.utf8).withUnsafeBufferPointer { TLSSendingKeys(keyLogLine: $0) }
  }

  private static func hex(_ bytes: [UInt8]?) -> String? {
    bytes?.map { byte in
      let text = String(byte, radix: 16)
      return text.count == 1 ? "0" + text : text
    }.joined()
  }

  @Test func keysAreDerivedAsTheRFCSays() throws {
    let keys = try #require(Self.keys("SERVER_TRAFFIC_SECRET_0 \(Self.random) \(Self.secret)"))
    #expect(Self.hex(keys.expand("key", 16)) == "9f02283b6c9c07efc26bb9f2ac92e356")
    #expect(Self.hex(keys.expand("iv", 12)) == "cf782b88dd83549aadf1e984")
    #expect(keys.expand("key", 33) == nil)
  }

  @Test(arguments: [
    "", "SERVER_TRAFFIC_SECRET_0", "CLIENT_TRAFFIC_SECRET_0 \(random) \(secret)",
    "SERVER_HANDSHAKE_TRAFFIC_SECRET \(random) \(secret)", "SERVER_TRAFFIC_SECRET_0 \(random) \(secret)00",
    "SERVER_TRAFFIC_SECRET_0 \(random) x\(secret.dropFirst())", "CLIENT_RANDOM \(random) \(secret)",
  ])
  func otherLinesAreNone(line: String) { #expect(Self.keys(line) == nil) }

  @Test func recordsAreCountedAndNothingElse() throws {
    var keys = try #require(Self.keys("SERVER_TRAFFIC_SECRET_0 \(Self.random) \(Self.secret)"))
    func record(_ count: Int) -> [UInt8] {
      [23, 3, 3, UInt8(count >> 8), UInt8(count & 0xFF)] + [UInt8](repeating: 7, count: count)
    }
    func count(_ bytes: [UInt8]) -> Bool { bytes.withUnsafeBytes { keys.count($0) } }
    #expect(count([]))
    #expect(count(record(17)))
    #expect(count(record(0) + record(16_401) + record(1)))
    #expect(keys.records == 4)
    // Then the number of the next record is unknown.
    #expect(!count(Array(record(9).dropLast())))
    #expect(!count([23, 3, 3, 0]))
  }

  @Test func aCipherThatTheKernelIsNotAskedForStaysHere() throws {
    let keys = try #require(Self.keys("SERVER_TRAFFIC_SECRET_0 \(Self.random) \(Self.secret)"))
    #expect(!keys.hand(to: -1, cipher: 0x1304))
    #expect(!keys.hand(to: -1, cipher: 0x1301))
  }
}
