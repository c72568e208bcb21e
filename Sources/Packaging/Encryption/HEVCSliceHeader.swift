// Slice segment headers of HEVC (ISO/IEC 23008-2 §7.3.6) and what of the parameter sets (§7.3.2.2, §7.3.2.3) decides on
// their fields. Only the base layer, and no screen content coding, whose profiles add fields. Reads past the end give 0
// and are found out by the caller, so that only what bounds a loop or a width is checked here.

/// The parameter sets of an HEVC track, by their identifiers.
struct HEVCParameterSets {
  /// At most 16 and 64 entries: the identifiers are checked.
  private var sequences = ParameterSetTable<Sequence>()
  private var pictures = ParameterSetTable<Picture>()

  static func kind(firstByte: UInt8) -> SliceHeaders.UnitKind {
    switch firstByte >> 1 & 0x3F {
    case 0...9, 16...21: .slice
    case 33, 34: .parameterSet
    default: .other
    }
  }

  /// Takes a parameter set, from its NAL unit header on.
  mutating func store(_ reader: inout BitReader) {
    let (type, layer) = Self.unitHeader(&reader)
    guard layer == 0 else { return }
    switch type {
    case 33:
      guard let (id, sequence) = Sequence.read(&reader) else { return }
      sequences[id] = reader.isExhausted ? nil : sequence
    case 34:
      guard let (id, picture) = Picture.read(&reader) else { return }
      pictures[id] = reader.isExhausted ? nil : picture
    default: break
    }
  }

  private static func unitHeader(_ reader: inout BitReader) -> (type: UInt32, layer: UInt32) {
    reader.skip(1)
    let header = (reader.bits(6), reader.bits(6))
    reader.skip(3)
    return header
  }

  /// Moves the reader from the NAL unit header to the end of `slice_segment_header`, alignment included. False where
  /// the header makes no sense or its parameter sets are not known.
  func readSliceHeader(_ reader: inout BitReader) -> Bool {
    let (type, layer) = Self.unitHeader(&reader)
    guard layer == 0 else { return false }
    let isFirst = reader.flag()
    if type >= 16 { reader.skip(1) }  // no_output_of_prior_pics_flag
    guard let picture = pictures[reader.ue()], let sequence = sequences[picture.sequence] else {
      return false
    }
    var isDependent = false
    if !isFirst {
      if picture.dependentSegmentsEnabled { isDependent = reader.flag() }
      _ = reader.choice(of: sequence.codingTreeBlocks)
    }
    if !isDependent {
      guard readIndependent(&reader, type: type, picture, sequence) else { return false }
    }
    if picture.hasEntryPoints {
      let count = reader.ue()
      if count > 0 {
        let width = reader.ue()
        guard width < 32, count <= reader.bitsLeft else {
          // Possibly there are more bits than were lent so far.
          reader.skip(.max)
          return false
        }
        reader.skip(Int(count) * (Int(width) + 1))
      }
    }
    if picture.headerExtensionPresent {
      let extensionBytes = reader.ue()
      guard extensionBytes <= 256 else { return false }
      reader.skip(Int(extensionBytes) * 8)
    }
    guard reader.flag() else { return false }
    reader.alignToByte()
    return true
  }

