import Testing

@testable import Codec

@Suite("Samples of an audio packet")
struct AudioFrameLengthTests {
  private func opus(_ bytes: [UInt8]) -> Int64? { bytes.withUnsafeBytes { AudioFrameLength.opus($0) } }
  private func flac(_ bytes: [UInt8]) -> Int64? { bytes.withUnsafeBytes { AudioFrameLength.flac($0) } }
  private func eac3(_ bytes: [UInt8]) -> Int64? { bytes.withUnsafeBytes { AudioFrameLength.enhancedAC3($0) } }

  @Test func opusTellsByItsFirstTwoBytes() {
    // RFC 6716 table 2: SILK 10 to 60 ms, hybrid, CELT 2.5 to 20 ms; then one, two, two or counted frames.
    #expect(opus([0 << 3]) == 480)
    #expect(opus([3 << 3]) == 2880)
    #expect(opus([13 << 3]) == 960)
    #expect(opus([16 << 3]) == 120)
    #expect(opus([31 << 3 | 1]) == 1920)
    #expect(opus([31 << 3 | 2]) == 1920)
    #expect(opus([31 << 3 | 3, 6]) == 5760)
    #expect(opus([31 << 3 | 3]) == nil)
    #expect(opus([31 << 3 | 3, 0]) == nil)
    #expect(opus([]) == nil)
  }

  @Test func flacTellsByItsHeader() {
    // Sync, block size and rate codes, channels, frame number, then the size where the code says so.
    #expect(flac([0xFF, 0xF8, 0xC9, 0x18, 0x00, 0, 0, 0]) == 4096)
    #expect(flac([0xFF, 0xF8, 0x19, 0x18, 0x00, 0, 0, 0]) == 192)
    #expect(flac([0xFF, 0xF8, 0x39, 0x18, 0x00, 0, 0, 0]) == 1152)
    #expect(flac([0xFF, 0xF8, 0x69, 0x18, 0x05, 0x7F, 0, 0]) == 128)
    #expect(flac([0xFF, 0xF8, 0x79, 0x18, 0xC4, 0x80, 0x0D, 0xE7]) == 0xDE8)
    #expect(flac([0xFF, 0xF8, 0x79, 0x18, 0xF0, 0x80, 0x80, 0x80]) == nil)
    #expect(flac([0xFF, 0xF8, 0x09, 0x18, 0x00, 0, 0, 0]) == nil)
    #expect(flac([0xFE, 0xF8, 0xC9, 0x18, 0x00, 0, 0, 0]) == nil)
    #expect(flac([0xFF, 0xF8]) == nil)
  }

  @Test func enhancedAC3TellsByItsBlocks() {
    #expect(eac3([0x0B, 0x77, 0, 0, 0x30]) == 1536)
    #expect(eac3([0x0B, 0x77, 0, 0, 0x00]) == 256)
    #expect(eac3([0x0B, 0x77, 0, 0, 0xC0]) == 1536)
    #expect(eac3([0x0B, 0x76, 0, 0, 0x30]) == nil)
    #expect(eac3([0x0B, 0x77]) == nil)
  }
}
