// Frame headers of AV1 (AV1 specification §5.9), read to their ends.
//
// Only the tiles of a picture are encrypted, and where they begin is told by nothing but the header in front of them: a run of
// conditional fields whose presence and width hang on the sequence header and on pictures that came before. What is kept of those
// is what decides on fields: sizes, order hints, types, and the quantizer steps of segments. Values that decide on nothing are
// skipped. Names are those of the specification in camel case.
//
// A key frame that is shown fills all eight places for reference pictures, so a segment, which begins with one, is read from its
// own bytes. A header that cannot be read exactly leaves the places unknown until the next such frame, since what it would have
// put into them is unknown. Reads past the end give 0 and are found out at the end; only what bounds a loop or a width, and what
// chooses a place, is checked on the way.

/// How a picture is divided, and how its tiles are written.
struct AV1TileLayout: Equatable {
  var columns = 1
  var rows = 1
  /// Bits of the number of a tile.
  var numberBits = 0
  /// Bytes of the size in front of each tile but the last.
  var sizeBytes = 0

  var count: Int { columns * rows }
}

/// Reads the frame headers of one track in decode order.
struct AV1FrameHeaders {
  enum FrameType: UInt32 { case key, inter, intraOnly, switching }

  /// What is remembered of a picture that others refer to.
  private struct Picture {
    var type = FrameType.key
    var upscaledWidth = 0
    var height = 0
    var orderHint: UInt32 = 0
    /// Quantizer steps of the eight segments, above those of the picture.
    var segmentSteps = SIMD8<Int32>(repeating: 0)
  }

  /// The header being read.
  private struct Header {
    var picture = Picture()
    var isShown = true
    var isShowable = false
    var isErrorResilient = true
    var allowsScreenContentTools = false
    var hasSizeOfItsOwn = false
    var refreshes: UInt32 = 0xFF
    var width = 0
    var allowsBlockCopy = false
    var allowsFineMotionVectors = false
    var references: [Int] = []
    var primaryReference: Int?
    var baseQuantizer: Int32 = 0
    var isIntra: Bool { picture.type == .key || picture.type == .intraOnly }
  }

  var sequence: AV1SequenceHeader?
  /// The tiles of the picture whose header was read last, until all of them have come.
  private(set) var tiles: AV1TileLayout?
  private var places: [Picture?] = Array(repeating: nil, count: 8)
  private var current = Header()

  init(sequence: AV1SequenceHeader?) { self.sequence = sequence }

  /// A sample begins: a picture of the one before that never got all of its tiles is given up.
  mutating func beginSample() {
    if tiles != nil { fail() }
  }

  /// The pictures that are referred to from here on are not known.
  mutating func fail() {
    tiles = nil
    places = Array(repeating: nil, count: 8)
  }

  /// All tiles of the picture have come: others may refer to it.
  mutating func finishPicture() {
    tiles = nil
    for place in places.indices where current.refreshes >> UInt32(place) & 1 == 1 {
      places[place] = current.picture
    }
  }

  /// Moves the reader to the end of `uncompressed_header`. False where it cannot be read, which is `fail()`.
  ///
  /// - Parameter layers: temporal and spatial layer of the OBU.
  mutating func read(_ reader: inout BitReader, layers: (temporal: UInt32, spatial: UInt32)) -> Bool {
    guard let sequence, sequence.isWhole, tiles == nil else {
      fail()
      return false
    }
    var header = Header()
    let isRead: Bool
    if !sequence.isReducedStill, reader.flag() {
      isRead = showExisting(&reader, sequence)
    } else {
      isRead = read(&reader, sequence, layers, into: &header)
      current = header
    }
    guard isRead, !reader.isExhausted else {
      fail()
      return false
    }
    return true
  }

  /// `show_existing_frame`: a key frame that is shown so becomes what all places hold.
  private mutating func showExisting(_ reader: inout BitReader, _ sequence: AV1SequenceHeader) -> Bool {
    let place = Int(reader.bits(3))
    reader.skip(sequence.presentationTimeBits)
    if let bits = sequence.frameNumberBits { reader.skip(bits.whole) }
    guard let shown = places[place] else { return false }
    if shown.type == .key { places = Array(repeating: shown, count: 8) }
    return true
  }

