import Testing

@testable import Packaging

@Suite("AV1 and VP9 configurations")
struct VideoConfigurationTests {
  static func colr(_ points: (Int, Int, Int), range: UInt8 = 0, type: String = "nclx") -> [UInt8] {
    BoxBytes.box(
      "colr", Array(type.utf8), BoxBytes.u16(points.0), BoxBytes.u16(points.1), BoxBytes.u16(points.2),
      type == "nclx" ? [range] : [])
  }

  static func read(_ code: String, _ box: [UInt8], extra: [UInt8] = []) -> Result<
    SampleEntry, MediaReasonError
  > {
    SampleEntry.read(BoxBytes.avc1(extra: extra, code: code, configuration: box), kind: .video)
  }

  static func av1C(_ bytes: [UInt8]) -> [UInt8] { BoxBytes.box("av1C", bytes) }
  static func vpcC(_ bytes: [UInt8], version: Int = 1) -> [UInt8] {
    BoxBytes.full("vpcC", version: version, bytes + [0, 0])
  }

  // Configurations as libaom, SVT-AV1 and rav1e make them, with sequence headers.
  static let hdr10: [UInt8] = [
    0x81, 0x00, 0x4C, 0x00, 0x0A, 0x0D, 0x00, 0x00, 0x00, 0x03, 0xB4, 0xFD, 0x93, 0x6B, 0xE5, 0x42, 0x44,
    0x02,
    0x41,
  ]
  static let hlg: [UInt8] = [
    0x81, 0x00, 0x4C, 0x00, 0x0A, 0x0D, 0x00, 0x00, 0x00, 0x03, 0xB4, 0xFD, 0x90, 0x0B, 0xE1, 0x42, 0x44,
    0x82,
    0x41,
  ]
  static let fullRange444: [UInt8] = [
    0x81, 0x3F, 0x00, 0x00, 0x0A, 0x0D, 0x20, 0x00, 0x00, 0xF9, 0xDA, 0x7E, 0xC8, 0x84, 0x2A, 0x42, 0x44,
    0x02,
    0x74,
  ]
  static let grey: [UInt8] = [
    0x81, 0x00, 0x1C, 0x00, 0x0A, 0x0A, 0x00, 0x00, 0x00, 0x03, 0xB4, 0xFD, 0x93, 0x6B, 0xE4, 0xA8,
  ]
  static let twelveBit: [UInt8] = [
    0x81, 0x40, 0x6C, 0x00, 0x0A, 0x0E, 0x40, 0x00, 0x00, 0x03, 0xB4, 0xFD, 0x93, 0x6B, 0xE5, 0xA1, 0x22,
    0x01,
    0x2C, 0x20,
  ]
  static let rgb: [UInt8] = [
    0x81, 0x20, 0x00, 0x00, 0x0A, 0x0D, 0x20, 0x00, 0x00, 0x03, 0xB4, 0xFD, 0x93, 0x6B, 0xE4, 0x80, 0x86,
    0x80,
    0x10,
  ]
  /// A reduced still picture header.
  static let still: [UInt8] = [
    0x81, 0x00, 0x0C, 0x00, 0x0A, 0x09, 0x18, 0x1D, 0xA7, 0xEC, 0xB4, 0x40, 0x40, 0x40, 0x41,
  ]

  @Test(arguments: [
    // Without a sequence header.
    ([0x81, 0x00, 0x0C, 0x00] as [UInt8], "av01.0.00M.08", 2),
    ([0x81, 0x0D, 0x8E, 0x00], "av01.0.13H.08", 2),
    ([0x81, 0x08, 0x4C, 0x10], "av01.0.08M.10", 2),
    // 4:2:2 without a word on colours: 2 is what the specification has for that.
    ([0x81, 0x44, 0x08, 0x00], "av01.2.04M.08.0.100.02.02.02.0", 2),
    (hdr10, "av01.0.00M.10.0.110.09.16.09.0", 16),
    (hlg, "av01.0.00M.10.0.110.09.18.09.0", 18),
    (fullRange444, "av01.1.31M.08.0.000.09.16.09.1", 16),
    (grey, "av01.0.00M.08.1.110.02.02.02.1", 2),
    (twelveBit, "av01.2.00M.12.0.110.09.16.09.0", 16),
    (rgb, "av01.1.00M.08.0.000.01.13.00.1", 13),
    (still, "av01.0.00M.08", 1),
  ])
  func av1(configuration: [UInt8], expected: String, transfer: UInt16) throws {
    let found = try Self.read("av01", Self.av1C(configuration)).get()
    #expect(found.codec == .av1)
    #expect(found.codecString == expected)
    #expect(found.transferCharacteristics == transfer)
  }

