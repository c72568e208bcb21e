import Testing

@testable import Packaging

@Suite("Configurations of sound")
struct AudioConfigurationTests {
  /// A sound entry with a head of its own; version 1 and 2 with QuickTime's extra bytes.
  static func entry(
    _ code: String, _ boxes: [UInt8], version: Int = 0, channels: Int = 2, rate: Int = 48000,
    compression: Int = 0xFFFE
  ) -> [UInt8] {
    var extra: [UInt8] = []
    if version == 1 { extra = BoxBytes.u32(1152) + BoxBytes.zeros(8) + BoxBytes.u32(2) }
    if version == 2 {
      extra =
        BoxBytes.u32(72) + BoxBytes.u64(Double(rate).bitPattern) + BoxBytes.u32(channels)
        + BoxBytes.u32(0x7F00_0000) + BoxBytes.zeros(16)
    }
    let head =
      BoxBytes.zeros(6) + BoxBytes.u16(1) + BoxBytes.u16(version) + BoxBytes.zeros(6)
      + BoxBytes.u16(version == 2 ? 3 : channels) + BoxBytes.u16(16)
    let middle =
      BoxBytes.u16(version == 0 ? 0 : compression) + BoxBytes.u16(0)
      + (version == 2 ? BoxBytes.u32(0x10000) : BoxBytes.u16(min(rate, 0xFFFF)) + BoxBytes.u16(0))
    return BoxBytes.u32(36 + extra.count + boxes.count) + Array(code.utf8) + head + middle + extra + boxes
  }

  static let streamInfo: [UInt8] = [
    0x12, 0, 0x12, 0, 0, 0, 0x10, 0, 0x23, 0x8E, 0x0A, 0xC4, 0x43, 0x70, 0, 1, 0xD8, 0, 0x75, 0x30, 0x88,
    0x11,
    0x2D, 0xD5, 0x7A, 0x13, 0xE7, 0xF7, 0x22, 0xD0, 0xEE, 0x56, 0xAE, 0xA3,
  ]
  static func dfLa(_ block: [UInt8] = streamInfo, type: UInt8 = 0x80) -> [UInt8] {
    BoxBytes.full("dfLa", [type] + Array(BoxBytes.u32(block.count).dropFirst()) + block)
  }

  static func alac(
    depth: UInt8 = 24, channels: UInt8 = 2, rate: Int = 44100, frame: Int = 4096, version: UInt8 = 0
  ) -> [UInt8] {
    BoxBytes.full(
      "alac", BoxBytes.u32(frame), [version, depth, 40, 14, 10, channels, 0, 0], BoxBytes.u32(0x6004),
      BoxBytes.u32(2_116_800), BoxBytes.u32(rate))
  }

  static func dOps(_ channels: UInt8, family: UInt8 = 0, version: UInt8 = 0, mapping: [UInt8] = [])
    -> [UInt8]
  {
    BoxBytes.box(
      "dOps", [version, channels], BoxBytes.u16(312), BoxBytes.u32(44100), BoxBytes.u16(0), [family], mapping)
  }

  static func box(_ name: String, _ body: [UInt8]) -> [UInt8] { BoxBytes.box(name, body) }

  struct Case: Sendable, CustomTestStringConvertible {
    var code: String
    var boxes: [UInt8]
    var codec: TrackCodec
    var string: String
    var channels: UInt16
    var rate: UInt32
    var testDescription: String { "\(code) \(channels) channels \(rate) Hz" }
  }