  private mutating func read(
    _ reader: inout BitReader, _ sequence: AV1SequenceHeader, _ layers: (temporal: UInt32, spatial: UInt32),
    into header: inout Header
  ) -> Bool {
    if !sequence.isReducedStill {
      header.picture.type = FrameType(rawValue: reader.bits(2)) ?? .key
      header.isShown = reader.flag()
      if header.isShown { reader.skip(sequence.presentationTimeBits) }
      header.isShowable = header.isShown ? header.picture.type != .key : reader.flag()
    }
    let fillsAllPlaces = header.picture.type == .switching || header.picture.type == .key && header.isShown
    if !sequence.isReducedStill, !fillsAllPlaces { header.isErrorResilient = reader.flag() }
    let disablesUpdate = reader.flag()
    header.allowsScreenContentTools = choice(sequence.screenContentTools, &reader)
    var hasWholeMotionVectors =
      header.allowsScreenContentTools && choice(sequence.integerMotionVectors, &reader)
    if header.isIntra { hasWholeMotionVectors = true }
    if let bits = sequence.frameNumberBits { reader.skip(bits.whole) }
    if header.picture.type == .switching {
      header.hasSizeOfItsOwn = true
    } else if !sequence.isReducedStill {
      header.hasSizeOfItsOwn = reader.flag()
    }
    header.picture.orderHint = reader.bits(sequence.orderHintBits)
    if !header.isIntra, !header.isErrorResilient {
      let place = Int(reader.bits(3))
      header.primaryReference = place == 7 ? nil : place
    }
    skipRemovalTimes(&reader, sequence, layers)
    if !fillsAllPlaces { header.refreshes = reader.bits(8) }
    if !header.isIntra || header.refreshes != 0xFF, header.isErrorResilient, sequence.orderHintBits > 0 {
      for place in places.indices {
        let hint = reader.bits(sequence.orderHintBits)
        // A picture that was lost is stood in for by one of which only the order is known.
        if places[place]?.orderHint != hint { places[place] = nil }
      }
    }
    if header.isIntra {
      readSize(&reader, sequence, &header)
      readRenderSize(&reader)
      if header.allowsScreenContentTools, header.picture.upscaledWidth == header.width {
        header.allowsBlockCopy = reader.flag()
      }
    } else {
      guard readReferences(&reader, sequence, &header) else { return false }
      header.allowsFineMotionVectors = !hasWholeMotionVectors && reader.flag()
      if !reader.flag() { reader.skip(2) }  // interpolation filter
      reader.skip(1)
      if !header.isErrorResilient, sequence.hasReferenceMotionVectors { reader.skip(1) }
    }
    if !sequence.isReducedStill, !disablesUpdate { reader.skip(1) }
    guard header.width > 0, header.picture.height > 0,
      let tiles = AV1TileLayout(
        &reader, width: header.width, height: header.picture.height,
        hasLargeSuperblocks: sequence.hasLargeSuperblocks),
      readCoding(&reader, sequence, &header)
    else { return false }
    self.tiles = tiles
    return true
  }

  private func choice(_ choice: AV1SequenceHeader.Choice, _ reader: inout BitReader) -> Bool {
    switch choice {
    case .off: false
    case .on: true
    case .byPicture: reader.flag()
    }
  }

  private func skipRemovalTimes(
    _ reader: inout BitReader, _ sequence: AV1SequenceHeader, _ layers: (temporal: UInt32, spatial: UInt32)
  ) {
    guard let bits = sequence.removalTimeBits, reader.flag() else { return }
    for point in sequence.operatingPoints where point.hasDecoderModel {
      let isIn = point.layers >> layers.temporal & 1 == 1 && point.layers >> (layers.spatial + 8) & 1 == 1
      if point.layers == 0 || isIn { reader.skip(bits) }
    }
  }

  // MARK: Sizes and references

  private func readSize(_ reader: inout BitReader, _ sequence: AV1SequenceHeader, _ header: inout Header) {
    if header.hasSizeOfItsOwn {
      header.picture.upscaledWidth = Int(reader.bits(sequence.widthBits)) + 1
      header.picture.height = Int(reader.bits(sequence.heightBits)) + 1
    } else {
      header.picture.upscaledWidth = sequence.width
      header.picture.height = sequence.height
    }
    readSuperResolution(&reader, sequence, &header)
  }

