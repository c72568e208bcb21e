/// Reads back what `RecordWriter` wrote; anything else throws `.damaged` and never traps.
///
/// Holds a pointer into the index: use it only while the transaction that gave the bytes is open.
struct RecordReader {
  private let bytes: UnsafeRawBufferPointer
  private var position = 0
  private let what: String
  /// The version that the record was written with.
  let version: UInt8

  /// Checks the version byte, which must lie in 1...`newest`.
  init(_ bytes: UnsafeRawBufferPointer, _ what: StaticString, newest: UInt8) throws(StoreError) {
    self.bytes = bytes
    self.what = what.description
    guard let version = bytes.first, version >= 1, version <= newest else {
      throw .damagedRecord(what.description)
    }
    self.version = version
    position = 1
  }

  private var damaged: StoreError { .damagedRecord(what) }

  mutating func byte() throws(StoreError) -> UInt8 {
    guard position < bytes.count else { throw damaged }
    defer { position += 1 }
    return bytes[position]
  }

  mutating func number() throws(StoreError) -> UInt64 {
    var value: UInt64 = 0
    var shift: UInt64 = 0
    while true {
      let next = try byte()
      // The tenth byte has room for one bit.
      if shift == 63 && next > 1 { throw damaged }
      value |= UInt64(next & 0x7f) << shift
      if next < 0x80 { return value }
      shift += 7
    }
  }

  mutating func signed() throws(StoreError) -> Int64 {
    let raw = try number()
    return Int64(bitPattern: raw >> 1) ^ -Int64(bitPattern: raw & 1)
  }

  mutating func number<Value: FixedWidthInteger>(as type: Value.Type) throws(StoreError) -> Value {
    guard let value = Value(exactly: try number()) else { throw damaged }
    return value
  }

  mutating func take(_ count: Int) throws(StoreError) -> UnsafeRawBufferPointer {
    guard count >= 0, count <= bytes.count - position else { throw damaged }
    defer { position += count }
    return UnsafeRawBufferPointer(rebasing: bytes[position..<position + count])
  }

  mutating func text() throws(StoreError) -> String {
    let raw = try take(try number(as: Int.self))
    guard let text = String(validating: raw, as: UTF8.self) else { throw damaged }
    return text
  }

  mutating func blob() throws(StoreError) -> BlobID {
    guard let id = BlobID(bytes: try take(BlobID.sizeBytes)) else { throw damaged }
    return id
  }

  mutating func generation() throws(StoreError) -> Generation {
    guard let generation = Generation(bytes: try take(Generation.sizeBytes)) else { throw damaged }
    return generation
  }

  /// A one-byte case of an enumeration.
  mutating func value<Value: RawRepresentable<UInt8>>(of type: Value.Type) throws(StoreError) -> Value {
    guard let value = Value(rawValue: try byte()) else { throw damaged }
    return value
  }

  /// A byte 0 or 1.
  mutating func flag() throws(StoreError) -> Bool {
    switch try byte() {
    case 0: return false
    case 1: return true
    default: throw damaged
    }
  }

  mutating func optional<Value>(
    _ body: (inout RecordReader) throws(StoreError) -> Value
  ) throws(StoreError) -> Value? {
    try flag() ? try body(&self) : nil
  }

  mutating func list<Element>(
    _ body: (inout RecordReader) throws(StoreError) -> Element
  ) throws(StoreError) -> [Element] {
    let count = try number(as: Int.self)
    // Every element takes a byte at least, so a count beyond the rest is a lie; reserve nothing for it.
    guard count <= bytes.count - position else { throw damaged }
    var elements: [Element] = []
    elements.reserveCapacity(count)
    for _ in 0..<count { elements.append(try body(&self)) }
    return elements
  }

  /// Checks that nothing is left.
  func end() throws(StoreError) {
    guard position == bytes.count else { throw damaged }
  }
}
