extension SampleEntry {
  /// The box that configures the decoder of a visual entry; nil for codings that are not packaged.
  private static func videoConfiguration(of entry: FourCC) -> FourCC? {
    switch entry {
    case FourCC("avc1"), FourCC("avc3"): FourCC("avcC")
    case FourCC("hvc1"), FourCC("hev1"): FourCC("hvcC")
    case FourCC("av01"): FourCC("av1C")
    case FourCC("vp09"): FourCC("vpcC")
    default: nil
    }
  }

  /// A visual sample entry (ISO/IEC 14496-12 §12.1.3): 78 bytes of head, then boxes.
  static func video(_ box: borrowing Box, _ bytes: [UInt8]) -> Result<SampleEntry, MediaReasonError> {
    guard let wanted = videoConfiguration(of: box.type) else {
      return .failure(
        "codec",
        "Its coding, \(box.type), is not packaged by this version; transcode it to H.264, HEVC, AV1 or VP9.")
    }
    var reader = BoxReader(box.body)
    guard reader.skip(24) != nil, let width = reader.u16(), let height = reader.u16(), reader.skip(50) != nil
    else {
      return .failure("sample-entry", "Its sample entry is cut short.")
    }
    var decoder: VideoDecoderConfiguration?
    var pixelAspect: (horizontal: UInt32, vertical: UInt32)?
    var colour: VideoColour?
    while let child = reader.box() {
      switch child.type {
      case wanted where decoder == nil:
        decoder = VideoDecoderConfiguration(child)
      case FourCC("pasp"):
        var pixels = BoxReader(child.body)
        if let horizontal = pixels.u32(), let vertical = pixels.u32(), horizontal > 0, vertical > 0 {
          pixelAspect = (horizontal, vertical)
        }
      case FourCC("colr"):
        if let found = VideoColour(colr: child.body) { colour = found }
      case FourCC("sinf"):
        return .failure("encrypted", "It is encrypted (Common Encryption).")
      default: break
      }
    }
    guard let decoder else { return .unconfigured(wanted) }
    guard width > 0, height > 0 else {
      return .failure("sample-entry", "Its sample entry states a picture without width or height.")
    }
    return .success(
      SampleEntry(
        codec: decoder.codec, bytes: bytes,
        codecString: decoder.codecString(entry: box.type, containerColour: colour),
        widthPixels: width, heightPixels: height, pixelAspect: pixelAspect,
        transferCharacteristics: decoder.transferCharacteristics(containerColour: colour)))
  }
}

/// The configuration box of any visual entry.
private enum VideoDecoderConfiguration {
  case avc(AVCConfigurationBox)
  case hevc(HEVCConfigurationBox)
  case av1(AV1ConfigurationBox)
  case vp9(VP9ConfigurationBox)

  init?(_ box: borrowing Box) {
    switch box.type {
    case FourCC("avcC"):
      guard let configuration = AVCConfigurationBox(box.body) else { return nil }
      self = .avc(configuration)
    case FourCC("hvcC"):
      guard let configuration = HEVCConfigurationBox(box.body) else { return nil }
      self = .hevc(configuration)
    case FourCC("av1C"):
      guard let configuration = AV1ConfigurationBox(box.body) else { return nil }
      self = .av1(configuration)
    case FourCC("vpcC"):
      guard let full = box.fullBox(), let configuration = VP9ConfigurationBox(full) else { return nil }
      self = .vp9(configuration)
    default: return nil
    }
  }

  var codec: TrackCodec {
    switch self {
    case .avc: .avc
    case .hevc: .hevc
    case .av1: .av1
    case .vp9: .vp9
    }
  }

  func codecString(entry: FourCC, containerColour: VideoColour?) -> String {
    switch self {
    case .avc(let configuration): return CodecString.avc(entry: entry, configuration)
    case .hevc(let configuration): return CodecString.hevc(entry: entry, configuration)
    case .av1(let configuration):
      return CodecString.av1(configuration, (configuration.colour ?? .unspecified).or(containerColour))
    case .vp9(let configuration):
      return CodecString.vp9(configuration, configuration.colour.or(containerColour))
    }
  }

  /// The container's word where it has one, else the stream's, else 2 (unspecified).
  func transferCharacteristics(containerColour: VideoColour?) -> UInt16 {
    if let containerColour, containerColour.transfer != 2 { return containerColour.transfer }
    switch self {
    case .avc(let configuration):
      return Self.stated(configuration.sequenceParameterSets, .avc)
    case .hevc(let configuration):
      return Self.stated(configuration.sequenceParameterSets, .hevc)
    case .av1(let configuration): return configuration.colour?.transfer ?? 2
    case .vp9(let configuration): return configuration.colour.transfer
    }
  }

  private static func stated(_ parameterSets: [[UInt8]], _ codec: TrackCodec) -> UInt16 {
    parameterSets.first.flatMap { VideoUsability.transferCharacteristics($0, codec: codec) } ?? 2
  }
}
