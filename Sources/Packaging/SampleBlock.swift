// One block of the sample columns: up to 64 samples of one track, readable by itself.
//
//   checksum u32 of everything after it, block length u16 (checksum included), sample count u8, flags u8,
//   widths u8 × 4 (bytes per entry of sizes, durations, composition offsets, gaps: 0 to 8),
//   first offset u64, first decode ticks u64,
//   smallest size u32, smallest duration u32, smallest composition offset i32, smallest gap i64,
//   [sync bitmap u64, flag 1]  [gap bitmap u64, flag 2],
//   sizes, durations, composition offsets: one entry a sample, above the smallest; gaps: one a set bit of the bitmap
//
// A column that holds one value has width 0 and takes no space. A sample starts where the one before ended, plus
// the gap if its bit is set. Without flag 1 the samples are all sync, or none with flag 4.

enum SampleBlock {
  static let samples = 64
  static let headBytes = 48
  /// Longest block: all columns at full width.
  static let maximumBytes = headBytes + 16 + samples * (4 + 4 + 4 + 8)

  private static let hasSyncBitmap: UInt8 = 1
  private static let hasGaps: UInt8 = 2
  private static let hasNoSync: UInt8 = 4

  /// Appends all blocks of a track and returns where each starts, with the total length as last element.
  static func encode(_ columns: SampleColumns, into output: inout ByteOutput) -> [UInt32] {
    let regionStart = output.count
    var starts: [UInt32] = []
    starts.reserveCapacity(columns.count / samples + 2)
    var decode = columns.firstDecodeTicks
    var first = 0
    while first < columns.count {
      starts.append(UInt32(output.count - regionStart))
      let end = min(first + samples, columns.count)
      encodeBlock(columns, first..<end, decode: &decode, into: &output)
      first = end
    }
    starts.append(UInt32(output.count - regionStart))
    return starts
  }

  private static func encodeBlock(
    _ columns: SampleColumns, _ range: Range<Int>, decode: inout UInt64, into output: inout ByteOutput
  ) {
    let blockStart = output.count
    var sizes = Extent<UInt32>()
    var durations = Extent<UInt32>()
    var compositions = Extent<Int32>()
    var gaps = Extent<Int64>()
    var syncBits: UInt64 = 0
    var gapBits: UInt64 = 0
    var expected = columns.offsets[range.lowerBound]
    let firstDecode = decode
    for index in range {
      let bit = UInt64(1) << UInt64(index - range.lowerBound)
      sizes.include(columns.sizesBytes[index])
      durations.include(columns.durationsTicks[index])
      compositions.include(Int32(truncatingIfNeeded: columns.compositionOffset(index)))
      if columns.isSync(index) { syncBits |= bit }
      let gap = Int64(bitPattern: columns.offsets[index] &- expected)
      if gap != 0 {
        gaps.include(gap)
        gapBits |= bit
      }
      expected = columns.offsets[index] &+ UInt64(columns.sizesBytes[index])
      decode &+= UInt64(columns.durationsTicks[index])
    }
    let all = ~UInt64(0) >> UInt64(64 - range.count)
    var flags: UInt8 = 0
    if syncBits == 0 { flags |= hasNoSync } else if syncBits != all { flags |= hasSyncBitmap }
    if gapBits != 0 { flags |= hasGaps }

    output.append(UInt32(0))
    output.append(UInt16(0))
    output.append(UInt8(range.count))
    output.append(flags)
    output.append(sizes.width)
    output.append(durations.width)
    output.append(compositions.width)
    output.append(gaps.width)
    output.append(columns.offsets[range.lowerBound])
    output.append(firstDecode)
    output.append(sizes.smallest)
    output.append(durations.smallest)
    output.append(UInt32(bitPattern: compositions.smallest))
    output.append(UInt64(bitPattern: gaps.smallest))
    if flags & hasSyncBitmap != 0 { output.append(syncBits) }
    if flags & hasGaps != 0 { output.append(gapBits) }
    if sizes.width > 0 {
      for index in range {
        output.append(UInt64(columns.sizesBytes[index] &- sizes.smallest), width: sizes.width)
      }
    }
    if durations.width > 0 {
      for index in range {
        output.append(UInt64(columns.durationsTicks[index] &- durations.smallest), width: durations.width)
      }
    }
    if compositions.width > 0 {
      for index in range {
        let offset = columns.compositionOffset(index) - Int64(compositions.smallest)
        output.append(UInt64(bitPattern: offset), width: compositions.width)
      }
    }
    if gaps.width > 0 {
      for index in range where gapBits & (UInt64(1) << UInt64(index - range.lowerBound)) != 0 {
        let end =
          index == range.lowerBound ? 0 : columns.offsets[index - 1] &+ UInt64(columns.sizesBytes[index - 1])
        let gap = Int64(bitPattern: columns.offsets[index] &- end)
        output.append(UInt64(bitPattern: gap &- gaps.smallest), width: gaps.width)
      }
    }
    output.store(UInt16(output.count - blockStart), at: blockStart + 4)
    output.store(
      UInt32(truncatingIfNeeded: output.checksum(blockStart + 4..<output.count)), at: blockStart)
  }