  private func readSuperResolution(
    _ reader: inout BitReader, _ sequence: AV1SequenceHeader, _ header: inout Header
  ) {
    header.width = header.picture.upscaledWidth
    guard sequence.hasSuperResolution, reader.flag() else { return }
    let denominator = Int(reader.bits(3)) + 9
    header.width = (header.picture.upscaledWidth * 8 + denominator / 2) / denominator
  }

  private func readRenderSize(_ reader: inout BitReader) {
    if reader.flag() { reader.skip(32) }
  }

  private func readReferences(
    _ reader: inout BitReader, _ sequence: AV1SequenceHeader, _ header: inout Header
  ) -> Bool {
    if sequence.orderHintBits > 0, reader.flag() {
      let (last, golden) = (Int(reader.bits(3)), Int(reader.bits(3)))
      guard
        let chosen = AV1References.choose(
          last: last, golden: golden, orderHint: header.picture.orderHint,
          orderHints: places.map { $0?.orderHint }, orderHintBits: sequence.orderHintBits)
      else { return false }
      header.references = chosen
      if let bits = sequence.frameNumberBits { reader.skip(7 * bits.difference) }
    } else {
      for _ in 0..<7 {
        header.references.append(Int(reader.bits(3)))
        if let bits = sequence.frameNumberBits { reader.skip(bits.difference) }
      }
    }
    guard header.hasSizeOfItsOwn, !header.isErrorResilient else {
      readSize(&reader, sequence, &header)
      readRenderSize(&reader)
      return true
    }
    for place in header.references where reader.flag() {
      guard let picture = places[place] else { return false }
      header.picture.upscaledWidth = picture.upscaledWidth
      header.picture.height = picture.height
      readSuperResolution(&reader, sequence, &header)
      return true
    }
    readSize(&reader, sequence, &header)
    readRenderSize(&reader)
    return true
  }

  // MARK: Quantizers, filters, motion

  private func readCoding(
    _ reader: inout BitReader, _ sequence: AV1SequenceHeader, _ header: inout Header
  ) -> Bool {
    let hasDeltas = readQuantizers(&reader, sequence, &header)
    guard readSegments(&reader, &header) else { return false }
    if header.baseQuantizer > 0, reader.flag() {
      reader.skip(2)
      if !header.allowsBlockCopy, reader.flag() { reader.skip(3) }
    }
    var isLossless = !hasDeltas
    for segment in 0..<8 {
      let step = min(255, max(0, header.baseQuantizer + header.picture.segmentSteps[segment]))
      if step != 0 { isLossless = false }
    }
    if !isLossless, !header.allowsBlockCopy {
      skipLoopFilter(&reader, planeCount: sequence.planeCount)
      if sequence.hasDirectionalEnhancement {
        reader.skip(2)
        let strengths = 1 << Int(reader.bits(2))
        reader.skip(strengths * (sequence.planeCount > 1 ? 12 : 6))
      }
    }
    let isWhollyLossless = isLossless && header.width == header.picture.upscaledWidth
    if !isWhollyLossless, !header.allowsBlockCopy, sequence.hasRestoration {
      skipRestoration(&reader, sequence)
    }
    if !isLossless { reader.skip(1) }  // tx_mode_select
    let choosesReferences = !header.isIntra && reader.flag()
    if choosesReferences, sequence.orderHintBits > 0 {
      let hints = header.references.map { places[$0]?.orderHint }
      guard
        let isAllowed = AV1References.allowSkipMode(
          hints, orderHint: header.picture.orderHint, orderHintBits: sequence.orderHintBits)
      else { return false }
      if isAllowed { reader.skip(1) }
    }
    if !header.isIntra, !header.isErrorResilient, sequence.hasWarpedMotion { reader.skip(1) }
    reader.skip(1)  // reduced_tx_set
    if !header.isIntra { skipGlobalMotion(&reader, isFine: header.allowsFineMotionVectors) }
    if sequence.hasFilmGrain, header.isShown || header.isShowable {
      skipFilmGrain(&reader, sequence, isInter: header.picture.type == .inter)
    }
    return true
  }

