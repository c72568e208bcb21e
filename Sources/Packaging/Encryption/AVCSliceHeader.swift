// Slice headers of AVC (ISO/IEC 14496-10 §7.3.3) and what of the parameter sets (§7.3.2.1.1, §7.3.2.2) decides on their
// fields. Names of fields are those of the standard in camel case. Reads past the end give 0 and are found out by the
// caller, so that only what bounds a loop or a width is checked here.

/// The parameter sets of an AVC track, by their identifiers.
struct AVCParameterSets {
  private struct Sequence {
    var separateColourPlane = false
    var hasChroma = true
    var frameNumBits = 4
    var orderCountType: UInt32 = 0
    var orderCountBits = 4
    var deltaOrderAlwaysZero = false
    var frameMbsOnly = false
  }

  private struct Picture {
    var sequence: UInt32
    var isCABAC: Bool
    var bottomFieldOrderPresent: Bool
    /// `num_ref_idx_lX_default_active_minus1` + 1.
    var activeReferences: (UInt32, UInt32)
    var weightedPrediction: Bool
    var weightedBiprediction: UInt32
    var deblockingControlPresent: Bool
    var redundantCountPresent: Bool
  }

  /// At most 32 and 256 entries: the identifiers are checked.
  private var sequences = ParameterSetTable<Sequence>()
  private var pictures = ParameterSetTable<Picture>()

  static func kind(firstByte: UInt8) -> SliceHeaders.UnitKind {
    switch firstByte & 0x1F {
    case 1, 5: .slice
    case 7, 8: .parameterSet
    default: .other
    }
  }

  /// Takes a parameter set, from its NAL unit header on.
  mutating func store(_ reader: inout BitReader) {
    switch reader.bits(8) & 0x1F {
    case 7: storeSequence(&reader)
    case 8: storePicture(&reader)
    default: break
    }
  }

  private mutating func storeSequence(_ reader: inout BitReader) {
    let profile = reader.bits(8)
    reader.skip(16)
    let id = reader.ue()
    guard id < 32 else { return }
    var sequence = Sequence()
    sequences[id] = nil
    if VideoUsability.avcProfilesWithChroma.contains(profile) {
      let chroma = reader.ue()
      if chroma == 3 { sequence.separateColourPlane = reader.flag() }
      sequence.hasChroma = chroma != 0 && !sequence.separateColourPlane
      _ = reader.ue()
      _ = reader.ue()
      reader.skip(1)
      if reader.flag() {
        for list in 0..<(chroma == 3 ? 12 : 8) where reader.flag() {
          VideoUsability.skipScalingList(&reader, entries: list < 6 ? 16 : 64)
        }
      }
    }
    let frameNum = reader.ue()
    sequence.orderCountType = reader.ue()
    guard frameNum <= 12, sequence.orderCountType <= 2 else { return }
    sequence.frameNumBits = Int(frameNum) + 4
    switch sequence.orderCountType {
    case 0:
      let orderCount = reader.ue()
      guard orderCount <= 12 else { return }
      sequence.orderCountBits = Int(orderCount) + 4
    case 1:
      sequence.deltaOrderAlwaysZero = reader.flag()
      _ = reader.se()
      _ = reader.se()
      let cycle = reader.ue()
      guard cycle <= 255 else { return }
      for _ in 0..<cycle { _ = reader.se() }
    default: break
    }
    _ = reader.ue()  // max_num_ref_frames
    reader.skip(1)
    _ = reader.ue()  // picture size
    _ = reader.ue()
    sequence.frameMbsOnly = reader.flag()
    if !reader.isExhausted { sequences[id] = sequence }
  }

  private mutating func storePicture(_ reader: inout BitReader) {
    let id = reader.ue()
    guard id < 256 else { return }
    pictures[id] = nil
    let sequence = reader.ue()
    let isCABAC = reader.flag()
    let bottomFieldOrderPresent = reader.flag()
    // Slice groups change the end of the header and occur in no profile that players have.
    guard reader.ue() == 0 else { return }
    let references = (reader.ue(), reader.ue())
    guard references.0 < 32, references.1 < 32 else { return }
    let weightedPrediction = reader.flag()
    let weightedBiprediction = reader.bits(2)
    for _ in 0..<3 { _ = reader.se() }
    let deblockingControlPresent = reader.flag()
    reader.skip(1)
    let redundantCountPresent = reader.flag()
    guard !reader.isExhausted else { return }
    pictures[id] = Picture(
      sequence: sequence, isCABAC: isCABAC, bottomFieldOrderPresent: bottomFieldOrderPresent,
      activeReferences: (references.0 + 1, references.1 + 1), weightedPrediction: weightedPrediction,
      weightedBiprediction: weightedBiprediction, deblockingControlPresent: deblockingControlPresent,
      redundantCountPresent: redundantCountPresent)
  }

