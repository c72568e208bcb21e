import Packaging

/// A box as a test sees it: found by walking sizes, with nothing taken from the code under test.
struct ParsedBox {
  var type: String
  /// Range of the whole box and of what follows its header.
  var range: Range<Int>
  var payload: Range<Int>
}

/// The smallest box reader that can check what the writers make.
struct BoxWalk {
  let bytes: [UInt8]

  func word(_ offset: Int) -> UInt32 {
    bytes[offset..<offset + 4].reduce(0) { $0 << 8 | UInt32($1) }
  }

  func half(_ offset: Int) -> UInt16 {
    UInt16(bytes[offset]) << 8 | UInt16(bytes[offset + 1])
  }

  func long(_ offset: Int) -> UInt64 {
    UInt64(word(offset)) << 32 | UInt64(word(offset + 4))
  }

  /// The boxes that fill `range` exactly; `nil` where they do not. A box may end past the bytes at
  /// hand only as the last, and only where `openEnd` allows it: an `mdat` whose payload is elsewhere.
  func boxes(in range: Range<Int>, openEnd: Bool = false) -> [ParsedBox]? {
    var found: [ParsedBox] = []
    var offset = range.lowerBound
    while offset < range.upperBound {
      guard offset + 8 <= range.upperBound else { return nil }
      let type = String(decoding: bytes[offset + 4..<offset + 8], as: UTF8.self)
      var sizeBytes = Int(word(offset))
      var headerBytes = 8
      if sizeBytes == 1 {
        headerBytes = 16
        sizeBytes = Int(long(offset + 8))
      }
      guard sizeBytes >= headerBytes else { return nil }
      let end = offset + sizeBytes
      guard end <= range.upperBound || openEnd else { return nil }
      found.append(
        ParsedBox(
          type: type, range: offset..<end, payload: offset + headerBytes..<max(end, offset + headerBytes)))
      offset = end
    }
    return found
  }

  /// The first box at a path such as `moov/trak/tkhd`.
  func box(_ path: String) -> ParsedBox? {
    var range = 0..<bytes.count
    var last: ParsedBox?
    for (depth, type) in path.split(separator: "/").enumerated() {
      guard
        let next = boxes(in: range, openEnd: depth == 0)?.first(where: { $0.type == String(type) })
      else { return nil }
      last = next
      range = next.payload
    }
    return last
  }
}

/// What a fragment says of each sample, after all defaults have been applied.
struct ParsedFragment {
  struct Row: Equatable {
    var durationTicks: UInt32
    var sizeBytes: UInt32
    var flags: UInt32
    var compositionOffsetTicks: Int32
  }

  var sequenceNumber: UInt32
  var baseMediaDecodeTicks: UInt64
  var rows: [Row]
  var runFlags: UInt32
  var headerFlags: UInt32
  /// Where `trun` says the first sample lies, counted from the first byte of `styp`.
  var dataOffset: Int
  var mdat: ParsedBox

  init?(_ head: [UInt8]) {
    let walk = BoxWalk(bytes: head)
    guard let top = walk.boxes(in: 0..<head.count, openEnd: true),
      top.map(\.type) == ["styp", "moof", "mdat"],
      let moof = walk.boxes(in: top[1].payload), moof.map(\.type) == ["mfhd", "traf"],
      let traf = walk.boxes(in: moof[1].payload), traf.map(\.type) == ["tfhd", "tfdt", "trun"]
    else { return nil }
    mdat = top[2]
    sequenceNumber = walk.word(moof[0].payload.lowerBound + 4)

    let tfhd = traf[0].payload.lowerBound
    headerFlags = walk.word(tfhd) & 0xFF_FFFF
    guard walk.word(tfhd + 4) == 1 else { return nil }
    var offset = tfhd + 8
    var defaults: [UInt32: UInt32] = [:]
    for flag in [0x08, 0x10, 0x20] as [UInt32] where headerFlags & flag != 0 {
      defaults[flag] = walk.word(offset)
      offset += 4
    }
    guard offset == traf[0].payload.upperBound else { return nil }

    guard walk.word(traf[1].payload.lowerBound) == 0x0100_0000, traf[1].payload.count == 12 else {
      return nil
    }
    baseMediaDecodeTicks = walk.long(traf[1].payload.lowerBound + 4)

    let trun = traf[2].payload.lowerBound
    guard walk.word(trun) >> 24 == 1 else { return nil }
    runFlags = walk.word(trun) & 0xFF_FFFF
    let count = Int(walk.word(trun + 4))
    offset = trun + 8
    guard runFlags & 1 != 0 else { return nil }
    dataOffset = top[1].range.lowerBound + Int(Int32(bitPattern: walk.word(offset)))
    offset += 4
    var firstFlags: UInt32?
    if runFlags & 4 != 0 {
      firstFlags = walk.word(offset)
      offset += 4
    }
    rows = []
    for index in 0..<count {
      func column(_ flag: UInt32, _ fallback: UInt32?) -> UInt32? {
        guard runFlags & flag != 0 else { return fallback }
        defer { offset += 4 }
        return walk.word(offset)
      }
      guard let duration = column(0x100, defaults[0x08]), let size = column(0x200, defaults[0x10]),
        let flags = column(0x400, index == 0 ? firstFlags ?? defaults[0x20] : defaults[0x20]),
        let composition = column(0x800, 0)
      else { return nil }
      rows.append(
        Row(
          durationTicks: duration, sizeBytes: size, flags: flags,
          compositionOffsetTicks: Int32(bitPattern: composition)))
    }
    guard offset == traf[2].payload.upperBound else { return nil }
  }
}

