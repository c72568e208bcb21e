import Testing

@testable import Packaging

@Suite("MP3 in QuickTime and ISO entries")
struct MPEGAudioEntryTests {
  private typealias Sound = AudioConfigurationTests

  @Test(
    arguments: [
      ([0x2E] + Array("mp3".utf8), 1, 48000, 0x6B), (Array("ms".utf8) + [0, 0x55], 1, 44100, 0x6B),
      ([0x2E] + Array("mp3".utf8), 2, 22050, 0x69),
    ] as [([UInt8], Int, Int, UInt8)])
  func quickTimeMP3IsRewritten(type: [UInt8], version: Int, rate: Int, objectType: UInt8) throws {
    var entry = AudioConfigurationTests.entry(
      "....", BoxBytes.box("chan", BoxBytes.zeros(12)), version: version, rate: rate)
    entry.replaceSubrange(4..<8, with: type)
    let found = try SampleEntry.read(entry, kind: .audio).get()
    #expect(found.codec == .mp3)
    #expect(found.codecString == "mp4a.40.34")
    #expect(found.channelCount == 2)
    #expect(found.sampleRateHertz == UInt32(rate))
    let esds: [UInt8] =
      BoxBytes.u32(35) + Array("esds".utf8) + [0, 0, 0, 0, 3, 21, 0, 0, 0, 4, 13, objectType, 0x15]
      + BoxBytes.zeros(11) + [6, 1, 2]
    #expect(Array(found.bytes[36...]) == esds)
    let again = try SampleEntry.read(found.bytes, kind: .audio).get()
    #expect(again.codec == .mp3)
    #expect(again.bytes == found.bytes)
  }

  @Test(arguments: [
    // Samples that are not packets.
    (Sound.entry(".mp3", [], version: 1, compression: 0), "codec"), (Sound.entry(".mp3", []), "codec"),
    (Sound.entry(".mp3", [], version: 1, channels: 0), "sample-entry"),
    (Sound.entry(".mp3", [], version: 1, rate: 65535), "sample-entry"),
    (Sound.entry("mp4a", BoxBytes.esds([], objectType: 0x6B), channels: 6), "sample-entry"),
    (Sound.entry(".mp3", BoxBytes.box("sinf"), version: 1), "encrypted"),
    (Array(Sound.entry(".mp3", []).prefix(30)), "sample-entry"),
  ])
  func leftOut(bytes: [UInt8], code: String) {
    guard case .failure(let error) = SampleEntry.read(bytes, kind: .audio) else {
      Issue.record("the entry was accepted")
      return
    }
    #expect(error.reason.code == code)
    if code == "codec" { #expect(error.reason.message.contains("remux it to MP4")) }
  }
}
