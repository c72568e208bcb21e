/// Writes ISO base media boxes into one growing array.
///
/// Integers are big-endian. A box is opened with `begin`, filled, and closed with `end`, which patches
/// the size that could not be known before; boxes nest by calling `begin` again. Only 32-bit sizes are
/// written this way: the one box that may outgrow them, `mdat`, is written by `MediaSegment` itself.
struct BoxWriter {
  private(set) var bytes: [UInt8]

  init(capacityBytes: Int) {
    bytes = []
    bytes.reserveCapacity(capacityBytes)
  }

  mutating func u8(_ value: UInt8) {
    bytes.append(value)
  }

  mutating func u16(_ value: UInt16) {
    withUnsafeBytes(of: value.bigEndian) { bytes.append(contentsOf: $0) }
  }

  mutating func u32(_ value: UInt32) {
    withUnsafeBytes(of: value.bigEndian) { bytes.append(contentsOf: $0) }
  }

  mutating func u64(_ value: UInt64) {
    withUnsafeBytes(of: value.bigEndian) { bytes.append(contentsOf: $0) }
  }

  /// A four-character code, spelled as it is written.
  mutating func fourCC(_ code: StaticString) {
    code.withUTF8Buffer { bytes.append(contentsOf: $0) }
  }

  mutating func zeros(_ count: Int) {
    bytes.append(contentsOf: repeatElement(0, count: count))
  }

  mutating func raw(_ source: [UInt8]) {
    bytes.append(contentsOf: source)
  }

  /// The UTF-8 of `text` and the NUL that ends it. Only for text without a NUL of its own.
  mutating func terminated(_ text: StaticString) {
    text.withUTF8Buffer { bytes.append(contentsOf: $0) }
    u8(0)
  }

  /// Opens a box; hand the result to `end`.
  mutating func begin(_ type: StaticString) -> Int {
    let start = bytes.count
    u32(0)
    fourCC(type)
    return start
  }

  /// Opens a full box, that is one that starts with a version and 24 flag bits.
  mutating func begin(_ type: StaticString, version: UInt8, flags: UInt32) -> Int {
    let start = begin(type)
    u32(UInt32(version) << 24 | flags & 0xFF_FFFF)
    return start
  }

  mutating func end(_ start: Int) {
    let sizeBytes = UInt32(truncatingIfNeeded: bytes.count - start)
    var span = bytes.mutableSpan
    var raw = span.mutableBytes
    raw.storeBytes(of: sizeBytes.bigEndian, toByteOffset: start, as: UInt32.self)
  }

  /// Appends `count` rows of `rowBytes` zero bytes each and lets `fill` write them in place: it gets all
  /// bytes and the offset of the first row. This is how a sample table is written, with one growth of the
  /// array instead of one for each field.
  mutating func rows(count: Int, rowBytes: Int, fill: (inout MutableRawSpan, Int) -> Void) {
    let start = bytes.count
    zeros(count * rowBytes)
    var span = bytes.mutableSpan
    var raw = span.mutableBytes
    fill(&raw, start)
  }
}