  /// Decodes `take` samples of the block at `position`, or as many as it has, after skipping `skip`.
  ///
  /// - Returns: the length of the block in bytes.
  /// - Throws: `IndexError.corrupt` also when the block has no sample left after `skip`.
  static func decode(
    _ bytes: Span<UInt8>, at position: Int, skip: Int, take: Int, into result: inout [Sample]
  ) throws(IndexError) -> Int {
    let block = try BlockHead(bytes, at: position)
    guard skip < block.count else { throw .corrupt("block ends early") }
    let end = min(block.count, skip + take)
    // Put together here, a column at a time, and appended in one piece.
    withUnsafeTemporaryAllocation(of: Sample.self, capacity: samples) { memory in
      let decoded = UnsafeMutableBufferPointer(rebasing: memory[..<end])
      decoded.initialize(
        repeating: Sample(
          offset: 0, sizeBytes: block.smallestSize, durationTicks: block.smallestDuration, decodeTicks: 0,
          compositionOffsetTicks: block.smallestComposition, isSync: true))
      block.forEach(in: block.sizes, end, bytes) { index, value in
        decoded[index].sizeBytes &+= UInt32(truncatingIfNeeded: value)
      }
      block.forEach(in: block.durations, end, bytes) { index, value in
        decoded[index].durationTicks &+= UInt32(truncatingIfNeeded: value)
      }
      block.forEach(in: block.compositions, end, bytes) { index, value in
        decoded[index].compositionOffsetTicks &+= Int32(truncatingIfNeeded: value)
      }
      if block.syncBits != ~0 {
        for index in 0..<end { decoded[index].isSync = block.syncBits &>> UInt64(index) & 1 != 0 }
      }
      var offset = block.firstOffset
      var decode = block.firstDecodeTicks
      var gapNumber = 0
      for index in 0..<end {
        if block.gapBits &>> UInt64(index) & 1 != 0 {
          offset &+= UInt64(bitPattern: block.smallestGap) &+ block.entry(block.gaps, gapNumber, bytes)
          gapNumber &+= 1
        }
        decoded[index].offset = offset
        decoded[index].decodeTicks = decode
        offset &+= UInt64(decoded[index].sizeBytes)
        decode &+= UInt64(decoded[index].durationTicks)
      }
      result.append(contentsOf: UnsafeBufferPointer(rebasing: decoded[skip...]))
    }
    return block.byteCount
  }

  /// Decodes the whole region of a track into columns, with the start of each block as `encode` gives it.
  static func decodeAll(
    _ bytes: Span<UInt8>, count: Int, blobBytes: UInt64
  ) throws(IndexError) -> (SampleColumns, [UInt32]) {
    // A block takes at least its head, so a count that the bytes cannot hold is known before anything is allocated.
    guard count <= (bytes.count / headBytes) * samples else { throw .corrupt("columns cut short") }
    var columns = SampleColumns()
    var starts: [UInt32] = []
    var block: [Sample] = []
    columns.offsets.reserveCapacity(count)
    columns.sizesBytes.reserveCapacity(count)
    columns.durationsTicks.reserveCapacity(count)
    columns.compositionOffsetsTicks.reserveCapacity(count)
    columns.syncFlags.reserveCapacity(count)
    block.reserveCapacity(samples)
    var position = 0
    while columns.count < count {
      starts.append(UInt32(position))
      block.removeAll(keepingCapacity: true)
      position += try decode(bytes, at: position, skip: 0, take: samples, into: &block)
      if columns.count == 0 { columns.firstDecodeTicks = block[0].decodeTicks }
      guard block.count == min(samples, count - columns.count) else {
        throw .corrupt("block of wrong length")
      }
      for sample in block {
        let end = sample.offset.addingReportingOverflow(UInt64(sample.sizeBytes))
        guard !end.overflow, end.partialValue <= blobBytes else { throw .corrupt("sample outside the blob") }
        columns.offsets.append(sample.offset)
        columns.sizesBytes.append(sample.sizeBytes)
        columns.durationsTicks.append(sample.durationTicks)
        columns.compositionOffsetsTicks.append(sample.compositionOffsetTicks)
        columns.syncFlags.append(sample.isSync)
      }
    }
    starts.append(UInt32(position))
    return (columns, starts)
  }

  /// Smallest and largest value of a column, and the bytes that an entry above the smallest needs.
  private struct Extent<Value: FixedWidthInteger> {
    private var range: (smallest: Value, largest: Value)?

