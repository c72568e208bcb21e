// How boxes are read.
//
// A box is a 32-bit size, a four-character type and a payload; size 1 puts a 64-bit size after the type, size 0 means
// "to the end of what holds the box" (ISO/IEC 14496-12 §4.2). `BoxReader` is a cursor over borrowed bytes that reads
// numbers and child boxes. It holds no memory, cannot outlive the bytes, and every read that would pass the end gives
// nil, so that no file, however broken, makes it trap. Payloads are parsed by one small type per box family.

/// A cursor over big-endian bytes.
struct BoxReader: ~Escapable {
  let bytes: Span<UInt8>
  private(set) var position = 0

  @_lifetime(copy bytes)
  init(_ bytes: Span<UInt8>) { self.bytes = bytes }

  var remaining: Int { bytes.count - position }

  /// Moves on by `count` bytes, or gives nil and stays when there are fewer.
  mutating func skip(_ count: Int) -> Void? {
    guard count >= 0, count <= remaining else { return nil }
    position += count
    return ()
  }

  mutating func u8() -> UInt8? {
    guard remaining >= 1 else { return nil }
    defer { position += 1 }
    return bytes[position]
  }

  mutating func u16() -> UInt16? { load(UInt16.self) }
  mutating func u32() -> UInt32? { load(UInt32.self) }
  mutating func u64() -> UInt64? { load(UInt64.self) }

  /// A 24-bit number.
  mutating func u24() -> UInt32? {
    guard remaining >= 3, let high = u8(), let low = u16() else { return nil }
    return UInt32(high) << 16 | UInt32(low)
  }

  /// The next `count` bytes, borrowed.
  @_lifetime(copy self)
  mutating func take(_ count: Int) -> Span<UInt8>? {
    guard count >= 0, count <= remaining else { return nil }
    let start = position
    position += count
    return bytes.extracting(start..<start + count)
  }

  /// Everything from here to the end, borrowed; does not move.
  @_lifetime(copy self)
  borrowing func rest() -> Span<UInt8> { bytes.extracting(position..<bytes.count) }

  /// The next child box, or nil at the end and where what follows is no box.
  ///
  /// A box that claims to reach past its parent is cut at the parent's end: `isTruncated` says so.
  @_lifetime(copy self)
  mutating func box() -> Box? {
    let start = position
    guard let size32 = u32(), let type = u32() else {
      position = start
      return nil
    }
    var size = UInt64(size32)
    var headerBytes = 8
    if size32 == 1 {
      guard let size64 = u64() else {
        position = start
        return nil
      }
      size = size64
      headerBytes = 16
    } else if size32 == 0 {
      size = UInt64(bytes.count - start)
    }
    guard size >= UInt64(headerBytes) else {
      position = start
      return nil
    }
    let available = bytes.count - start
    let isTruncated = size > UInt64(available)
    let end = start + (isTruncated ? available : Int(size))
    let body = bytes.extracting(start + headerBytes..<end)
    position = end
    return Box(
      type: FourCC(rawValue: type), body: body, whole: bytes.extracting(start..<end), isTruncated: isTruncated
    )
  }

  private mutating func load<Number: FixedWidthInteger & BitwiseCopyable>(_ type: Number.Type) -> Number? {
    let width = MemoryLayout<Number>.size
    guard remaining >= width else { return nil }
    defer { position += width }
    return bytes.bytes.unsafeLoadUnaligned(fromByteOffset: position, as: type).bigEndian
  }
}

/// One box, borrowed from the bytes that hold it.
struct Box: ~Escapable {
  let type: FourCC
  /// Payload after size and type.
  let body: Span<UInt8>
  /// The box with its size and type.
  let whole: Span<UInt8>
  /// The box claims more bytes than its parent has.
  let isTruncated: Bool

  @_lifetime(copy body, copy whole)
  init(type: FourCC, body: Span<UInt8>, whole: Span<UInt8>, isTruncated: Bool) {
    self.type = type
    self.body = body
    self.whole = whole
    self.isTruncated = isTruncated
  }

  /// Version and flags of a full box, and the payload after them.
  @_lifetime(copy self)
  borrowing func fullBox() -> FullBox? {
    var reader = BoxReader(body)
    guard let word = reader.u32() else { return nil }
    return FullBox(version: UInt8(word >> 24), flags: word & 0xFF_FFFF, body: reader.rest())
  }
}

struct FullBox: ~Escapable {
  let version: UInt8
  let flags: UInt32
  let body: Span<UInt8>

  @_lifetime(copy body)
  init(version: UInt8, flags: UInt32, body: Span<UInt8>) {
    self.version = version
    self.flags = flags
    self.body = body
  }
}

/// A table of fixed-width big-endian entries whose length has been checked against its box.
struct BoxTable: ~Escapable {
  private let bytes: Span<UInt8>
  let entryBytes: Int
  let count: Int

  /// The table of `count` entries at the start of `bytes`, or nil when the bytes do not hold so many.
  @_lifetime(copy bytes)
  init?(_ bytes: Span<UInt8>, count: UInt32, entryBytes: Int) {
    let needed = UInt64(count) * UInt64(entryBytes)
    guard needed <= UInt64(bytes.count) else { return nil }
    self.bytes = bytes
    self.count = Int(count)
    self.entryBytes = entryBytes
  }

  /// The 32-bit number at byte `field` of an entry. The entry must exist.
  @inline(__always)
  func u32(_ entry: Int, field: Int = 0) -> UInt32 {
    bytes.bytes.unsafeLoadUnaligned(
      fromByteOffset: entry * entryBytes + field, as: UInt32.self
    ).bigEndian
  }

  @inline(__always)
  func u64(_ entry: Int) -> UInt64 {
    bytes.bytes.unsafeLoadUnaligned(fromByteOffset: entry * entryBytes, as: UInt64.self).bigEndian
  }

  @inline(__always)
  func u16(_ entry: Int) -> UInt16 {
    bytes.bytes.unsafeLoadUnaligned(fromByteOffset: entry * entryBytes, as: UInt16.self).bigEndian
  }

  @inline(__always)
  func u8(_ entry: Int) -> UInt8 { bytes[entry * entryBytes] }
}

extension Span where Element == UInt8 {
  /// The first child box of a type among these bytes.
  @_lifetime(copy self)
  func firstBox(_ type: FourCC) -> Box? {
    var reader = BoxReader(self)
    while let box = reader.box() {
      if box.type == type { return box }
    }
    return nil
  }

  /// A copy of the bytes.
  func copied() -> [UInt8] {
    [UInt8](unsafeUninitializedCapacity: count) { buffer, initialized in
      for index in 0..<count { buffer[index] = self[index] }
      initialized = count
    }
  }
}
