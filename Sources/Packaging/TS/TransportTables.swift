// The two tables at the start of every segment (ISO/IEC 13818-1 §2.4.4): the program association table on PID
// 0 names one program, whose map on PID 0x1000 names the streams. Each is one section in one packet. Both
// depend only on the streams of the rendition, so they are the same in all of its segments but for the
// continuity counter.

enum TransportTables {
  static let programMapIdentifier: UInt16 = 0x1000
  static let videoIdentifier: UInt16 = 0x0100
  static let audioIdentifier: UInt16 = 0x0101

  static func identifier(of stream: TransportStream) -> UInt16 {
    stream.isVideo ? videoIdentifier : audioIdentifier
  }

  /// Program association: program 1 has its map on PID 0x1000.
  static func associationPacket(counter: UInt8) -> [UInt8] {
    let body = [0x00, 0x01] + word(0xE000 | programMapIdentifier)
    return packet(section(table: 0x00, body: body), identifier: 0, counter: counter)
  }

  /// Program map of one or two streams; the first carries the clock.
  static func mapPacket(_ streams: [TransportStream], counter: UInt8) -> [UInt8] {
    let clockIdentifier = streams.first.map(identifier(of:)) ?? 0x1FFF
    var body = word(0xE000 | clockIdentifier) + word(0xF000)
    for stream in streams {
      body.append(stream.streamType)
      body += word(0xE000 | identifier(of: stream))
      body += word(0xF000 | UInt16(truncatingIfNeeded: stream.descriptors.count))
      body += stream.descriptors
    }
    return packet(section(table: 0x02, body: body), identifier: programMapIdentifier, counter: counter)
  }

  /// A section with its header, for identifier 1 (transport stream and program alike) and version 0, and its
  /// checksum.
  private static func section(table: UInt8, body: [UInt8]) -> [UInt8] {
    let lengthBytes = UInt16(truncatingIfNeeded: 5 + body.count + 4)
    var section = [table] + word(0xB000 | lengthBytes) + [0x00, 0x01, 0xC1, 0x00, 0x00]
    section += body
    let sum = checksum(section)
    return section + word(UInt16(truncatingIfNeeded: sum >> 16)) + word(UInt16(truncatingIfNeeded: sum))
  }

  private static func packet(_ section: [UInt8], identifier: UInt16, counter: UInt8) -> [UInt8] {
    var packet = [0x47] + word(0x4000 | identifier) + [0x10 | counter & 15, 0x00]
    packet += section
    packet += repeatElement(0xFF, count: max(0, TransportPacketizer.packetBytes - packet.count))
    return packet
  }

  private static func word(_ value: UInt16) -> [UInt8] {
    [UInt8(value >> 8), UInt8(truncatingIfNeeded: value)]
  }

  /// CRC-32/MPEG-2 (ISO/IEC 13818-1 annex A): polynomial 0x04C11DB7, most significant bit first, start value
  /// of ones.
  static func checksum(_ bytes: [UInt8]) -> UInt32 {
    var sum: UInt32 = .max
    for byte in bytes {
      sum ^= UInt32(byte) << 24
      for _ in 0..<8 { sum = sum & 0x8000_0000 != 0 ? sum << 1 ^ 0x04C1_1DB7 : sum << 1 }
    }
    return sum
  }
}
