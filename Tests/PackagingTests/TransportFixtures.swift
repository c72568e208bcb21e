import Packaging

/// A transport stream as a test sees it: packets and PES packets, with nothing taken from the code under
/// test.
struct ParsedTransport {
  struct Packet {
    var identifier: Int
    var isStart: Bool
    var counter: Int
    var hasPayload: Bool
    var isRandomAccess = false
    var isDiscontinuous = false
    /// Count of the 90 kHz part of the clock reference.
    var clock: Int?
    var payload: [UInt8] = []
  }

  struct PES {
    var identifier: Int
    var streamIdentifier: UInt8
    var presentation: Int
    var decode: Int
    var stuffingBytes: Int
    var isRandomAccess: Bool
    var body: [UInt8]
    /// Place of its first packet.
    var packet: Int
  }

  var packets: [Packet] = []
  var units: [PES] = []

  func units(_ identifier: Int) -> [PES] { units.filter { $0.identifier == identifier } }

  /// `nil` for what breaks a rule of ISO/IEC 13818-1 that can be seen here.
  init?(_ bytes: [UInt8]) {
    guard bytes.count % 188 == 0 else { return nil }
    var open: [Int: (start: Int, isRandomAccess: Bool, bytes: [UInt8])] = [:]
    for start in stride(from: 0, to: bytes.count, by: 188) {
      guard let packet = Self.packet(Array(bytes[start..<start + 188])) else { return nil }
      packets.append(packet)
      guard packet.identifier == 0x100 || packet.identifier == 0x101, packet.hasPayload else { continue }
      if packet.isStart {
        if let done = open[packet.identifier] {
          guard let unit = Self.unit(packet.identifier, done) else { return nil }
          units.append(unit)
        }
        open[packet.identifier] = (packets.count - 1, packet.isRandomAccess, packet.payload)
      } else {
        guard open[packet.identifier] != nil else { return nil }
        open[packet.identifier]?.bytes += packet.payload
      }
    }
    for (identifier, rest) in open {
      guard let unit = Self.unit(identifier, rest) else { return nil }
      units.append(unit)
    }
    units.sort { $0.packet < $1.packet }
  }

  private static func packet(_ bytes: [UInt8]) -> Packet? {
    guard bytes[0] == 0x47, bytes[1] & 0xA0 == 0, bytes[3] & 0xC0 == 0 else { return nil }
    var packet = Packet(
      identifier: Int(bytes[1] & 0x1F) << 8 | Int(bytes[2]), isStart: bytes[1] & 0x40 != 0,
      counter: Int(bytes[3] & 15), hasPayload: bytes[3] & 0x10 != 0)
    var start = 4
    if bytes[3] & 0x20 != 0 {
      let length = Int(bytes[4])
      guard packet.hasPayload ? length <= 182 : length == 183 else { return nil }
      start = 5 + length
      if length > 0 {
        packet.isDiscontinuous = bytes[5] & 0x80 != 0
        packet.isRandomAccess = bytes[5] & 0x40 != 0
        var stuffing = 6
        if bytes[5] & 0x10 != 0 {
          packet.clock = bytes[6...9].reduce(0) { $0 << 8 | Int($1) } << 1 | Int(bytes[10] >> 7)
          guard bytes[10] & 0x7F == 0x7E, bytes[11] == 0 else { return nil }
          stuffing = 12
        }
        guard bytes[stuffing..<start].allSatisfy({ $0 == 0xFF }) else { return nil }
      }
    } else if !packet.hasPayload {
      return nil
    }
    packet.payload = Array(bytes[start...])
    return packet
  }

  private static func unit(_ identifier: Int, _ from: (start: Int, isRandomAccess: Bool, bytes: [UInt8]))
    -> PES?
  {
    let bytes = from.bytes
    guard bytes.count >= 14, bytes[0..<3].elementsEqual([0, 0, 1]), bytes[6] == 0x84 else { return nil }
    let length = Int(bytes[4]) << 8 | Int(bytes[5])
    guard bytes[3] == 0xE0 ? length == 0 : length == bytes.count - 6 else { return nil }
    func time(_ at: Int, prefix: UInt8) -> Int? {
      guard bytes[at] >> 4 == prefix, bytes[at] & bytes[at + 2] & bytes[at + 4] & 1 == 1 else { return nil }
      return Int(bytes[at] >> 1 & 7) << 30 | Int(bytes[at + 1]) << 22 | Int(bytes[at + 2] >> 1) << 15
        | Int(bytes[at + 3]) << 7 | Int(bytes[at + 4] >> 1)
    }
    let hasDecodeTime = bytes[7] == 0xC0
    guard hasDecodeTime || bytes[7] == 0x80, let presentation = time(9, prefix: hasDecodeTime ? 3 : 2) else {
      return nil
    }
    let headerBytes = 9 + Int(bytes[8])
    let fieldsEnd = hasDecodeTime ? 19 : 14
    guard bytes.count >= headerBytes, headerBytes >= fieldsEnd,
      bytes[fieldsEnd..<headerBytes].allSatisfy({ $0 == 0xFF })
    else { return nil }
    var decode = presentation
    if hasDecodeTime {
      guard let read = time(14, prefix: 1) else { return nil }
      decode = read
    }
    return PES(
      identifier: identifier, streamIdentifier: bytes[3], presentation: presentation, decode: decode,
      stuffingBytes: headerBytes - fieldsEnd, isRandomAccess: from.isRandomAccess,
      body: Array(bytes[headerBytes...]), packet: from.start)
  }

