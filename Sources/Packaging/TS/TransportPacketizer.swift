// Lays PES packets out in transport packets of 188 bytes (ISO/IEC 13818-1 §2.4.3), straight into their final
// place.
//
//     47 | start 1, PID 13 | adaptation 2, continuity 4 | adaptation field, where there is one | payload
//
// A packet's payload may be short only by means of a longer adaptation field, which comes first. So how much
// goes into a packet must be known when it is opened: all that is left, but no more than fits, and so that
// each packet the plan still has for this unit gets a byte.

/// A cursor over the memory of one segment.
///
/// The memory is the plan's packets times 188 bytes, and no packet is opened behind its end, whatever is put
/// in.
struct TransportPacketizer {
  static let packetBytes = 188
  static let payloadBytes = 184

  /// Where the next packet goes, and the end of the memory.
  private var packet: UnsafeMutableRawPointer
  private let end: UnsafeMutableRawPointer
  /// Where the next byte of payload goes, and how many more the open packet takes.
  private var cursor: UnsafeMutableRawPointer
  private var room = 0

  /// The unit at hand: bytes not yet in an open packet, packets not yet opened, first word of the next
  /// packet.
  private var bytesLeft = 0
  private var packetsLeft = 0
  private var head: UInt32 = 0
  private var adaptationBytes = 0
  private var adaptationFlags: UInt8 = 0
  private var clockReference: UInt64 = 0
  private var part = 0
  /// Of each part; in place rather than arrays, which would be asked for their references at every packet.
  private var streams: InlineArray<2, Stream>

  private struct Stream {
    /// PID in its place in a packet's first word.
    let identifier: UInt32
    let packetIdentifier: UInt8
    let isVideo: Bool
    var counter: UInt32 = 0

    init(_ stream: TransportStream) {
      identifier = UInt32(TransportTables.identifier(of: stream)) << 8
      packetIdentifier = stream.packetIdentifier
      isVideo = stream.isVideo
    }
  }

  /// A PES header with both times, the stuffing that spreads a unit over 16 packets, and that for a delimiter.
  private static let longestHeaderBytes = 64

  /// - Parameters:
  ///   - memory: is not owned, and must outlive the cursor.
  ///   - streams: one or two.
  init?(_ memory: UnsafeMutableRawBufferPointer, streams: [TransportStream]) {
    guard let start = memory.baseAddress, let first = streams.first, let last = streams.last else {
      return nil
    }
    packet = start
    end = start + memory.count
    cursor = start
    self.streams = [Stream(first), Stream(last)]
  }

  /// Appends a packet that is ready.
  mutating func append(_ ready: [UInt8]) {
    guard end - packet >= ready.count else { return }
    ready.withUnsafeBytes {
      packet.copyMemory(from: $0.baseAddress.unsafelyUnwrapped, byteCount: ready.count)
    }
    packet += ready.count
  }

  /// Appends a packet with nothing but the clock. Without payload it repeats the counter of the packet
  /// before.
  mutating func appendClock(_ unit: TransportUnit) {
    guard end - packet >= Self.packetBytes else { return }
    let counter = (streams[unit.part].counter &- 1) & 15
    store(0x4700_0020 | streams[unit.part].identifier | counter, at: 0)
    adaptationFlags = 0x10
    clockReference = Self.reference(unit)
    writeAdaptation(Self.payloadBytes)
    packet += Self.packetBytes
  }

