/// `stsd` (ISO/IEC 14496-12 §8.5.2): the sample entries of a track.
struct SampleDescriptionBox {
  /// Whole entries, size and type included; empty ones are those that could not be read.
  var entries: [[UInt8]]

  /// At most `limit` entries are read; nil when there is none or one is cut short.
  init?(_ box: borrowing FullBox, limit: Int = 16) {
    var reader = BoxReader(box.body)
    guard let count = reader.u32(), count > 0 else { return nil }
    entries = []
    for _ in 0..<min(Int(count), limit) {
      guard let entry = reader.box(), !entry.isTruncated else { return nil }
      entries.append(entry.whole.copied())
    }
  }
}

/// What one sample entry says, for a codec this version packages.
struct SampleEntry {
  var codec: TrackCodec
  /// The entry as an ISO init segment wants it: QuickTime sound descriptions are rewritten.
  var bytes: [UInt8]
  var codecString: String
  var widthPixels: UInt16 = 0
  var heightPixels: UInt16 = 0
  /// Pixel aspect ratio, horizontal to vertical; nil where `pasp` is absent or has a 0.
  var pixelAspect: (horizontal: UInt32, vertical: UInt32)?
  var transferCharacteristics: UInt16 = 2
  var channelCount: UInt16 = 0
  var sampleRateHertz: UInt32 = 0

  /// Four-character code of a whole entry, 0 where it is too short to have one.
  static func code(of entry: [UInt8]) -> FourCC {
    var reader = BoxReader(entry.span)
    guard let box = reader.box() else { return FourCC(rawValue: 0) }
    return box.type
  }

  /// Reads an entry, or says why it is not packaged.
  static func read(_ bytes: [UInt8], kind: TrackKind) -> Result<SampleEntry, MediaReasonError> {
    var reader = BoxReader(bytes.span)
    guard let box = reader.box() else { return .failure("sample-entry", "Its sample entry is cut short.") }
    switch (kind, box.type) {
    case (_, FourCC("encv")), (_, FourCC("enca")), (_, FourCC("encs")), (_, FourCC("enct")),
      (_, FourCC("encm")):
      return .failure("encrypted", "It is encrypted (Common Encryption).")
    case (.video, FourCC("avc1")), (.video, FourCC("avc3")), (.video, FourCC("hvc1")),
      (.video, FourCC("hev1")):
      return video(box, bytes)
    case (.audio, FourCC("mp4a")):
      return audio(box, bytes)
    case (.subtitle, let code) where isText(code):
      return .success(SampleEntry(codec: .unsupported(code), bytes: bytes, codecString: code.description))
    default:
      return .failure(
        "codec",
        "Its coding, \(box.type), is not packaged by this version; transcode it to H.264, HEVC or AAC.")
    }
  }

  private static func video(_ box: borrowing Box, _ bytes: [UInt8]) -> Result<SampleEntry, MediaReasonError> {
    var reader = BoxReader(box.body)
    guard reader.skip(24) != nil, let width = reader.u16(), let height = reader.u16(), reader.skip(50) != nil
    else {
      return .failure("sample-entry", "Its sample entry is cut short.")
    }
    var entry = SampleEntry(
      codec: .avc, bytes: bytes, codecString: "", widthPixels: width, heightPixels: height)
    var parameterSet: (codec: TrackCodec, bytes: [UInt8])?
    while let child = reader.box() {
      switch child.type {
      case FourCC("avcC"):
        guard let configuration = AVCConfigurationBox(child.body) else { break }
        entry.codec = .avc
        entry.codecString = CodecString.avc(entry: box.type, configuration)
        parameterSet = configuration.sequenceParameterSets.first.map { (.avc, $0) }
      case FourCC("hvcC"):
        guard let configuration = HEVCConfigurationBox(child.body) else { break }
        entry.codec = .hevc
        entry.codecString = CodecString.hevc(entry: box.type, configuration)
        parameterSet = configuration.sequenceParameterSets.first.map { (.hevc, $0) }
      case FourCC("pasp"):
        var pixels = BoxReader(child.body)
        if let horizontal = pixels.u32(), let vertical = pixels.u32(), horizontal > 0, vertical > 0 {
          entry.pixelAspect = (horizontal, vertical)
        }
      case FourCC("colr"):
        // nclx of ISO files and nclc of QuickTime both put primaries and transfer characteristics first.
        var colour = BoxReader(child.body)
        let type = colour.u32().map(FourCC.init(rawValue:))
        if type == FourCC("nclx") || type == FourCC("nclc"), colour.skip(2) != nil,
          let transfer = colour.u16()
        {
          entry.transferCharacteristics = transfer
        }
      case FourCC("sinf"):
        return .failure("encrypted", "It is encrypted (Common Encryption).")
      default: break
      }
    }
    let wanted: TrackCodec = box.type == FourCC("avc1") || box.type == FourCC("avc3") ? .avc : .hevc
    guard !entry.codecString.isEmpty, entry.codec == wanted else {
      return .failure("no-decoder-configuration", "Its sample entry has no readable avcC or hvcC box.")
    }
    guard width > 0, height > 0 else {
      return .failure("sample-entry", "Its sample entry states a picture without width or height.")
    }
    if entry.transferCharacteristics == 2, let parameterSet {
      entry.transferCharacteristics =
        VideoUsability.transferCharacteristics(parameterSet.bytes, codec: parameterSet.codec) ?? 2
    }
    return .success(entry)
  }

