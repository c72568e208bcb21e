// What slice segment headers of HEVC need of the sequence and picture parameter sets.

extension HEVCParameterSets {
  struct Sequence {
    var separateColourPlane = false
    var hasChroma = true
    /// PicSizeInCtbsY.
    var codingTreeBlocks: UInt32 = 0
    var orderCountBits = 4
    var offsetFilterEnabled = false
    var referenceSets: [HEVCReferenceSet] = []
    var longTermPresent = false
    /// `used_by_curr_pic_lt_sps_flag` of each long-term picture that the sequence lists.
    var longTermUsed: [Bool] = []
    var temporalPredictionEnabled = false

    /// `seq_parameter_set_rbsp` (§7.3.2.2) up to the last field that matters, and its identifier. `nil` where a number
    /// is out of range or the profile is one that adds fields to slice headers.
    static func read(_ reader: inout BitReader) -> (id: UInt32, sequence: Sequence)? {
      reader.skip(4)
      let subLayers = Int(reader.bits(3))
      reader.skip(1)
      var profileReader = reader
      profileReader.skip(3)
      // Main, Main 10, Main Still Picture and the range extensions; 0 is what encoders without a name write.
      guard profileReader.bits(5) <= 5 else { return nil }
      VideoUsability.skipProfileTierLevel(&reader, subLayers: subLayers)
      let id = reader.ue()
      guard id < 16 else { return nil }
      var sequence = Sequence()
      let chroma = reader.ue()
      if chroma == 3 { sequence.separateColourPlane = reader.flag() }
      sequence.hasChroma = chroma != 0 && !sequence.separateColourPlane
      let (width, height) = (reader.ue(), reader.ue())
      if reader.flag() { for _ in 0..<4 { _ = reader.ue() } }
      _ = reader.ue()  // bit depths
      _ = reader.ue()
      let orderCount = reader.ue()
      guard orderCount <= 12 else { return nil }
      sequence.orderCountBits = Int(orderCount) + 4
      for _ in (reader.flag() ? 0 : subLayers)...subLayers { for _ in 0..<3 { _ = reader.ue() } }

      let smallest = reader.ue()
      let spread = reader.ue()
      guard width <= 65_535, height <= 65_535, smallest <= 3, spread <= 3 else { return nil }
      let blockBits = smallest + 3 + spread
      let blockMask: UInt32 = (1 << blockBits) - 1
      sequence.codingTreeBlocks = ((width + blockMask) >> blockBits) * ((height + blockMask) >> blockBits)
      for _ in 0..<4 { _ = reader.ue() }  // transform sizes
      if reader.flag(), reader.flag() { VideoUsability.skipScalingLists(&reader) }
      reader.skip(1)
      sequence.offsetFilterEnabled = reader.flag()
      if reader.flag() {  // pcm_enabled_flag
        reader.skip(8)
        _ = reader.ue()
        _ = reader.ue()
        reader.skip(1)
      }
      guard sequence.readReferences(&reader) else { return nil }
      sequence.temporalPredictionEnabled = reader.flag()
      return (id, sequence)
    }

    private mutating func readReferences(_ reader: inout BitReader) -> Bool {
      let sets = reader.ue()
      guard sets <= 64 else { return false }
      for _ in 0..<sets {
        guard let set = HEVCReferenceSet(&reader, known: referenceSets, isInSliceHeader: false) else {
          return false
        }
        referenceSets.append(set)
      }
      longTermPresent = reader.flag()
      guard longTermPresent else { return true }
      let pictures = reader.ue()
      guard pictures <= 32 else { return false }
      for _ in 0..<pictures {
        reader.skip(orderCountBits)
        longTermUsed.append(reader.flag())
      }
      return true
    }
  }

  struct Picture {
    var sequence: UInt32 = 0
    var dependentSegmentsEnabled = false
    var outputFlagPresent = false
    var extraHeaderBits = 0
    var cabacInitPresent = false
    /// `num_ref_idx_lX_default_active_minus1` + 1.
    var activeReferences: (UInt32, UInt32) = (1, 1)
    var chromaOffsetsPresent = false
    var weightedPrediction = false
    var weightedBiprediction = false
    /// Tiles or rows that are decoded side by side.
    var hasEntryPoints = false
    var filterAcrossSlicesEnabled = false
    var deblockingOverrideEnabled = false
    var deblockingDisabled = false
    var listsModificationPresent = false
    var headerExtensionPresent = false
    var chromaOffsetListEnabled = false

    /// `pic_parameter_set_rbsp` (§7.3.2.3) and its identifier. `nil` where a number is out of range or an extension
    /// adds fields that are not known here.
    static func read(_ reader: inout BitReader) -> (id: UInt32, picture: Picture)? {
      let id = reader.ue()
      guard id < 64 else { return nil }
      var picture = Picture()
      picture.sequence = reader.ue()
      picture.dependentSegmentsEnabled = reader.flag()
      picture.outputFlagPresent = reader.flag()
      picture.extraHeaderBits = Int(reader.bits(3))
      reader.skip(1)
      picture.cabacInitPresent = reader.flag()
      let references = (reader.ue(), reader.ue())
      guard references.0 < 16, references.1 < 16 else { return nil }
      picture.activeReferences = (references.0 + 1, references.1 + 1)
      _ = reader.se()
      reader.skip(1)
      let transformSkipEnabled = reader.flag()
      if reader.flag() { _ = reader.ue() }
      _ = reader.se()
      _ = reader.se()
      picture.chromaOffsetsPresent = reader.flag()
      picture.weightedPrediction = reader.flag()
      picture.weightedBiprediction = reader.flag()
      reader.skip(1)
      let tilesEnabled = reader.flag()
      picture.hasEntryPoints = reader.flag() || tilesEnabled
      if tilesEnabled {
        let (columns, rows) = (reader.ue(), reader.ue())
        guard columns < 1024, rows < 1024 else { return nil }
        if !reader.flag() { for _ in 0..<(columns + rows) { _ = reader.ue() } }
        reader.skip(1)
      }
      picture.filterAcrossSlicesEnabled = reader.flag()
      if reader.flag() {
        picture.deblockingOverrideEnabled = reader.flag()
        picture.deblockingDisabled = reader.flag()
        if !picture.deblockingDisabled {
          _ = reader.se()
          _ = reader.se()
        }
      }
      if reader.flag() { VideoUsability.skipScalingLists(&reader) }
      picture.listsModificationPresent = reader.flag()
      _ = reader.ue()
      picture.headerExtensionPresent = reader.flag()
      if reader.flag() {
        let hasRangeExtension = reader.flag()
        // Of the other extensions only that for screen content and those of layers are defined.
        guard reader.bits(7) == 0 else { return nil }
        if hasRangeExtension {
          if transformSkipEnabled { _ = reader.ue() }
          reader.skip(1)
          picture.chromaOffsetListEnabled = reader.flag()
        }
      }
      return (id, picture)
    }
  }
}