    @inline(__always)
    mutating func include(_ value: Value) {
      guard let old = range else {
        range = (value, value)
        return
      }
      range = (min(old.smallest, value), max(old.largest, value))
    }

    var smallest: Value { range?.smallest ?? 0 }

    var width: UInt8 {
      guard let range else { return 0 }
      let spread = UInt64(truncatingIfNeeded: range.largest) &- UInt64(truncatingIfNeeded: range.smallest)
      return UInt8((64 - spread.leadingZeroBitCount + 7) / 8)
    }
  }

  /// The head of a block, checked: all columns lie inside it.
  private struct BlockHead {
    struct Column {
      let start: Int
      let width: Int
      let mask: UInt64
    }
    let byteCount: Int
    let count: Int
    let firstOffset: UInt64
    let firstDecodeTicks: UInt64
    let smallestSize: UInt32
    let smallestDuration: UInt32
    let smallestComposition: Int32
    let smallestGap: Int64
    let syncBits: UInt64
    let gapBits: UInt64
    let sizes: Column
    let durations: Column
    let compositions: Column
    let gaps: Column

    init(_ bytes: Span<UInt8>, at position: Int) throws(IndexError) {
      guard position >= 0, position <= bytes.count - headBytes else { throw .corrupt("block cut short") }
      var input = ByteInput(bytes.extracting(position..<bytes.count))
      let checksum = try input.u32()
      byteCount = Int(try input.u16())
      guard byteCount >= headBytes, byteCount <= bytes.count - position else {
        throw .corrupt("block cut short")
      }
      let sum = Checksum.of(bytes, position + 4..<position + byteCount)
      guard UInt32(truncatingIfNeeded: sum) == checksum else { throw .corrupt("block checksum") }
      count = Int(try input.u8())
      let flags = try input.u8()
      let widths = (Int(try input.u8()), Int(try input.u8()), Int(try input.u8()), Int(try input.u8()))
      guard count >= 1, count <= samples, flags <= 7, widths.0 <= 4, widths.1 <= 4, widths.2 <= 4,
        widths.3 <= 8
      else { throw .corrupt("block head") }
      firstOffset = try input.u64()
      firstDecodeTicks = try input.u64()
      smallestSize = try input.u32()
      smallestDuration = try input.u32()
      smallestComposition = Int32(bitPattern: try input.u32())
      smallestGap = Int64(bitPattern: try input.u64())
      if flags & hasSyncBitmap != 0 {
        syncBits = try input.u64()
      } else {
        syncBits = flags & hasNoSync != 0 ? 0 : ~0
      }
      gapBits = flags & hasGaps != 0 ? try input.u64() : 0
      var start = position + input.position
      func column(_ width: Int, _ entries: Int) -> Column {
        defer { start += width * entries }
        return Column(start: start, width: width, mask: width == 0 ? 0 : ~0 >> UInt64(64 - 8 * width))
      }
      sizes = column(widths.0, count)
      durations = column(widths.1, count)
      compositions = column(widths.2, count)
      gaps = column(widths.3, gapBits.nonzeroBitCount)
      guard start == position + byteCount else { throw .corrupt("block columns") }
    }

    /// The first `entries` of a column that is stored, as they are: without the smallest value. Nothing for a column of one value.
    @inline(__always)
    func forEach(
      in column: Column, _ entries: Int, _ bytes: Span<UInt8>,
      _ body: (_ number: Int, _ value: UInt64) -> Void
    ) {
      guard column.width > 0, entries > 0 else { return }
      guard column.start &+ column.width &* (entries &- 1) &+ 8 <= bytes.count else {
        for number in 0..<entries { body(number, entry(column, number, bytes)) }
        return
      }
      // All loads of eight bytes lie in the span: looked at once, and not for each.
      bytes.withUnsafeBytes { bytes in
        var at = column.start
        for number in 0..<entries {
          body(number, bytes.loadUnaligned(fromByteOffset: at, as: UInt64.self).littleEndian & column.mask)
          at &+= column.width
        }
      }
    }

    /// Entry `number` of a column, as it is stored: without the smallest value.
    ///
    /// Eight bytes are loaded and masked wherever the span has so many; near its end the entry is read byte by byte.
    @inline(__always)
    func entry(_ column: Column, _ number: Int, _ bytes: Span<UInt8>) -> UInt64 {
      let at = column.start &+ column.width &* number
      if at &+ 8 <= bytes.count {
        return bytes.bytes.unsafeLoadUnaligned(fromByteOffset: at, as: UInt64.self).littleEndian & column.mask
      }
      var value: UInt64 = 0
      for index in 0..<column.width { value |= UInt64(bytes[at + index]) << UInt64(8 * index) }
      return value
    }
  }
}