  @Test func av1TakesColoursFromTheContainerWhereTheStreamHasNone() throws {
    let plain: [UInt8] = [0x81, 0x04, 0x4C, 0x00]
    let hdr = try Self.read("av01", Self.av1C(plain), extra: Self.colr((9, 16, 9))).get()
    #expect(hdr.codecString == "av01.0.04M.10.0.110.09.16.09.0")
    #expect(hdr.transferCharacteristics == 16)
    let quickTime = try Self.read("av01", Self.av1C(plain), extra: Self.colr((6, 6, 6), type: "nclc")).get()
    #expect(quickTime.codecString == "av01.0.04M.10.0.110.06.06.06.0")
    // What the container says is what players go by; the codec string names what the stream says.
    let both = try Self.read("av01", Self.av1C(Self.hdr10), extra: Self.colr((9, 18, 9))).get()
    #expect(both.transferCharacteristics == 18)
    #expect(both.codecString == "av01.0.00M.10.0.110.09.16.09.0")
    let profile = BoxBytes.box("colr", Array("prof".utf8), BoxBytes.zeros(20))
    #expect(try Self.read("av01", Self.av1C(plain), extra: profile).get().transferCharacteristics == 2)
  }

  /// A sequence header with everything on that can be skipped: timing with a count, a decoder model, delays, two
  /// operating points of which one has a tier, frame numbers, forced tools.
  @Test func sequenceHeaderIsFollowedThroughAllBranches() {
    let fields = [
      "000", "0", "0",  // profile 0, no still picture, not reduced
      "1", zeros(32), zeros(32), "1", "00101",  // timing, equal intervals, a count of 4
      "1", "00011", zeros(32), "00000", "00000",  // decoder model: delays of 4 bits
      "1", "00001",  // display delay, two operating points
      zeros(12), "01001", "1", "1", "1111", "0000", "1", "1", "1010",  // level 9 with tier, model, delay
      zeros(12), "00100", "0", "0",  // level 4 with neither
      "0011", "0010", "1111", "111",  // a size of 4 and 3 bits
      "1", "0000", "000",  // frame numbers
      "000", "0000",  // tools
      "1", "11", "0", "1", "0", "1", "111",  // order hint; screen tools forced on, motion vectors forced
      "000",  // super resolution, filters
      "1", "0", "1", "00001001", "00010010", "00001001", "1",  // ten bits, colour, full range
      "01", "0", "0",
    ]
    let unit = bytes(fields.joined())
    let framed = [0x0A, UInt8(unit.count)] + unit
    let expected = VideoColour(primaries: 9, transfer: 18, matrix: 9, isFullRange: true)
    #expect(AV1SequenceHeader.colour(units: framed.span) == expected)
    // Behind a metadata unit, with an extension byte, and with a size of two groups.
    let behind = [0x2A, 2, 0xFF, 0xFF, 0x0E, 0, UInt8(unit.count) | 0x80, 0] + unit
    #expect(AV1SequenceHeader.colour(units: behind.span) == expected)
    // Without a size it goes on to the end.
    #expect(AV1SequenceHeader.colour(units: ([0x08] + unit).span) == expected)
    for length in 0..<framed.count - 1 {
      #expect(AV1SequenceHeader.colour(units: framed.span.extracting(0..<length)) == nil, "\(length) bytes")
    }
    let endless: [UInt8] = [0x0A] + [UInt8](repeating: 0xFF, count: 12)
    #expect(AV1SequenceHeader.colour(units: endless.span) == nil)
  }

  private func zeros(_ count: Int) -> String { String(repeating: "0", count: count) }

