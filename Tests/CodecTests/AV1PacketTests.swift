import Testing

@testable import Codec

@Suite("The outline of an AV1 packet")
struct AV1PacketTests {
  private func isWhole(_ bytes: [UInt8]) -> Bool { bytes.withUnsafeBytes { AV1Packet.isWhole($0) } }

  @Test func unitsFillThePacket() {
    // A temporal delimiter, then a frame of three bytes; one with an extension; one that takes the rest.
    #expect(isWhole([0x12, 0x00, 0x32, 0x03, 1, 2, 3]))
    #expect(isWhole([0x36, 0x20, 0x01, 9]))
    #expect(isWhole([0x12, 0x00, 0x30, 1, 2, 3]))
    #expect(isWhole([0x32, 0x81, 0x00, 9]))
    #expect(isWhole([]))
  }

  @Test func whatDoesNotFitIsNone() {
    #expect(!isWhole([0x32, 0x04, 1, 2, 3]))
    #expect(!isWhole([0x92, 0x00]))
    #expect(!isWhole([0x36]))
    #expect(!isWhole([0x32]))
    #expect(!isWhole([0x32, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x00]))
    #expect(!isWhole([0x32, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x7F]))
  }
}
