import Testing

@testable import Packaging

@Suite("Codec strings and decoder configurations")
struct CodecStringTests {
  private func entry(_ bytes: [UInt8], _ kind: TrackKind) -> Result<SampleEntry, MediaReasonError> {
    SampleEntry.read(bytes, kind: kind)
  }

  /// The head of an hvcC: profile byte, compatibility flags, constraints, level; no arrays.
  private static func hvcC(_ profile: UInt8, _ flags: Int, _ constraints: [UInt8], _ level: UInt8) -> [UInt8]
  {
    [1, profile] + BoxBytes.u32(flags) + constraints + [level] + BoxBytes.zeros(9) + [0]
  }

  @Test(arguments: [
    ("avc1", "avcC", [1, 0x64, 0, 0x1F, 0xFF, 0xE0, 0] as [UInt8], "avc1.64001f"),
    ("avc3", "avcC", [1, 0x42, 0xC0, 0x0B, 0xFF, 0xE0, 0], "avc3.42c00b"),
    ("hvc1", "hvcC", hvcC(2, 0x2000_0000, [0x90, 0, 0, 0, 0, 0], 63), "hvc1.2.4.L63.90"),
    ("hvc1", "hvcC", hvcC(1, 0x6000_0000, [0xB0, 0, 0, 0, 0, 0], 93), "hvc1.1.6.L93.B0"),
    ("hev1", "hvcC", hvcC(0x61, 0x6000_0000, [0, 0, 0, 0, 0, 0], 120), "hev1.A1.6.H120"),
    ("hvc1", "hvcC", hvcC(4, 0x0800_0000, [0x9D, 0x08, 0, 0, 0, 1], 150), "hvc1.4.10.L150.9D.8.0.0.0.1"),
  ])
  func video(code: String, box: String, configuration: [UInt8], expected: String) throws {
    let bytes = BoxBytes.avc1(code: code, configuration: BoxBytes.box(box, configuration))
    #expect(try entry(bytes, .video).get().codecString == expected)
  }

  @Test(arguments: [
    ([0x12, 0x10] as [UInt8], "mp4a.40.2", 44100, 2),
    ([0x11, 0x90], "mp4a.40.2", 48000, 2),
    // Mono with an extension that says there is no band replication.
    ([0x11, 0x88, 0x56, 0xE5, 0x00], "mp4a.40.2", 48000, 1),
    // The same with band replication: 24 kHz core, 48 kHz out.
    ([0x13, 0x10, 0x56, 0xE5, 0x98], "mp4a.40.5", 48000, 2),
    // Explicit HE-AAC, 22.05 to 44.1 kHz.
    ([0x2B, 0x92, 0x08, 0x00], "mp4a.40.5", 44100, 2),
    // HE-AAC v2: mono core, stereo out.
    ([0xEB, 0x8A, 0x08, 0x00], "mp4a.40.29", 44100, 2),
    // 5.1 and 7.1.
    ([0x11, 0xB0], "mp4a.40.2", 48000, 6),
    ([0x11, 0xB8], "mp4a.40.2", 48000, 8),
  ])
  func audio(config: [UInt8], expected: String, rate: UInt32, channels: UInt16) throws {
    let found = try entry(BoxBytes.mp4a(config), .audio).get()
    #expect(found.codecString == expected)
    #expect(found.sampleRateHertz == rate)
    #expect(found.channelCount == channels)
  }

  @Test func programConfigChannels() throws {
    // Configuration 0: front centre and front pair, back pair, one low-frequency element = 5.1 + nothing else.
    let fields = [
      "00010", "0011", "0000", "000",  // LC, 48 kHz, configuration 0, no flags
      "0000", "01", "0011",  // tag, profile, rate
      "0010", "0000", "0001", "01", "000", "0000",  // 2 front, 0 side, 1 back, 1 low, 0 data, 0 coupling
      "000",  // no mixdowns
      "00000", "10001", "10010", "0000",  // single, pair, pair, low
    ]
    let bits = fields.joined()
    var bytes: [UInt8] = []
    var rest = Substring(bits)
    while !rest.isEmpty {
      let byte = rest.prefix(8)
      bytes.append(UInt8(String(byte) + String(repeating: "0", count: 8 - byte.count), radix: 2) ?? 0)
      rest = rest.dropFirst(8)
    }
    let config = AudioSpecificConfig((bytes + [0]).span)
    #expect(config?.channelCount == 6)
  }

  @Test(arguments: [
    (BoxBytes.avc1(code: "vvc1"), TrackKind.video, "codec"),
    (BoxBytes.avc1(code: "encv"), .video, "encrypted"),
    (BoxBytes.avc1(extra: BoxBytes.box("sinf")), .video, "encrypted"),
    (BoxBytes.avc1(configuration: []), .video, "no-decoder-configuration"),
    (BoxBytes.avc1(configuration: BoxBytes.box("avcC", [1, 2])), .video, "no-decoder-configuration"),
    (BoxBytes.avc1(code: "hvc1"), .video, "no-decoder-configuration"),
    (BoxBytes.avc1(width: 0), .video, "sample-entry"),
    (BoxBytes.mp4a(), .video, "codec"),
    (BoxBytes.mp4a([]), .audio, "no-decoder-configuration"),
    (BoxBytes.mp4a([0xF9, 0x46, 0x40]), .audio, "codec"),
    (BoxBytes.box("mp4a", BoxBytes.zeros(8)), .audio, "sample-entry"),
    ([1, 2, 3], .audio, "sample-entry"),
  ])
  func leftOut(bytes: [UInt8], kind: TrackKind, code: String) {
    guard case .failure(let error) = entry(bytes, kind) else {
      Issue.record("the entry was accepted")
      return
    }
    #expect(error.reason.code == code)
  }

  @Test func colourAndShape() throws {
    let colour = BoxBytes.box(
      "colr", Array("nclx".utf8), BoxBytes.u16(9), BoxBytes.u16(16), BoxBytes.u16(9), [0])
    let pixels = BoxBytes.box("pasp", BoxBytes.u32(4), BoxBytes.u32(3))
    let found = try entry(BoxBytes.avc1(width: 720, height: 480, extra: colour + pixels), .video).get()
    #expect(found.transferCharacteristics == 16)
    func shown(_ matrix: [Int]) -> [UInt32]? {
      let bytes = BoxBytes.full(
        "tkhd", BoxBytes.zeros(8), BoxBytes.u32(1), BoxBytes.zeros(24), matrix.flatMap { BoxBytes.u32($0) },
        BoxBytes.zeros(8))
      guard let box = bytes.span.firstBox(FourCC("tkhd"))?.fullBox() else { return nil }
      guard let header = TrackHeaderBox(box) else { return nil }
      let size = TrackParser.displaySize(found, header)
      return [size.width, size.height]
    }
    #expect(shown([0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x4000_0000]) == [960, 480])
    #expect(shown([0, 0x10000, 0, -0x10000, 0, 0, 0, 0, 0x4000_0000]) == [480, 960])
  }

  @Test func everyCutOfAnEntryIsRefusedOrRead() {
    for whole in [BoxBytes.avc1(), BoxBytes.mp4a()] {
      for length in 0..<whole.count { _ = entry(Array(whole[..<length]), length % 2 == 0 ? .video : .audio) }
    }
  }
}