  /// Whether any step differs from the base.
  private func readQuantizers(
    _ reader: inout BitReader, _ sequence: AV1SequenceHeader, _ header: inout Header
  ) -> Bool {
    func delta(_ reader: inout BitReader) -> Bool { reader.flag() && reader.bits(7) != 0 }
    header.baseQuantizer = Int32(reader.bits(8))
    var hasDeltas = delta(&reader)
    if sequence.planeCount > 1 {
      let areApart = sequence.hasSeparateChromaDeltas && reader.flag()
      for _ in 0..<(areApart ? 4 : 2) where delta(&reader) { hasDeltas = true }
    }
    if reader.flag() { reader.skip(sequence.hasSeparateChromaDeltas ? 12 : 8) }
    return hasDeltas
  }

  private func readSegments(_ reader: inout BitReader, _ header: inout Header) -> Bool {
    guard reader.flag() else { return true }
    if let primary = header.primaryReference {
      if reader.flag() { reader.skip(1) }
      guard reader.flag() else {
        guard let picture = places[header.references[primary]] else { return false }
        header.picture.segmentSteps = picture.segmentSteps
        return true
      }
    }
    for segment in 0..<8 {
      if reader.flag() {
        // A number of nine bits with a sign.
        let value = Int32(reader.bits(9))
        header.picture.segmentSteps[segment] = value >= 256 ? value - 512 : value
      }
      for bits in [7, 7, 7, 7, 3, 0, 0] where reader.flag() { reader.skip(bits) }
    }
    return true
  }

  private func skipLoopFilter(_ reader: inout BitReader, planeCount: Int) {
    let levels = (reader.bits(6), reader.bits(6))
    if planeCount > 1, levels.0 != 0 || levels.1 != 0 { reader.skip(12) }
    reader.skip(3)
    guard reader.flag(), reader.flag() else { return }
    for _ in 0..<10 where reader.flag() { reader.skip(7) }
  }

  private func skipRestoration(_ reader: inout BitReader, _ sequence: AV1SequenceHeader) {
    var (isUsed, isUsedForChroma) = (false, false)
    for plane in 0..<sequence.planeCount where reader.bits(2) != 0 {
      isUsed = true
      if plane > 0 { isUsedForChroma = true }
    }
    guard isUsed else { return }
    if reader.flag(), !sequence.hasLargeSuperblocks { reader.skip(1) }
    if sequence.isSubsampledBothWays, isUsedForChroma { reader.skip(1) }
  }

  private func skipGlobalMotion(_ reader: inout BitReader, isFine: Bool) {
    for _ in 0..<7 where reader.flag() {
      let isRotation = reader.flag()
      let isTranslation = !isRotation && reader.flag()
      if !isTranslation {
        for _ in 0..<(isRotation ? 2 : 4) { skipSubexponential(&reader, magnitudeBits: 12) }
      }
      let bits = isTranslation ? (isFine ? 9 : 8) : 12
      for _ in 0..<2 { skipSubexponential(&reader, magnitudeBits: bits) }
    }
  }

  /// `decode_signed_subexp_with_ref`: how long it is does not hang on what it refers to.
  private func skipSubexponential(_ reader: inout BitReader, magnitudeBits: Int) {
    let symbols = 2 << magnitudeBits | 1
    var (step, done) = (0, 0)
    while true {
      let bits = step > 0 ? 2 + step : 3
      if symbols <= done + 3 << bits {
        _ = reader.nonSymmetric(symbols - done)
        return
      }
      guard reader.flag() else { return reader.skip(bits) }
      step += 1
      done += 1 << bits
    }
  }