  /// The fields that a dependent slice segment takes over from the one before.
  private func readIndependent(
    _ reader: inout BitReader, type unitType: UInt32, _ picture: Picture, _ sequence: Sequence
  ) -> Bool {
    reader.skip(picture.extraHeaderBits)
    let sliceType = reader.ue()
    guard sliceType < 3 else { return false }
    let (isB, isI) = (sliceType == 0, sliceType == 2)
    if picture.outputFlagPresent { reader.skip(1) }
    if sequence.separateColourPlane { reader.skip(2) }
    var currentReferences: UInt32 = 0
    var hasTemporalPrediction = false
    if unitType != 19, unitType != 20 {
      guard let used = readReferences(&reader, sequence) else { return false }
      currentReferences = used
      if sequence.temporalPredictionEnabled { hasTemporalPrediction = reader.flag() }
    }
    var hasLoopFilter = false
    if sequence.offsetFilterEnabled {
      hasLoopFilter = reader.flag()
      if sequence.hasChroma, reader.flag() { hasLoopFilter = true }
    }
    if !isI {
      var references = picture.activeReferences
      if reader.flag() {
        references.0 = reader.ue() &+ 1
        if isB { references.1 = reader.ue() &+ 1 }
      }
      guard references.0 <= 16, references.1 <= 16 else { return false }
      if !isB { references.1 = 0 }
      if picture.listsModificationPresent, currentReferences > 1 {
        skipListModification(&reader, entries: references.0, of: currentReferences)
        if isB { skipListModification(&reader, entries: references.1, of: currentReferences) }
      }
      if isB { reader.skip(1) }  // mvd_l1_zero_flag
      if picture.cabacInitPresent { reader.skip(1) }
      if hasTemporalPrediction {
        let isFromFirstList = isB ? reader.flag() : true
        if (isFromFirstList ? references.0 : references.1) > 1 { _ = reader.ue() }
      }
      if isB ? picture.weightedBiprediction : picture.weightedPrediction {
        skipWeights(&reader, references: references, hasChroma: sequence.hasChroma)
      }
      _ = reader.ue()  // five_minus_max_num_merge_cand
    }
    _ = reader.se()  // slice_qp_delta
    if picture.chromaOffsetsPresent {
      _ = reader.se()
      _ = reader.se()
    }
    if picture.chromaOffsetListEnabled { reader.skip(1) }
    let isOverridden = picture.deblockingOverrideEnabled && reader.flag()
    var isDeblockingDisabled = picture.deblockingDisabled
    if isOverridden {
      isDeblockingDisabled = reader.flag()
      if !isDeblockingDisabled {
        _ = reader.se()
        _ = reader.se()
      }
    }
    if picture.filterAcrossSlicesEnabled, hasLoopFilter || !isDeblockingDisabled { reader.skip(1) }
    return true
  }

  /// Order count and reference pictures of a slice that is no IDR. Gives NumPicTotalCurr (7-55), how many pictures the
  /// slice may refer to; `nil` where a number is out of range.
  private func readReferences(_ reader: inout BitReader, _ sequence: Sequence) -> UInt32? {
    reader.skip(sequence.orderCountBits)
    var used: UInt32
    if reader.flag() {
      let index = reader.choice(of: UInt32(sequence.referenceSets.count))
      guard index < sequence.referenceSets.count else { return nil }
      used = sequence.referenceSets[Int(index)].usedCount
    } else {
      guard let set = HEVCReferenceSet(&reader, known: sequence.referenceSets, isInSliceHeader: true) else {
        return nil
      }
      used = set.usedCount
    }
    guard sequence.longTermPresent else { return used }
    let listed = UInt32(sequence.longTermUsed.count)
    let fromSequence = listed > 0 ? reader.ue() : 0
    let own = reader.ue()
    guard fromSequence <= 33, own <= 33 else { return nil }
    for index in 0..<(fromSequence + own) {
      if index < fromSequence {
        let entry = reader.choice(of: listed)
        guard entry < listed else { return nil }
        if sequence.longTermUsed[Int(entry)] { used += 1 }
      } else {
        reader.skip(sequence.orderCountBits)
        if reader.flag() { used += 1 }
      }
      if reader.flag() { _ = reader.ue() }
    }
    return used
  }

  /// One list of `ref_pic_lists_modification` (§7.3.6.2).
  private func skipListModification(_ reader: inout BitReader, entries: UInt32, of count: UInt32) {
    guard reader.flag() else { return }
    for _ in 0..<entries { _ = reader.choice(of: count) }
  }

  /// `pred_weight_table` (§7.3.6.3). Every reference has its flags: pictures of one layer differ in order count.
  private func skipWeights(_ reader: inout BitReader, references: (UInt32, UInt32), hasChroma: Bool) {
    _ = reader.ue()
    if hasChroma { _ = reader.se() }
    for count in [references.0, references.1] {
      let luma = reader.bits(Int(count))
      let chroma = hasChroma ? reader.bits(Int(count)) : 0
      for index in (0..<count).reversed() {
        if luma >> index & 1 == 1 { for _ in 0..<2 { _ = reader.se() } }
        if chroma >> index & 1 == 1 { for _ in 0..<4 { _ = reader.se() } }
      }
    }
  }
}