  private static func audio(_ box: borrowing Box, _ bytes: [UInt8]) -> Result<SampleEntry, MediaReasonError> {
    var reader = BoxReader(box.body)
    guard reader.skip(8) != nil, let version = reader.u16(), reader.skip(18) != nil else {
      return .failure("sample-entry", "Its sample entry is cut short.")
    }
    // QuickTime sound descriptions of version 1 and 2 put more fields before the boxes.
    // ISO entries of version 1 do not: what gives an esds box decides.
    let extraBytes = version == 1 ? 16 : version == 2 ? 36 : 0
    let isoBoxes = reader.rest()
    var search = AudioConfigurationSearch()
    if reader.skip(extraBytes) != nil { search.read(reader.rest(), depth: 0) }
    if search.descriptor == nil, extraBytes > 0 { search.read(isoBoxes, depth: 0) }
    if search.isEncrypted { return .failure("encrypted", "It is encrypted (Common Encryption).") }
    guard let descriptor = search.descriptor, let descriptorBox = search.descriptorBox else {
      return .failure("no-decoder-configuration", "Its sample entry has no readable esds box.")
    }
    guard [0x40, 0x66, 0x67, 0x68].contains(descriptor.objectTypeIndication) else {
      let type = String(descriptor.objectTypeIndication, radix: 16)
      return .failure("codec", "It is MPEG audio of object type 0x\(type), not AAC; transcode it to AAC.")
    }
    guard let configuration = AudioSpecificConfig(descriptor.specificConfig.span) else {
      return .failure(
        "no-decoder-configuration", "Its AudioSpecificConfig is cut short or states no channels.")
    }
    guard configuration.isPackageable else {
      return .failure(
        "codec",
        "It is MPEG-4 audio object type \(configuration.objectType); this version packages AAC-LC and HE-AAC."
      )
    }
    let rewritten = version == 0 ? bytes : isoEntry(configuration, descriptorBox: descriptorBox)
    return .success(
      SampleEntry(
        codec: .aac, bytes: rewritten, codecString: CodecString.aac(configuration),
        channelCount: configuration.channelCount, sampleRateHertz: configuration.sampleRateHertz))
  }

  /// An `mp4a` entry as ISO/IEC 14496-14 wants it, in place of a QuickTime sound description.
  private static func isoEntry(_ configuration: AudioSpecificConfig, descriptorBox: [UInt8]) -> [UInt8] {
    var entry: [UInt8] = []
    func append(_ value: UInt32) {
      for shift in [UInt32(24), 16, 8, 0] { entry.append(UInt8(truncatingIfNeeded: value >> shift)) }
    }
    append(UInt32(36 + descriptorBox.count))
    append(FourCC("mp4a").rawValue)
    append(0)
    append(1)
    append(0)
    append(0)
    append(UInt32(configuration.channelCount) << 16 | 16)
    append(0)
    // 16.16; rates above 65,535 Hz do not fit and are told by the decoder configuration alone.
    append(configuration.sampleRateHertz <= 0xFFFF ? configuration.sampleRateHertz << 16 : 0)
    return entry + descriptorBox
  }
}

/// A reason as an error, so that it can be the failure of a `Result`.
struct MediaReasonError: Error {
  var reason: MediaReason
}

extension Result where Success == SampleEntry, Failure == MediaReasonError {
  fileprivate static func failure(_ code: String, _ message: String) -> Self {
    .failure(MediaReasonError(reason: MediaReason(code: code, message: message)))
  }
}

/// Finds `esds` among the boxes of a sound entry, also inside QuickTime's `wave`.
private struct AudioConfigurationSearch {
  var descriptor: ElementaryStreamDescriptor?
  var descriptorBox: [UInt8]?
  var isEncrypted = false

  mutating func read(_ bytes: Span<UInt8>, depth: Int) {
    var reader = BoxReader(bytes)
    while let child = reader.box() {
      switch child.type {
      case FourCC("esds") where descriptor == nil:
        guard let full = child.fullBox(), let found = ElementaryStreamDescriptor(full) else { break }
        descriptor = found
        descriptorBox = child.whole.copied()
      case FourCC("wave") where depth == 0:
        read(child.body, depth: depth + 1)
      case FourCC("sinf"):
        isEncrypted = true
      default: break
      }
    }
  }
}