  static let cases = [
    Case(
      code: "ac-3", boxes: box("dac3", [0x10, 0x11, 0x40]), codec: .ac3, string: "ac-3", channels: 2,
      rate: 48000),
    Case(
      code: "ac-3", boxes: box("dac3", [0x10, 0x3D, 0xE0]), codec: .ac3, string: "ac-3", channels: 6,
      rate: 48000),
    // 44.1 kHz, mono; 32 kHz, 2/1 with low frequencies; half rate.
    Case(
      code: "ac-3", boxes: box("dac3", [0x50, 0x08, 0x40]), codec: .ac3, string: "ac-3", channels: 1,
      rate: 44100),
    Case(
      code: "ac-3", boxes: box("dac3", [0x90, 0x24, 0x40]), codec: .ac3, string: "ac-3", channels: 4,
      rate: 32000),
    Case(
      code: "ac-3", boxes: box("dac3", [0x12, 0x11, 0x40]), codec: .ac3, string: "ac-3", channels: 2,
      rate: 24000),
    Case(
      code: "ec-3", boxes: box("dec3", [0x06, 0x00, 0x20, 0x04, 0x00]), codec: .eac3, string: "ec-3",
      channels: 2,
      rate: 48000),
    Case(
      code: "ec-3", boxes: box("dec3", [0x0E, 0x00, 0x20, 0x0F, 0x00]), codec: .eac3, string: "ec-3",
      channels: 6,
      rate: 48000),
    // 7.1: 5.1 and a dependent substream with the rear pair.
    Case(
      code: "ec-3", boxes: box("dec3", [0x0E, 0x00, 0x20, 0x0F, 0x02, 0x02]), codec: .eac3, string: "ec-3",
      channels: 8, rate: 48000),
    // A second programme does not count.
    Case(
      code: "ec-3", boxes: box("dec3", [0x0E, 0x01, 0x60, 0x04, 0x00, 0x20, 0x0F, 0x00]), codec: .eac3,
      string: "ec-3", channels: 2, rate: 44100),
    // A reduced rate: the entry's word.
    Case(
      code: "ec-3", boxes: box("dec3", [0x06, 0x00, 0xE0, 0x04, 0x00]), codec: .eac3, string: "ec-3",
      channels: 2,
      rate: 24000),
    Case(code: "fLaC", boxes: dfLa(), codec: .flac, string: "fLaC", channels: 2, rate: 44100),
    Case(code: "Opus", boxes: dOps(2), codec: .opus, string: "Opus", channels: 2, rate: 48000),
    Case(
      code: "Opus", boxes: dOps(6, family: 1, mapping: [4, 2, 0, 4, 1, 2, 3, 5]), codec: .opus,
      string: "Opus",
      channels: 6, rate: 48000),
    Case(code: "alac", boxes: alac(), codec: .alac, string: "alac", channels: 2, rate: 44100),
    Case(
      code: "alac", boxes: alac(channels: 6, rate: 192_000), codec: .alac, string: "alac", channels: 6,
      rate: 192_000),
    Case(
      code: "mp4a", boxes: BoxBytes.esds([], objectType: 0x6B), codec: .mp3, string: "mp4a.40.34",
      channels: 2,
      rate: 24000),
    Case(
      code: "mp4a", boxes: BoxBytes.esds([], objectType: 0x69), codec: .mp3, string: "mp4a.40.34",
      channels: 2,
      rate: 24000),
    Case(
      code: "mp4a", boxes: BoxBytes.esds([0x11, 0x90]), codec: .aac, string: "mp4a.40.2", channels: 2,
      rate: 48000),
  ]

  @Test(arguments: cases)
  func configuration(_ given: Case) throws {
    // The head says stereo at 24 kHz, whatever it is.
    let bytes = Self.entry(given.code, given.boxes, rate: 24000)
    let found = try SampleEntry.read(bytes, kind: .audio).get()
    #expect(found.codec == given.codec)
    #expect(found.codecString == given.string)
    #expect(found.channelCount == given.channels)
    #expect(found.sampleRateHertz == given.rate)
    #expect(found.bytes == bytes, "an ISO entry is kept as it is")
  }

  @Test(arguments: cases, [1, 2])
  func quickTimeEntriesAreRewritten(_ given: Case, version: Int) throws {
    let wave = BoxBytes.box(
      "wave", BoxBytes.box("frma", Array(given.code.utf8)), given.boxes, BoxBytes.zeros(8))
    let channelLayout = BoxBytes.box("chan", BoxBytes.zeros(16))
    for boxes in [wave + channelLayout, channelLayout + given.boxes] {
      let entry = Self.entry(given.code, boxes, version: version, rate: 24000)
      let found = try SampleEntry.read(entry, kind: .audio).get()
      #expect(found.codecString == given.string)
      #expect(found.channelCount == given.channels)
      #expect(found.sampleRateHertz == given.rate)
      // 36 bytes of an ISO head, then the configuration alone.
      #expect(Array(found.bytes[0..<4]) == BoxBytes.u32(36 + given.boxes.count))
      #expect(Array(found.bytes[4..<8]) == Array(given.code.utf8))
      #expect(Array(found.bytes[14..<18]) == [0, 1, 0, 0])
      #expect(Array(found.bytes[24..<26]) == BoxBytes.u16(Int(given.channels)))
      let rate = given.rate <= 0xFFFF ? Int(given.rate) : 0
      #expect(Array(found.bytes[32..<36]) == BoxBytes.u16(rate) + [0, 0])
      #expect(Array(found.bytes[36...]) == given.boxes)
      let again = try SampleEntry.read(found.bytes, kind: .audio).get()
      #expect(again.bytes == found.bytes)
    }
  }

