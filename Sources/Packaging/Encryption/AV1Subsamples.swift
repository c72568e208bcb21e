// Which bytes of an AV1 picture are protected (AV1 Codec ISO Media File Format Binding §5).
//
// A sample is a run of OBUs. All of their headers, sequence and frame headers, metadata and whatever else is no tile stay clear;
// of each tile is protected
//
//     cbcs    all of it, also where it is shorter than a block, which then stays as it is
//     cenc    its last bytes, as many whole blocks as there are; the rest is added to the clear part
//
// Tiles are in tile group OBUs, and behind the frame header in frame OBUs. Each but the last of an OBU has its size in front. Where
// an OBU cannot be taken apart exactly it stays clear, and so do the pictures after it whose headers hang on it, up to the next key
// frame (`AV1FrameHeaders`).

/// Finds the subsamples of the samples of a segment, in decode order.
struct AV1Subsamples {
  private let scheme: ProtectionScheme
  private var headers: AV1FrameHeaders
  private(set) var runs = SubsampleRuns()

  /// What holds any sequence header, frame header and tile group header.
  private static let longestHeaderBytes = 2048

  /// Types of OBUs (AV1 specification §6.2.2).
  private enum Unit {
    static let sequenceHeader: UInt8 = 1
    static let frameHeader: UInt8 = 3
    static let tileGroup: UInt8 = 4
    static let frame: UInt8 = 6
  }

  /// - Parameter sequence: of the sample entry, for samples that bring none.
  init(sequence: AV1SequenceHeader?, scheme: ProtectionScheme) {
    self.scheme = scheme
    headers = AV1FrameHeaders(sequence: sequence)
  }

  /// Fills `runs`. False where it cannot be told in `entryLimit` pairs.
  mutating func find(in sample: UnsafeRawBufferPointer, entryLimit: Int) -> Bool {
    runs.removeAll()
    headers.beginSample()
    var position = 0
    while let unit = Self.unit(in: sample, at: position) {
      switch unit.type {
      case Unit.sequenceHeader:
        headers.sequence = AV1SequenceHeader(Self.front(sample, unit.payload).span)
      case Unit.frameHeader where headers.tiles == nil:
        _ = readHeader(sample, unit)
      case Unit.frame:
        if let bytes = readHeader(sample, unit) {
          protectTiles(sample, unit.payload.lowerBound + bytes..<unit.payload.upperBound)
        }
      case Unit.tileGroup: protectTiles(sample, unit.payload)
      default: break
      }
      position = unit.payload.upperBound
    }
    runs.finish(sampleBytes: sample.count)
    return runs.reduce(toEntries: entryLimit)
  }

  /// The front of an OBU.
  private static func front(_ sample: UnsafeRawBufferPointer, _ range: Range<Int>) -> [UInt8] {
    Array(sample[range].prefix(longestHeaderBytes))
  }

  /// Bytes of the frame header that the OBU begins with.
  private mutating func readHeader(_ sample: UnsafeRawBufferPointer, _ unit: OpenUnit) -> Int? {
    let front = Self.front(sample, unit.payload)
    var reader = BitReader(front.span)
    guard headers.read(&reader, layers: unit.layers) else { return nil }
    return (reader.bitPosition + 7) / 8
  }

  /// `tile_group_obu` in a range of the sample.
  private mutating func protectTiles(_ sample: UnsafeRawBufferPointer, _ group: Range<Int>) {
    guard let tiles = headers.tiles else { return }
    let front = Self.front(sample, group)
    var reader = BitReader(front.span)
    var numbers = 0..<tiles.count
    if tiles.count > 1, reader.flag() {
      let (first, last) = (Int(reader.bits(tiles.numberBits)), Int(reader.bits(tiles.numberBits)))
      guard first <= last, last < tiles.count else { return headers.fail() }
      numbers = first..<last + 1
    }
    var position = group.lowerBound + (reader.bitPosition + 7) / 8
    guard !reader.isExhausted, position <= group.upperBound else { return headers.fail() }
    var found: [Range<Int>] = []
    for number in numbers {
      var end = group.upperBound
      if number != numbers.upperBound - 1 {
        guard group.upperBound - position >= tiles.sizeBytes else { return headers.fail() }
        let size = (0..<tiles.sizeBytes).reduce(1) { $0 + Int(sample[position + $1]) << (8 * $1) }
        position += tiles.sizeBytes
        guard size <= group.upperBound - position else { return headers.fail() }
        end = position + size
      }
      found.append(position..<end)
      position = end
    }
    for tile in found { protect(tile) }
    if numbers.upperBound == tiles.count { headers.finishPicture() }
  }

  private mutating func protect(_ tile: Range<Int>) {
    switch scheme {
    case .cbcs: runs.append(protected: tile)
    case .cenc:
      let bytes = tile.count & ~15
      if bytes > 0 { runs.append(protected: tile.upperBound - bytes..<tile.upperBound) }
    }
  }

  private struct OpenUnit {
    var type: UInt8
    var layers: (temporal: UInt32, spatial: UInt32)
    var payload: Range<Int>
  }

  /// The OBU at a place of the sample; nil at its end, and where what is there is none.
  private static func unit(in sample: UnsafeRawBufferPointer, at start: Int) -> OpenUnit? {
    guard start < sample.count, sample[start] & 0x80 == 0 else { return nil }
    let header = sample[start]
    var position = start + 1
    var layers: (temporal: UInt32, spatial: UInt32) = (0, 0)
    if header & 4 != 0 {
      guard position < sample.count else { return nil }
      layers = (UInt32(sample[position] >> 5), UInt32(sample[position] >> 3 & 3))
      position += 1
    }
    var size = sample.count - position
    if header & 2 != 0 {
      var value: UInt64 = 0
      var group = 0
      while true {
        guard group < 8, position < sample.count else { return nil }
        let byte = sample[position]
        value |= UInt64(byte & 0x7F) << UInt64(7 * group)
        position += 1
        group += 1
        if byte & 0x80 == 0 { break }
      }
      guard value <= UInt64(sample.count - position) else { return nil }
      size = Int(value)
    }
    return OpenUnit(type: header >> 3 & 15, layers: layers, payload: position..<position + size)
  }
}
