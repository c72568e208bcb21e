/// `stsz` and `stz2` (ISO/IEC 14496-12 §8.7.3): how many samples there are, and their sizes.
struct SampleSizeBox: ~Escapable {
  /// Size of all samples, or 0 where a table gives them one by one.
  let constantBytes: UInt32
  let count: UInt32
  /// Bits per table entry: 4, 8, 16 or 32.
  private let fieldBits: Int
  private let table: BoxTable

  /// `stsz`.
  @_lifetime(copy box)
  init?(_ box: borrowing FullBox) {
    var reader = BoxReader(box.body)
    guard let constant = reader.u32(), let count = reader.u32(),
      let table = BoxTable(reader.rest(), count: constant == 0 ? count : 0, entryBytes: 4)
    else { return nil }
    constantBytes = constant
    self.count = count
    fieldBits = 32
    self.table = table
  }

  /// `stz2`.
  @_lifetime(copy box)
  init?(compact box: borrowing FullBox) {
    var reader = BoxReader(box.body)
    guard let word = reader.u32(), let count = reader.u32() else { return nil }
    let bits = Int(word & 0xFF)
    let entries = bits == 4 ? count / 2 + count % 2 : count
    guard bits == 4 || bits == 8 || bits == 16,
      let table = BoxTable(reader.rest(), count: entries, entryBytes: bits == 16 ? 2 : 1)
    else { return nil }
    constantBytes = 0
    self.count = count
    fieldBits = bits
    self.table = table
  }

  /// Size of sample `index` (from 0) in bytes. The sample must exist.
  @inline(__always)
  func size(_ index: Int) -> UInt32 {
    if constantBytes != 0 { return constantBytes }
    switch fieldBits {
    case 32: return table.u32(index)
    case 16: return UInt32(table.u16(index))
    case 8: return UInt32(table.u8(index))
    default:
      let pair = UInt32(table.u8(index / 2))
      return index % 2 == 0 ? pair >> 4 : pair & 15
    }
  }
}