  /// Moves the reader from the NAL unit header to the end of `slice_header`. False where the header makes no sense or
  /// its parameter sets are not known.
  func readSliceHeader(_ reader: inout BitReader) -> Bool {
    reader.skip(1)
    let isReference = reader.bits(2) != 0
    let isIDR = reader.bits(5) == 5
    _ = reader.ue()  // first_mb_in_slice
    let type = reader.ue()
    guard type < 10, let picture = pictures[reader.ue()], let sequence = sequences[picture.sequence] else {
      return false
    }
    let (isB, isI, isSP, isSI) = (type % 5 == 1, type % 5 == 2, type % 5 == 3, type % 5 == 4)
    if sequence.separateColourPlane { reader.skip(2) }
    reader.skip(sequence.frameNumBits)
    var isField = false
    if !sequence.frameMbsOnly {
      isField = reader.flag()
      if isField { reader.skip(1) }
    }
    if isIDR { _ = reader.ue() }
    let hasBottomDelta = picture.bottomFieldOrderPresent && !isField
    if sequence.orderCountType == 0 {
      reader.skip(sequence.orderCountBits)
      if hasBottomDelta { _ = reader.se() }
    } else if sequence.orderCountType == 1, !sequence.deltaOrderAlwaysZero {
      _ = reader.se()
      if hasBottomDelta { _ = reader.se() }
    }
    if picture.redundantCountPresent { _ = reader.ue() }

    if isB { reader.skip(1) }  // direct_spatial_mv_pred_flag
    var references = picture.activeReferences
    if !isI, !isSI {
      if reader.flag() {
        references.0 = reader.ue() &+ 1
        if isB { references.1 = reader.ue() &+ 1 }
      }
      guard references.0 <= 32, references.1 <= 32 else { return false }
      skipListModification(&reader)
      if isB { skipListModification(&reader) }
      if isB ? picture.weightedBiprediction == 1 : picture.weightedPrediction {
        skipWeights(&reader, references: isB ? references : (references.0, 0), hasChroma: sequence.hasChroma)
      }
    }
    if isReference { skipReferenceMarking(&reader, isIDR: isIDR) }
    if picture.isCABAC, !isI, !isSI { _ = reader.ue() }  // cabac_init_idc
    _ = reader.se()  // slice_qp_delta
    if isSP { reader.skip(1) }
    if isSP || isSI { _ = reader.se() }
    if picture.deblockingControlPresent, reader.ue() != 1 {
      _ = reader.se()
      _ = reader.se()
    }
    return true
  }

  /// One list of `ref_pic_list_modification` (§7.3.3.1).
  private func skipListModification(_ reader: inout BitReader) {
    guard reader.flag() else { return }
    while !reader.isExhausted, reader.ue() != 3 { _ = reader.ue() }
  }

  /// `pred_weight_table` (§7.3.3.2).
  private func skipWeights(_ reader: inout BitReader, references: (UInt32, UInt32), hasChroma: Bool) {
    _ = reader.ue()
    if hasChroma { _ = reader.ue() }
    for _ in 0..<(references.0 + references.1) {
      if reader.flag() { for _ in 0..<2 { _ = reader.se() } }
      if hasChroma, reader.flag() { for _ in 0..<4 { _ = reader.se() } }
    }
  }

  /// `dec_ref_pic_marking` (§7.3.3.3).
  private func skipReferenceMarking(_ reader: inout BitReader, isIDR: Bool) {
    guard !isIDR else { return reader.skip(2) }
    guard reader.flag() else { return }
    while !reader.isExhausted {
      switch reader.ue() {
      case 0: return
      case 1, 2, 4, 6: _ = reader.ue()
      case 3:
        _ = reader.ue()
        _ = reader.ue()
      default: break
      }
    }
  }
}