  private func skipFilmGrain(_ reader: inout BitReader, _ sequence: AV1SequenceHeader, isInter: Bool) {
    guard reader.flag() else { return }
    reader.skip(16)
    if isInter, !reader.flag() { return reader.skip(3) }
    let lumaPoints = Int(reader.bits(4))
    reader.skip(16 * lumaPoints)
    let scalesFromLuma = !sequence.isMonochrome && reader.flag()
    var chromaPoints = (0, 0)
    if !sequence.isMonochrome, !scalesFromLuma, !(sequence.isSubsampledBothWays && lumaPoints == 0) {
      chromaPoints.0 = Int(reader.bits(4))
      reader.skip(16 * chromaPoints.0)
      chromaPoints.1 = Int(reader.bits(4))
      reader.skip(16 * chromaPoints.1)
    }
    reader.skip(2)
    let lag = Int(reader.bits(2))
    let coefficients = 2 * lag * (lag + 1)
    if lumaPoints > 0 { reader.skip(8 * coefficients) }
    let chromaCoefficients = coefficients + (lumaPoints > 0 ? 1 : 0)
    if scalesFromLuma || chromaPoints.0 > 0 { reader.skip(8 * chromaCoefficients) }
    if scalesFromLuma || chromaPoints.1 > 0 { reader.skip(8 * chromaCoefficients) }
    reader.skip(4)
    if chromaPoints.0 > 0 { reader.skip(25) }
    if chromaPoints.1 > 0 { reader.skip(25) }
    reader.skip(2)
  }
}

extension AV1TileLayout {
  /// `tile_info`. Nil for more tiles than a picture may have.
  init?(_ reader: inout BitReader, width: Int, height: Int, hasLargeSuperblocks: Bool) {
    let shift = hasLargeSuperblocks ? 5 : 4
    func blocks(_ length: Int) -> Int { (2 * ((length + 7) >> 3) + (1 << shift) - 1) >> shift }
    let (across, down) = (blocks(width), blocks(height))
    let widest = 4096 >> (shift + 2)
    let largestArea = (4096 * 2304) >> (2 * (shift + 2))
    let leastColumns = Self.log2(widest, across)
    let leastTiles = max(leastColumns, Self.log2(largestArea, across * down))
    var logarithms = (columns: 0, rows: 0)
    if reader.flag() {
      logarithms.columns = leastColumns
      let mostColumns = Self.log2(1, min(across, 64))
      while logarithms.columns < mostColumns, reader.flag() { logarithms.columns += 1 }
      columns = Self.parts(of: across, log2: logarithms.columns)
      logarithms.rows = max(leastTiles - logarithms.columns, 0)
      let mostRows = Self.log2(1, min(down, 64))
      while logarithms.rows < mostRows, reader.flag() { logarithms.rows += 1 }
      rows = Self.parts(of: down, log2: logarithms.rows)
    } else {
      var found = Self.lengths(&reader, of: across, longest: widest)
      columns = found.count
      let area = leastTiles > 0 ? (across * down) >> (leastTiles + 1) : across * down
      found = Self.lengths(&reader, of: down, longest: max(area / max(1, found.longest), 1))
      rows = found.count
      logarithms = (Self.log2(1, columns), Self.log2(1, rows))
    }
    guard columns <= 64, rows <= 64 else { return nil }
    numberBits = logarithms.columns + logarithms.rows
    if numberBits > 0 {
      reader.skip(numberBits)
      sizeBytes = Int(reader.bits(2)) + 1
    }
  }

  /// The smallest number of doublings that make `size` reach `target`.
  private static func log2(_ size: Int, _ target: Int) -> Int {
    var doublings = 0
    while size << doublings < target { doublings += 1 }
    return doublings
  }

  private static func parts(of length: Int, log2: Int) -> Int {
    let part = (length + (1 << log2) - 1) >> log2
    return (length + part - 1) / part
  }

  private static func lengths(
    _ reader: inout BitReader, of whole: Int, longest: Int
  ) -> (count: Int, longest: Int) {
    var (start, count, longestFound) = (0, 0, 0)
    while start < whole {
      let length = reader.nonSymmetric(min(whole - start, longest)) + 1
      longestFound = max(longestFound, length)
      start += length
      count += 1
    }
    return (count, longestFound)
  }
}

extension BitReader {
  /// `ns(n)` (AV1 specification §4.10.7): a number below `count`, in as few bits as that allows.
  mutating func nonSymmetric(_ count: Int) -> Int {
    let width = Int.bitWidth - count.leadingZeroBitCount
    let short = (1 << width) - count
    let value = Int(bits(width - 1))
    return value < short ? value : value << 1 - short + Int(bit())
  }
}
