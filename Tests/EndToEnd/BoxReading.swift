import Support

/// As much of ISO/IEC 14496-12 as it takes to read composition offsets.
enum Box {
  /// The payloads of the boxes at `path`, outermost first.
  static func find(_ path: [String], in data: ArraySlice<UInt8>) -> [ArraySlice<UInt8>] {
    guard let kind = path.first else { return [data] }
    var found: [ArraySlice<UInt8>] = []
    var rest = data
    while rest.count >= 8 {
      let size = number(rest, 0)
      guard size >= 8, size <= rest.count else { break }
      if rest.dropFirst(4).prefix(4).elementsEqual(kind.utf8) {
        found += find(Array(path.dropFirst()), in: rest.prefix(size).dropFirst(8))
      }
      rest = rest.dropFirst(size)
    }
    return found
  }

  static func number(_ data: ArraySlice<UInt8>, _ offset: Int) -> Int {
    data.dropFirst(offset).prefix(4).reduce(0) { $0 << 8 | Int($1) }
  }

  static func timescale(ofInitSegment bytes: [UInt8]) throws -> Int {
    guard let header = find(["moov", "trak", "mdia", "mdhd"], in: bytes[...]).first else {
      throw SupportError("an init segment without mdhd")
    }
    return number(header, header.first == 1 ? 20 : 12)
  }

  /// One for each sample, in ticks.
  static func compositionOffsets(ofSegment bytes: [UInt8]) -> [Int] {
    find(["moof", "traf", "trun"], in: bytes[...]).flatMap { run in
      let flags = number(run, 0) & 0xff_ffff
      guard flags & 0x800 != 0 else { return [Int](repeating: 0, count: number(run, 4)) }
      let columns = [0x100, 0x200, 0x400, 0x800].filter { flags & $0 != 0 }.count
      let table = 8 + (flags & 0x1 != 0 ? 4 : 0) + (flags & 0x4 != 0 ? 4 : 0)
      return (0..<number(run, 4)).map { sample in
        let offset = number(run, table + (sample + 1) * columns * 4 - 4)
        return run.first == 0 ? offset : Int(Int32(truncatingIfNeeded: offset))
      }
    }
  }
}