  private func bytes(_ bits: String) -> [UInt8] {
    stride(from: 0, to: bits.utf8.count, by: 8).map { start in
      let byte = bits.dropFirst(start).prefix(8)
      return UInt8(String(byte) + String(repeating: "0", count: 8 - byte.count), radix: 2) ?? 0
    }
  }

  @Test(arguments: [
    ([0x00, 0x1F, 0x80, 2, 2, 2] as [UInt8], "vp09.00.31.08", 2),
    ([0x00, 0x29, 0x82, 1, 1, 1], "vp09.00.41.08", 1),
    ([0x01, 0x0B, 0x87, 2, 2, 2], "vp09.01.11.08.03.02.02.02.01", 2),
    ([0x02, 0x0A, 0xA2, 9, 16, 9], "vp09.02.10.10.01.09.16.09.00", 16),
    ([0x02, 0x33, 0xC2, 9, 18, 9], "vp09.02.51.12.01.09.18.09.00", 18),
    ([0x00, 0x15, 0x83, 1, 1, 1], "vp09.00.21.08.01.01.01.01.01", 1),
  ])
  func vp9(configuration: [UInt8], expected: String, transfer: UInt16) throws {
    let found = try Self.read("vp09", Self.vpcC(configuration)).get()
    #expect(found.codec == .vp9)
    #expect(found.codecString == expected)
    #expect(found.transferCharacteristics == transfer)
  }

  @Test func vp9TakesColoursFromTheContainerWhereItHasNone() throws {
    let box = Self.vpcC([0x02, 0x0A, 0xA2, 2, 2, 2])
    let found = try Self.read("vp09", box, extra: Self.colr((9, 16, 9), range: 0x80)).get()
    #expect(found.codecString == "vp09.02.10.10.01.09.16.09.01")
    #expect(found.transferCharacteristics == 16)
  }

  @Test(arguments: [
    ("av01", av1C([0x82, 0, 0x0C, 0])), ("av01", av1C([0x01, 0, 0x0C, 0])), ("av01", av1C([0x81, 0, 0x0C])),
    ("av01", av1C([0x81, 0xE0, 0x0C, 0])), ("av01", []), ("av01", vpcC([0, 31, 0x80, 2, 2, 2])),
    ("vp09", vpcC([0, 31, 0x80, 2, 2, 2], version: 0)), ("vp09", vpcC([4, 31, 0x80, 2, 2, 2])),
    ("vp09", vpcC([0, 31, 0x90, 2, 2, 2])), ("vp09", vpcC([0, 31, 0x88, 2, 2, 2])),
    ("vp09", BoxBytes.full("vpcC", version: 1, [0, 31, 0x80, 2, 2])), ("vp09", BoxBytes.box("vpcC", [1])),
  ])
  func nonsenseIsNotBelieved(code: String, box: [UInt8]) {
    guard case .failure(let error) = Self.read(code, box) else {
      Issue.record("the entry was accepted")
      return
    }
    #expect(error.reason.code == "no-decoder-configuration")
    #expect(error.reason.message.contains(code == "av01" ? "av1C" : "vpcC"))
  }

  @Test(arguments: ["vp08", "vvc1", "mp4v", "jpeg", "apcn"])
  func otherCodingsSayWhatToDo(code: String) {
    guard case .failure(let error) = Self.read(code, []) else {
      Issue.record("the entry was accepted")
      return
    }
    #expect(error.reason.code == "codec")
    #expect(error.reason.message.contains(code))
    #expect(error.reason.message.contains("transcode it to H.264"))
  }

  @Test func everyCutIsRefusedOrRead() {
    let entries = [
      BoxBytes.avc1(extra: Self.colr((9, 16, 9)), code: "av01", configuration: Self.av1C(Self.hdr10)),
      BoxBytes.avc1(code: "vp09", configuration: Self.vpcC([2, 10, 0xA2, 9, 16, 9])),
    ]
    for whole in entries {
      for length in 0..<whole.count {
        let cut = Array(whole[..<length])
        if case .success(let entry) = SampleEntry.read(cut, kind: .video) {
          #expect(!entry.codecString.isEmpty)
        }
      }
    }
  }
}
