/// Little-endian output into one growing array.
struct ByteOutput {
  /// What was appended so far lies in front; behind it is room.
  private var storage: [UInt8]
  private(set) var count = 0

  init(capacityBytes: Int) { storage = [UInt8](repeating: 0, count: max(64, capacityBytes)) }

  /// Everything that was appended.
  consuming func finish() -> [UInt8] {
    storage.removeLast(storage.count - count)
    return storage
  }

  @inline(__always)
  mutating func append(_ value: some FixedWidthInteger & UnsignedInteger) {
    append(UInt64(truncatingIfNeeded: value), width: UInt8(MemoryLayout.size(ofValue: value)))
  }

  /// Appends the low `width` bytes (at most 8) of a value: eight are stored, the next entry overwrites the rest.
  @inline(__always)
  mutating func append(_ value: UInt64, width: UInt8) {
    makeRoom(8)
    store(eight: value, at: count)
    count += Int(width)
  }

  mutating func append(contentsOf more: [UInt8]) {
    makeRoom(more.count)
    storage.replaceSubrange(count..<count + more.count, with: more)
    count += more.count
  }

  /// A byte count of 32 bits, then the bytes.
  mutating func append(blob: [UInt8]) {
    append(UInt32(blob.count))
    append(contentsOf: blob)
  }

  mutating func append(text: String) { append(blob: Array(text.utf8)) }

  /// Overwrites bytes that were appended before.
  mutating func store(_ value: some FixedWidthInteger & UnsignedInteger, at offset: Int) {
    for index in 0..<MemoryLayout.size(ofValue: value) {
      storage[offset + index] = UInt8(truncatingIfNeeded: value >> (8 * index))
    }
  }

  /// The checksum of a part of what was appended.
  func checksum(_ range: Range<Int>) -> UInt64 { Checksum.of(storage, range) }

  @inline(__always)
  private mutating func makeRoom(_ more: Int) {
    if storage.count - count < more {
      storage.append(contentsOf: repeatElement(0, count: max(more, storage.count)))
    }
  }

  @inline(__always)
  private mutating func store(eight value: UInt64, at offset: Int) {
    storage.withUnsafeMutableBytes {
      $0.storeBytes(of: value.littleEndian, toByteOffset: offset, as: UInt64.self)
    }
  }
}

/// Little-endian input that throws `IndexError.corrupt` where bytes are missing.
struct ByteInput: ~Escapable {
  private let bytes: Span<UInt8>
  private(set) var position = 0

  @_lifetime(copy bytes)
  init(_ bytes: Span<UInt8>) { self.bytes = bytes }

  var remaining: Int { bytes.count - position }

  mutating func u8() throws(IndexError) -> UInt8 { try load() }
  mutating func u16() throws(IndexError) -> UInt16 { try load() }
  mutating func u32() throws(IndexError) -> UInt32 { try load() }
  mutating func u64() throws(IndexError) -> UInt64 { try load() }

  mutating func blob() throws(IndexError) -> [UInt8] {
    let count = Int(try u32())
    guard count <= remaining else { throw .corrupt("resident part cut short") }
    defer { position += count }
    return bytes.extracting(position..<position + count).copied()
  }

  mutating func text() throws(IndexError) -> String {
    let units = try blob()
    guard let text = String(validating: units, as: UTF8.self) else { throw .corrupt("text is not UTF-8") }
    return text
  }

  @inline(__always)
  private mutating func load<Number: FixedWidthInteger & BitwiseCopyable>() throws(IndexError) -> Number {
    let width = MemoryLayout<Number>.size
    guard remaining >= width else { throw .corrupt("resident part cut short") }
    defer { position += width }
    return Number(littleEndian: bytes.bytes.unsafeLoadUnaligned(fromByteOffset: position, as: Number.self))
  }
}
