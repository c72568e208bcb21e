// The encoding of every record
// ----------------------------
// One version byte, then fields in a fixed order without tags:
//   number    LEB128, 7 bits a byte, least significant first, at most 10 bytes
//   signed    zigzag, then as a number
//   text      number of UTF-8 bytes, then those bytes; bytes the same
//   optional  a byte 0, or a byte 1 and the value
//   list      number of elements, then the elements
//   blob      32 digest bytes; job 16; generation 6 bytes, big-endian
// Nothing follows the last field. A field that is added raises the version; a reader knows all versions up to its
// own and calls a higher one damaged, as it does a value that ends early, runs long, is no UTF-8 or names an
// unknown case. Small on purpose: LMDB spends a whole page chain on a value over 2 KB.

/// Appends fields of a record.
struct RecordWriter {
  private(set) var bytes: [UInt8] = []

  init(version: UInt8) {
    bytes.reserveCapacity(256)
    bytes.append(version)
  }

  mutating func put(byte: UInt8) { bytes.append(byte) }

  mutating func put(_ number: UInt64) {
    var rest = number
    while rest >= 0x80 {
      bytes.append(UInt8(truncatingIfNeeded: rest) | 0x80)
      rest >>= 7
    }
    bytes.append(UInt8(rest))
  }

  mutating func put(signed number: Int64) {
    put(UInt64(bitPattern: (number << 1) ^ (number >> 63)))
  }

  mutating func put(_ text: String) {
    put(UInt64(text.utf8.count))
    bytes.append(contentsOf: text.utf8)
  }

  mutating func put(bytes raw: [UInt8]) {
    put(UInt64(raw.count))
    bytes.append(contentsOf: raw)
  }

  mutating func put(_ id: BlobID) {
    id.withUnsafeBytes { bytes.append(contentsOf: $0) }
  }

  mutating func put(_ generation: Generation) {
    generation.withUnsafeBytes { bytes.append(contentsOf: $0) }
  }

  mutating func put<Value>(optional value: Value?, _ body: (inout RecordWriter, Value) -> Void) {
    guard let value else { return put(byte: 0) }
    put(byte: 1)
    body(&self, value)
  }

  mutating func put<Element>(list: [Element], _ body: (inout RecordWriter, Element) -> Void) {
    put(UInt64(list.count))
    for element in list { body(&self, element) }
  }
}