  /// Opens the unit's first packet and writes the PES header (§2.4.3.6), with `stuffingBytes` more of
  /// stuffing than the plan says.
  mutating func begin(_ unit: TransportUnit, stuffingBytes: Int) {
    part = unit.part
    bytesLeft = unit.bytes
    packetsLeft = unit.packets
    let stream = streams[part]
    head = 0x4740_0010 | stream.identifier | stream.counter
    adaptationBytes = unit.adaptationBytes
    adaptationFlags = (unit.isRandomAccess ? 0x40 : 0) | (unit.carriesClock ? 0x10 : 0)
    clockReference = Self.reference(unit)
    room = 0

    // Pictures may be longer than 16 bits can say; their length is left open.
    let length = stream.isVideo ? 0 : UInt16(truncatingIfNeeded: unit.bytes - 6)
    let times = unit.headerBytes - 9
    let count = unit.headerBytes + stuffingBytes + unit.stuffingBytes
    let hasDecodeTime = unit.hasDecodeTime
    let start = UInt32(0x0000_0100) | UInt32(stream.packetIdentifier)
    precondition(count <= Self.longestHeaderBytes, "the stuffing of a header is at most some 20 bytes")
    withUnsafeTemporaryAllocation(byteCount: Self.longestHeaderBytes, alignment: 8) { header in
      header.storeBytes(of: start.bigEndian, toByteOffset: 0, as: UInt32.self)
      header.storeBytes(of: length.bigEndian, toByteOffset: 4, as: UInt16.self)
      header[6] = 0x84
      header[7] = hasDecodeTime ? 0xC0 : 0x80
      header[8] = UInt8(truncatingIfNeeded: count - 9)
      TransportTimeField.storeTimeStamp(
        unit.presentationClockTicks, prefix: hasDecodeTime ? 3 : 2, in: header, at: 9)
      if hasDecodeTime {
        TransportTimeField.storeTimeStamp(unit.decodeClockTicks, prefix: 1, in: header, at: 14)
      }
      for index in 9 + times..<count { header[index] = 0xFF }
      put(UnsafeRawBufferPointer(rebasing: header[..<count]))
    }
  }

  private static func reference(_ unit: TransportUnit) -> UInt64 {
    TransportTimeField.clockReference(unit.decodeClockTicks &- TransportSegment.clockLeadTicks)
  }

  mutating func put(_ bytes: [UInt8]) {
    bytes.withUnsafeBytes { put($0) }
  }

  /// Puts the first `count` bytes of a word in place, at most seven.
  @inline(__always)
  mutating func put(_ word: UInt64, count: Int) {
    guard room >= 8 else {
      return withUnsafeBytes(of: word.bigEndian) { put(UnsafeRawBufferPointer(rebasing: $0[..<count])) }
    }
    // What is stored behind them is written over by what comes next, which fills the room.
    cursor.storeBytes(of: word.bigEndian, as: UInt64.self)
    cursor += count
    room -= count
  }

  /// Puts the next bytes of the unit in place, over as many packets as they take.
  mutating func put(_ bytes: UnsafeRawBufferPointer) {
    guard var source = bytes.baseAddress else { return }
    var count = bytes.count
    while count > 0 {
      if room == 0, !open() { return }
      let taken = min(room, count)
      cursor.copyMemory(from: source, byteCount: taken)
      cursor += taken
      room -= taken
      source += taken
      count -= taken
    }
  }

  private mutating func open() -> Bool {
    guard packetsLeft > 0, end - packet >= Self.packetBytes else { return false }
    let share = min(Self.payloadBytes - adaptationBytes, bytesLeft - (packetsLeft - 1))
    guard share > 0 else { return false }
    let adaptation = Self.payloadBytes - share
    store(adaptation > 0 ? head | 0x20 : head, at: 0)
    if adaptation > 0 {
      writeAdaptation(adaptation)
      adaptationBytes = 0
      adaptationFlags = 0
    }
    head = head & 0xFFBF_FFF0 | (head &+ 1) & 15
    streams[part].counter = head & 15
    cursor = packet + 4 + adaptation
    room = share
    bytesLeft -= share
    packetsLeft -= 1
    packet += Self.packetBytes
    return true
  }

  /// Writes an adaptation field of `count` bytes, its length byte included, behind the head of the packet.
  private mutating func writeAdaptation(_ count: Int) {
    packet.storeBytes(of: UInt8(count - 1), toByteOffset: 4, as: UInt8.self)
    guard count > 1 else { return }
    packet.storeBytes(of: adaptationFlags, toByteOffset: 5, as: UInt8.self)
    var written = 2
    if adaptationFlags & 0x10 != 0 {
      store(UInt32(truncatingIfNeeded: clockReference >> 16), at: 6)
      packet.storeBytes(
        of: UInt16(truncatingIfNeeded: clockReference).bigEndian, toByteOffset: 10, as: UInt16.self)
      written = 8
    }
    UnsafeMutableRawBufferPointer(start: packet + 4 + written, count: count - written)
      .initializeMemory(as: UInt8.self, repeating: 0xFF)
  }

  @inline(__always)
  private func store(_ word: UInt32, at offset: Int) {
    packet.storeBytes(of: word.bigEndian, toByteOffset: offset, as: UInt32.self)
  }
}
