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
    var section = Section(table: 0x00, identifier: 0, counter: counter)
    section.append(UInt16(1))
    section.append(0xE000 | programMapIdentifier)
    return section.packet()
  }

  /// Program map of one or two streams; the first carries the clock.
  static func mapPacket(_ streams: [TransportStream], counter: UInt8) -> [UInt8] {
    let clockIdentifier = streams.first.map(identifier(of:)) ?? 0x1FFF
    var section = Section(table: 0x02, identifier: programMapIdentifier, counter: counter)
    section.append(0xE000 | clockIdentifier)
    section.append(UInt16(0xF000))
    for stream in streams {
      section.append(stream.streamType)
      section.append(0xE000 | identifier(of: stream))
      section.append(0xF000 | UInt16(truncatingIfNeeded: stream.descriptors.count))
      section.bytes += stream.descriptors
    }
    return section.packet()
  }

  /// A packet with one section in it, for identifier 1 (transport stream and program alike) and version 0. Every segment has
  /// two, so it is put together in place.
  private struct Section {
    /// Of the packet and of the section so far.
    var bytes: [UInt8] = []

    private static let packetHeaderBytes = 5
    private static let checksumBytes = 4

    init(table: UInt8, identifier: UInt16, counter: UInt8) {
      bytes.reserveCapacity(TransportPacketizer.packetBytes)
      bytes.append(0x47)
      append(0x4000 | identifier)
      bytes.append(0x10 | counter & 15)
      bytes.append(0x00)
      bytes.append(table)
      append(UInt16(0xB000))
      append(UInt16(1))
      bytes.append(0xC1)
      append(UInt16(0))
    }

    mutating func append(_ byte: UInt8) { bytes.append(byte) }

    mutating func append(_ word: UInt16) {
      bytes.append(UInt8(word >> 8))
      bytes.append(UInt8(truncatingIfNeeded: word))
    }

    /// With the length and the checksum of the section, and filled up.
    consuming func packet() -> [UInt8] {
      let start = Self.packetHeaderBytes
      // Counted from behind the length itself; a length of more than 8 bits would not fit into a packet.
      bytes[start + 2] = UInt8(truncatingIfNeeded: bytes.count - start - 3 + Self.checksumBytes)
      let sum = checksum(bytes[start...])
      append(UInt16(truncatingIfNeeded: sum >> 16))
      append(UInt16(truncatingIfNeeded: sum))
      bytes.append(
        contentsOf: repeatElement(0xFF, count: max(0, TransportPacketizer.packetBytes - bytes.count)))
      return bytes
    }
  }

  /// CRC-32/MPEG-2 (ISO/IEC 13818-1 annex A): polynomial 0x04C11DB7, most significant bit first, start value
  /// of ones.
  static func checksum(_ bytes: some Sequence<UInt8>) -> UInt32 {
    var sum: UInt32 = .max
    for byte in bytes { sum = sum << 8 ^ steps[Int(UInt8(sum >> 24) ^ byte)] }
    return sum
  }

  /// What a byte at the front of the sum becomes in eight steps.
  private static let steps: [UInt32] = (0..<256).map { byte in
    (0..<8).reduce(UInt32(byte) << 24) { sum, _ in sum & 0x8000_0000 != 0 ? sum << 1 ^ 0x04C1_1DB7 : sum << 1
    }
  }
}