/// SplitMix64: the same numbers for the same seed, everywhere.
struct WriterRandom: RandomNumberGenerator {
  var state: UInt64

  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var word = state
    word = (word ^ (word >> 30)) &* 0xBF58_476D_1CE4_E5B9
    word = (word ^ (word >> 27)) &* 0x94D0_49BB_1331_11EB
    return word ^ (word >> 31)
  }
}

enum WriterFixture {
  /// A sample entry of the right outline; what it configures does not matter to a writer.
  static func sampleEntry(_ type: String, boxes: [UInt8] = []) -> [UInt8] {
    let fixedBytes = type.hasPrefix("mp4a") ? 36 : 86
    var entry = [UInt8](repeating: 0, count: fixedBytes)
    let sizeBytes = UInt32(fixedBytes + boxes.count)
    for index in 0..<4 { entry[index] = UInt8(truncatingIfNeeded: sizeBytes >> (24 - 8 * UInt32(index))) }
    entry.replaceSubrange(4..<8, with: Array(type.utf8))
    entry[15] = 1
    return entry + boxes
  }

  static func video(
    width: UInt16 = 1280, height: UInt16 = 720, timescale: UInt32 = 90000, sampleCount: UInt32 = 300,
    durationTicks: UInt64 = 900_000
  ) -> Track {
    Track(
      id: 1, kind: .video, codec: .avc, sampleEntry: sampleEntry("avc1"), codecString: "avc1.64001f",
      timescale: timescale, widthPixels: width, heightPixels: height, displayWidthPixels: UInt32(width),
      displayHeightPixels: UInt32(height), transferCharacteristics: 1, sampleCount: sampleCount,
      durationTicks: durationTicks)
  }

  static func audio(
    language: String = "und", timescale: UInt32 = 48000, sampleCount: UInt32 = 469,
    durationTicks: UInt64 = 480_000
  ) -> Track {
    Track(
      id: 2, kind: .audio, codec: .aac, sampleEntry: sampleEntry("mp4a"), codecString: "mp4a.40.2",
      timescale: timescale, language: language, channelCount: 2, sampleRateHertz: 48000,
      sampleCount: sampleCount, durationTicks: durationTicks)
  }

  /// Segments that touch, with these lengths in ticks and sizes in bytes.
  static func segments(
    _ durationsTicks: [UInt64], bytes: [UInt64]? = nil, samples: UInt32 = 1, startTicks: UInt64 = 0,
    headBytes: UInt32 = 152
  ) -> [Segment] {
    var segments: [Segment] = []
    var start = startTicks
    for (index, duration) in durationsTicks.enumerated() {
      segments.append(
        Segment(
          firstSample: UInt32(index) * samples, sampleCount: samples, startTicks: start,
          durationTicks: duration,
          decodeTicks: start, mediaBytes: bytes.map { $0[index] } ?? 1000, headBytes: headBytes))
      start += duration
    }
    return segments
  }

  /// Samples in decode order, each right behind the one before.
  static func samples(
    count: Int, durationTicks: UInt32, firstDecodeTicks: UInt64 = 0, offset: UInt64 = 1000,
    size: (Int) -> UInt32 = { UInt32(100 + $0) }, composition: (Int) -> Int32 = { _ in 0 },
    sync: (Int) -> Bool = { $0 == 0 }
  ) -> [Sample] {
    var samples: [Sample] = []
    var position = offset
    for index in 0..<count {
      samples.append(
        Sample(
          offset: position, sizeBytes: size(index), durationTicks: durationTicks,
          decodeTicks: firstDecodeTicks + UInt64(index) * UInt64(durationTicks),
          compositionOffsetTicks: composition(index), isSync: sync(index)))
      position += UInt64(size(index))
    }
    return samples
  }
}
