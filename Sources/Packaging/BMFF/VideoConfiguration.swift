/// `avcC` (ISO/IEC 14496-15 §5.3.3): profile, level and parameter sets of an AVC track.
struct AVCConfigurationBox {
  var profile: UInt8
  var compatibility: UInt8
  var level: UInt8
  /// Bytes of the length in front of each NAL unit.
  var lengthBytes: Int
  var sequenceParameterSets: [[UInt8]] = []
  var pictureParameterSets: [[UInt8]] = []

  init?(_ body: Span<UInt8>) {
    var reader = BoxReader(body)
    guard reader.u8() == 1, let profile = reader.u8(), let compatibility = reader.u8(),
      let level = reader.u8(),
      let lengths = reader.u8(), let sequenceCount = reader.u8()
    else { return nil }
    self.profile = profile
    self.compatibility = compatibility
    self.level = level
    lengthBytes = Int(lengths & 3) + 1
    for _ in 0..<(sequenceCount & 31) {
      guard let length = reader.u16(), let unit = reader.take(Int(length)) else { return nil }
      sequenceParameterSets.append(unit.copied())
    }
    guard let pictureCount = reader.u8() else { return nil }
    for _ in 0..<pictureCount {
      guard let length = reader.u16(), let unit = reader.take(Int(length)) else { return nil }
      pictureParameterSets.append(unit.copied())
    }
  }
}

/// `hvcC` (ISO/IEC 14496-15 §8.3.3): profile, tier, level and parameter sets of an HEVC track.
struct HEVCConfigurationBox {
  var profileSpace: UInt8
  var isHighTier: Bool
  var profile: UInt8
  var compatibilityFlags: UInt32
  /// Six bytes.
  var constraintFlags: [UInt8]
  var level: UInt8
  /// Bytes of the length in front of each NAL unit.
  var lengthBytes: Int
  var videoParameterSets: [[UInt8]] = []
  var sequenceParameterSets: [[UInt8]] = []
  var pictureParameterSets: [[UInt8]] = []

  init?(_ body: Span<UInt8>) {
    var reader = BoxReader(body)
    guard reader.u8() != nil, let profile = reader.u8(), let compatibility = reader.u32(),
      let constraints = reader.take(6)?.copied(), let level = reader.u8(), reader.skip(8) != nil,
      let lengths = reader.u8(), let arrays = reader.u8()
    else { return nil }
    profileSpace = profile >> 6
    isHighTier = profile & 0x20 != 0
    self.profile = profile & 31
    compatibilityFlags = compatibility
    constraintFlags = constraints
    self.level = level
    lengthBytes = Int(lengths & 3) + 1
    for _ in 0..<arrays {
      guard let type = reader.u8(), let count = reader.u16() else { return nil }
      for _ in 0..<count {
        guard let length = reader.u16(), let unit = reader.take(Int(length)) else { return nil }
        switch type & 0x3F {
        case 32: videoParameterSets.append(unit.copied())
        case 33: sequenceParameterSets.append(unit.copied())
        case 34: pictureParameterSets.append(unit.copied())
        default: break
        }
      }
    }
  }
}

/// What the samples of an AVC or HEVC track cannot be taken apart without, from the track's sample entry.
struct NALUnitConfiguration {
  /// Bytes of the length in front of each NAL unit, 1 to 4.
  var lengthBytes: Int
  /// VPS, then SPS, then PPS, whatever their order in the box.
  var parameterSets: [[UInt8]]

  /// `nil` for other codings, and where the entry has no readable `avcC` or `hvcC`.
  init?(sampleEntry: [UInt8], codec: TrackCodec) {
    var entry = BoxReader(sampleEntry.span)
    guard let box = entry.box() else { return nil }
    var fields = BoxReader(box.body)
    guard fields.skip(78) != nil else { return nil }
    let children = fields.rest()
    switch codec {
    case .avc:
      guard let child = children.firstBox(FourCC("avcC")), let found = AVCConfigurationBox(child.body)
      else { return nil }
      lengthBytes = found.lengthBytes
      parameterSets = found.sequenceParameterSets + found.pictureParameterSets
    case .hevc:
      guard let child = children.firstBox(FourCC("hvcC")), let found = HEVCConfigurationBox(child.body)
      else { return nil }
      lengthBytes = found.lengthBytes
      parameterSets = found.videoParameterSets + found.sequenceParameterSets + found.pictureParameterSets
    default: return nil
    }
  }
}
