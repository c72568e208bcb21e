// Which bytes of a VP9 picture are protected under `cenc` (VP Codec ISO Media File Format Binding, "Common Encryption").
//
//     superframe   frame | frame | …          index: marker, the size of each frame, marker again
//     frame        uncompressed header | compressed header, tiles
//
// Uncompressed headers and the index stay clear; each frame is a subsample whose protected bytes are as many whole blocks as
// there are at its end. The binding knows no `cbcs`.
//
// The end of an uncompressed header (VP9 bitstream specification §6.2) is found by reading its fields. Some hang on the sizes of
// pictures before: those of the eight places are remembered. A key frame, with which a segment begins, fills all of them. A header
// that cannot be read leaves its frame clear and the places unknown.

/// Finds the subsamples of the samples of a segment, in decode order.
struct VP9Subsamples {
  private(set) var runs = SubsampleRuns()
  private var headers = VP9FrameHeaders()

  private static let longestHeaderBytes = 256

  /// Fills `runs`. False where it cannot be told in `entryLimit` pairs.
  mutating func find(in sample: UnsafeRawBufferPointer, entryLimit: Int) -> Bool {
    runs.removeAll()
    var start = 0
    for size in Self.frameSizes(sample) {
      let end = start + size
      let front = Array(sample[start..<end].prefix(Self.longestHeaderBytes))
      var reader = BitReader(front.span)
      if let headerBytes = headers.read(&reader) {
        let bytes = max(0, size - headerBytes) & ~15
        if bytes > 0 { runs.append(protected: end - bytes..<end) }
      }
      start = end
    }
    runs.finish(sampleBytes: sample.count)
    return runs.reduce(toEntries: entryLimit)
  }

  /// The sizes of the frames of a superframe, or of the one frame that the sample is.
  static func frameSizes(_ sample: UnsafeRawBufferPointer) -> [Int] {
    guard let marker = sample.last, marker & 0xE0 == 0xC0 else { return [sample.count] }
    let count = Int(marker & 7) + 1
    let width = Int(marker >> 3 & 3) + 1
    let indexBytes = 2 + count * width
    guard sample.count >= indexBytes, sample[sample.count - indexBytes] == marker else {
      return [sample.count]
    }
    var sizes: [Int] = []
    var left = sample.count - indexBytes
    for frame in 0..<count {
      let at = sample.count - indexBytes + 1 + frame * width
      let size = (0..<width).reduce(0) { $0 | Int(sample[at + $1]) << (8 * $1) }
      // Sizes that reach past the frames are damage: what comes from there on stays clear.
      guard size <= left else { break }
      sizes.append(size)
      left -= size
    }
    return sizes
  }
}

/// Reads the uncompressed headers of one track in decode order.
struct VP9FrameHeaders {
  private struct Size: Equatable {
    var width: Int
    var height: Int
  }

  private var places: [Size?] = Array(repeating: nil, count: 8)

  /// Bytes of the uncompressed header at the reader's place, of one that shows a picture again all; nil where it cannot be read.
  mutating func read(_ reader: inout BitReader) -> Int? {
    guard let refreshed = readFields(&reader), !reader.isExhausted else {
      places = Array(repeating: nil, count: 8)
      return nil
    }
    for place in places.indices where refreshed.places >> UInt32(place) & 1 == 1 {
      places[place] = refreshed.size
    }
    return (reader.bitPosition + 7) / 8
  }

  private func readFields(_ reader: inout BitReader) -> (places: UInt32, size: Size?)? {
    guard reader.bits(2) == 2 else { return nil }
    let profile = reader.bit() | reader.bit() << 1
    if profile == 3, reader.flag() { return nil }
    if reader.flag() {
      reader.skip(3)
      return (0, nil)
    }
    let isKey = !reader.flag()
    let isShown = reader.flag()
    let isErrorResilient = reader.flag()
    var refreshed: UInt32 = 0xFF
    let size: Size
    if isKey {
      guard readSyncCode(&reader), readColours(&reader, profile: profile) else { return nil }
      size = readSize(&reader)
      readRenderSize(&reader)
    } else {
      let isIntra = !isShown && reader.flag()
      if !isErrorResilient { reader.skip(2) }
      if isIntra {
        guard readSyncCode(&reader), profile == 0 || readColours(&reader, profile: profile) else {
          return nil
        }
        refreshed = reader.bits(8)
        size = readSize(&reader)
        readRenderSize(&reader)
      } else {
        refreshed = reader.bits(8)
        var references: [Int] = []
        for _ in 0..<3 {
          references.append(Int(reader.bits(3)))
          reader.skip(1)
        }
        guard let found = readSize(&reader, references) else { return nil }
        size = found
        reader.skip(1)
        if !reader.flag() { reader.skip(2) }  // interpolation filter
      }
    }
    if !isErrorResilient { reader.skip(2) }
    reader.skip(2)
    skipLoopFilter(&reader)
    reader.skip(8)
    for _ in 0..<3 where reader.flag() { reader.skip(5) }
    skipSegmentation(&reader)
    skipTiles(&reader, width: size.width)
    // The size of the compressed header, which no frame is without.
    guard reader.bits(16) > 0 else { return nil }
    return (refreshed, size)
  }

  private func readSyncCode(_ reader: inout BitReader) -> Bool { reader.bits(24) == 0x49_8342 }

  private func readColours(_ reader: inout BitReader, profile: UInt32) -> Bool {
    if profile >= 2 { reader.skip(1) }
    let isRGB = reader.bits(3) == 7
    if !isRGB { reader.skip(1) }
    guard profile & 1 == 1 else { return !isRGB }
    if !isRGB { reader.skip(2) }
    return !reader.flag()
  }

  private func readSize(_ reader: inout BitReader) -> Size {
    let width = Int(reader.bits(16)) + 1
    return Size(width: width, height: Int(reader.bits(16)) + 1)
  }

  private func readRenderSize(_ reader: inout BitReader) {
    if reader.flag() { reader.skip(32) }
  }

  private func readSize(_ reader: inout BitReader, _ references: [Int]) -> Size? {
    for place in references where reader.flag() {
      guard let size = places[place] else { return nil }
      readRenderSize(&reader)
      return size
    }
    let size = readSize(&reader)
    readRenderSize(&reader)
    return size
  }

  private func skipLoopFilter(_ reader: inout BitReader) {
    reader.skip(9)
    guard reader.flag(), reader.flag() else { return }
    for _ in 0..<6 where reader.flag() { reader.skip(7) }
  }

  private func skipSegmentation(_ reader: inout BitReader) {
    guard reader.flag() else { return }
    if reader.flag() {
      for _ in 0..<7 where reader.flag() { reader.skip(8) }
      if reader.flag() { for _ in 0..<3 where reader.flag() { reader.skip(8) } }
    }
    guard reader.flag() else { return }
    reader.skip(1)
    for _ in 0..<8 {
      // Values of 8 and 6 bits with a sign, of 2 bits without, and of none.
      for bits in [9, 7, 2, 0] where reader.flag() { reader.skip(bits) }
    }
  }

  private func skipTiles(_ reader: inout BitReader, width: Int) {
    let columns = ((width + 7) >> 3 + 7) >> 3
    var (least, most) = (0, 1)
    while 64 << least < columns { least += 1 }
    while columns >> most >= 4 { most += 1 }
    most -= 1
    while least < most, reader.flag() { least += 1 }
    if reader.flag() { reader.skip(1) }
  }
}