  /// Version 1 of ISO files has no extra bytes, and version 0 of QuickTime may have a `wave`.
  @Test func versionsThatAreNotWhatTheySeem() throws {
    var iso = Self.entry("ac-3", Self.box("dac3", [0x10, 0x3D, 0xE0]))
    iso[17] = 1
    let found = try SampleEntry.read(iso, kind: .audio).get()
    #expect(found.channelCount == 6)
    #expect(found.bytes.count == iso.count)
    #expect(found.bytes[17] == 0)
    let wave = BoxBytes.box("wave", Self.alac())
    let rewritten = try SampleEntry.read(Self.entry("alac", wave), kind: .audio).get().bytes
    #expect(Array(rewritten[36...]) == Self.alac())
    #expect(Array(rewritten[26..<28]) == [0, 24])
  }

  @Test(arguments: [
    (entry("mp4a", BoxBytes.esds([], objectType: 0xA9)), "codec"),
    (entry("mp4a", BoxBytes.esds([0xF9, 0x46, 0x40])), "codec"),
    (entry("sowt", []), "codec"), (entry("twos", [], version: 1), "codec"),
    (entry("lpcm", [], version: 2), "codec"),
    (entry("ipcm", []), "codec"), (entry("samr", []), "codec"), (entry("ac-4", []), "codec"),
    (entry("dtsc", []), "codec"), (entry("vp09", []), "codec"),
    (entry("ac-3", []), "no-decoder-configuration"),
    (entry("ac-3", box("dec3", [0x06, 0, 0x20, 4, 0])), "no-decoder-configuration"),
    (entry("ac-3", box("dac3", [0x10, 0x11])), "no-decoder-configuration"),
    (entry("ac-3", box("dac3", [0xD0, 0x11, 0x40])), "no-decoder-configuration"),
    (entry("ac-3", box("dac3", [0x20, 0x11, 0x40])), "no-decoder-configuration"),
    (entry("ec-3", box("dec3", [0x06, 0, 0x20, 4])), "no-decoder-configuration"),
    (entry("ec-3", box("dec3", [0x06, 7, 0x20, 4, 0])), "no-decoder-configuration"),
    (entry("ec-3", box("dec3", [0x06, 0, 0x20, 4, 2])), "no-decoder-configuration"),
    (entry("ec-3", box("dec3", [0x06, 0, 0x3E, 4, 0])), "no-decoder-configuration"),
    (entry("fLaC", dfLa(Array(streamInfo.dropLast()))), "no-decoder-configuration"),
    (entry("fLaC", dfLa(BoxBytes.zeros(34))), "no-decoder-configuration"),
    (entry("fLaC", dfLa(type: 0x84)), "no-decoder-configuration"),
    (entry("Opus", dOps(0)), "no-decoder-configuration"),
    (entry("Opus", dOps(3)), "no-decoder-configuration"),
    (entry("Opus", dOps(2, version: 1)), "no-decoder-configuration"),
    (entry("Opus", dOps(6, family: 1, mapping: [4, 2, 0, 4, 1, 2, 3])), "no-decoder-configuration"),
    (entry("alac", alac(depth: 17)), "no-decoder-configuration"),
    (entry("alac", alac(channels: 9)), "no-decoder-configuration"),
    (entry("alac", alac(rate: 0)), "no-decoder-configuration"),
    (entry("alac", alac(frame: 0)), "no-decoder-configuration"),
    (entry("alac", alac(version: 1)), "no-decoder-configuration"),
    (entry("alac", Array(alac().dropLast())), "no-decoder-configuration"),
    (entry("ac-3", box("dac3", [0x10, 0x11, 0x40]) + box("sinf", [])), "encrypted"),
    (Array(entry("Opus", []).prefix(30)), "sample-entry"),
  ])
  func leftOut(bytes: [UInt8], code: String) {
    guard case .failure(let error) = SampleEntry.read(bytes, kind: .audio) else {
      Issue.record("the entry was accepted")
      return
    }
    #expect(error.reason.code == code)
    if code == "codec" {
      let isAdvice = ["transcode", "packages"].contains { error.reason.message.contains($0) }
      #expect(isAdvice, "\(error.reason.message)")
    }
  }

  /// A box that states more than its entry has is cut there, and what is left has to make sense.
  @Test func everyCutIsRefusedOrRead() {
    for given in Self.cases {
      for version in 0...2 {
        let wave = BoxBytes.box("wave", given.boxes)
        let whole = Self.entry(given.code, version == 0 ? given.boxes : wave, version: version)
        for length in 0..<whole.count {
          guard case .success(let found) = SampleEntry.read(Array(whole[..<length]), kind: .audio) else {
            continue
          }
          #expect(!found.codecString.isEmpty && found.channelCount > 0)
        }
      }
    }
  }
}