  /// What is wrong with the continuity counters of segments played in this order; each as a sentence.
  static func continuityFaults(_ segments: [ParsedTransport]) -> [String] {
    var last: [Int: Int] = [:]
    var faults: [String] = []
    for (number, segment) in segments.enumerated() {
      for (place, packet) in segment.packets.enumerated() {
        if let before = last[packet.identifier] {
          let expected = packet.hasPayload ? (before + 1) & 15 : before
          if packet.counter != expected {
            faults.append("segment \(number), packet \(place), PID \(packet.identifier): \(packet.counter)")
          }
        }
        last[packet.identifier] = packet.counter
      }
    }
    return faults
  }
}

/// Tracks and samples made by hand, and the streams they must become.
enum TransportFixture {
  static let sps: [UInt8] = [0x67, 0x64, 0x00, 0x1F, 0xAC]
  static let pps: [UInt8] = [0x68, 0xEE, 0x3C, 0x80]
  static let parameterSets = [0, 0, 0, 1] + sps + [0, 0, 0, 1] + pps
  static let delimiter: [UInt8] = [0, 0, 0, 1, 0x09, 0xF0]

  static func box(_ type: String, _ payload: [UInt8]) -> [UInt8] {
    word(payload.count + 8) + Array(type.utf8) + payload
  }

  static func word(_ value: Int) -> [UInt8] {
    [24, 16, 8, 0].map { UInt8(truncatingIfNeeded: value >> $0) }
  }

  static func video(lengthBytes: Int = 4, timescale: UInt32 = 90000) -> Track {
    let configuration =
      [1, 0x64, 0x00, 0x1F, 0xFC | UInt8(lengthBytes - 1), 0xE1, 0, UInt8(sps.count)] + sps
      + [1, 0, UInt8(pps.count)] + pps
    var track = WriterFixture.video(timescale: timescale)
    track.sampleEntry = WriterFixture.sampleEntry("avc1", boxes: box("avcC", configuration))
    return track
  }

  static func hevc() -> Track {
    var configuration = [UInt8](repeating: 0, count: 23)
    configuration[0] = 1
    configuration[21] = 0xFF
    configuration[22] = 3
    // Arrays out of order: PPS, VPS, SPS.
    for (type, unit) in [(34, [0x44, 0x01, 0xC1]), (32, [0x40, 0x01, 0x0C]), (33, [0x42, 0x01, 0x01])]
      as [(UInt8, [UInt8])]
    {
      configuration += [0x80 | type, 0, 1, 0, UInt8(unit.count)] + unit
    }
    var track = WriterFixture.video()
    track.codec = .hevc
    track.sampleEntry = WriterFixture.sampleEntry("hvc1", boxes: box("hvcC", configuration))
    return track
  }

  /// AAC with this AudioSpecificConfig; 48 kHz stereo LC by default.
  static func aac(_ config: [UInt8] = [0x11, 0x90], language: String = "und", timescale: UInt32 = 48000)
    -> Track
  {
    let specific = [0x05, UInt8(config.count)] + config
    let decoder =
      [0x04, UInt8(13 + specific.count), 0x40, 0x15] + [UInt8](repeating: 0, count: 11) + specific
    let stream = [0x03, UInt8(3 + decoder.count), 0, 0, 0] + decoder
    var track = WriterFixture.audio(language: language, timescale: timescale)
    track.sampleEntry = WriterFixture.sampleEntry("mp4a", boxes: box("esds", [0, 0, 0, 0] + stream))
    return track
  }

  static func sound(_ codec: TrackCodec, box type: String = "", _ payload: [UInt8] = []) -> Track {
    var track = WriterFixture.audio(language: "en")
    track.codec = codec
    track.sampleEntry = WriterFixture.sampleEntry("mp4a", boxes: type.isEmpty ? [] : box(type, payload))
    return track
  }

  /// A sample of `bytes` as NAL units with lengths of four bytes, and the byte stream it must become.
  static func picture(_ bytes: Int, using random: inout WriterRandom) -> (sample: [UInt8], stream: [UInt8]) {
    var sample: [UInt8] = []
    var stream: [UInt8] = []
    while bytes - sample.count >= 4 {
      let room = bytes - sample.count - 4
      let length = room < 8 ? room : Int.random(in: 1...room, using: &random)
      let unit = (0..<length).map { $0 == 0 ? UInt8(0x41) : UInt8.random(in: 1...255, using: &random) }
      sample += word(length) + unit
      stream += (length == 0 ? [0, 0, 0, 0] : [0, 0, 0, 1]) + unit
    }
    let rest = [UInt8](repeating: 7, count: bytes - sample.count)
    return (sample + rest, stream + rest.map { _ in 0 })
  }

  static func stream(_ track: Track) throws -> TransportStream { try TransportStream(track) }
}
