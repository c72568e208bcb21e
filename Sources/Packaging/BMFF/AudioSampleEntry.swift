// Sound entries, ISO and QuickTime.
//
//     6 reserved   data reference 2   version 2   6 revision and vendor   channels 2   bits of a sample 2
//     compression 2   packet size 2   rate 4, 16.16   [version 1: 16 bytes, version 2: 36 bytes]   boxes
//
// The extra bytes are QuickTime's (sound descriptions of version 1 and 2); ISO entries of version 1 have none. Nothing
// says which of the two an entry is: the reading that leads to the configuration box is the right one. QuickTime also
// puts that box into another one, `wave`.
//
// What we write is of ISO version 0, with the configuration box and nothing else: `stsd` of an init segment has version
// 0, and no other version of an entry is allowed in that.

/// A sound entry taken apart.
struct AudioSampleEntry {
  var type: FourCC
  var version: UInt16
  /// QuickTime: 0xFFFE (−2) where each sample in the tables is one packet.
  var compression: UInt16
  /// What the head says; version 2 says it in its extra bytes.
  var channelCount: UInt16
  var sampleRateHertz: UInt32
  /// The whole box that configures the decoder; nil where there is none.
  var configuration: [UInt8]?
  /// The configuration is where ISO readers look for it.
  var isConfiguredInPlace = false
  var isEncrypted = false

  /// Nil where the head is cut short.
  init?(_ box: borrowing Box, configuredBy wanted: FourCC) {
    var reader = BoxReader(box.body)
    guard reader.skip(8) != nil, let version = reader.u16(), reader.skip(6) != nil,
      let channels = reader.u16(), reader.skip(2) != nil, let compression = reader.u16(),
      reader.skip(2) != nil, let rate = reader.u32()
    else { return nil }
    type = box.type
    self.version = version
    self.compression = compression
    channelCount = channels
    sampleRateHertz = rate >> 16
    let isoBoxes = reader.rest()
    if version == 2 {
      var extra = reader
      if extra.skip(4) != nil, let rate = extra.u64(), let channels = extra.u32() {
        sampleRateHertz = UInt32(exactly: Double(bitPattern: rate)) ?? 0
        channelCount = UInt16(exactly: channels) ?? 0
      }
    }
    let extraBytes = version == 1 ? 16 : version == 2 ? 36 : 0
    if reader.skip(extraBytes) != nil { search(reader.rest(), for: wanted, isTop: true) }
    if configuration == nil, extraBytes > 0 { search(isoBoxes, for: wanted, isTop: true) }
  }

  private mutating func search(_ bytes: Span<UInt8>, for wanted: FourCC, isTop: Bool) {
    var reader = BoxReader(bytes)
    while let child = reader.box() {
      switch child.type {
      case wanted where configuration == nil:
        configuration = child.whole.copied()
        isConfiguredInPlace = isTop
      case FourCC("wave") where isTop:
        search(child.body, for: wanted, isTop: false)
      case FourCC("sinf"):
        isEncrypted = true
      default: break
      }
    }
  }

  /// The box that configures the decoder of a track, found in its sample entry; nil where there is none.
  static func configuration(of track: Track, _ wanted: FourCC) -> [UInt8]? {
    var reader = BoxReader(track.sampleEntry.span)
    guard let box = reader.box() else { return nil }
    return AudioSampleEntry(box, configuredBy: wanted)?.configuration
  }

  /// An ISO entry of version 0 for this sound, configured by one box.
  static func isoEntry(_ type: FourCC, _ sound: CodedSound, configuration: [UInt8]) -> [UInt8] {
    var writer = BoxWriter(capacityBytes: 36 + configuration.count)
    writer.u32(UInt32(36 + configuration.count))
    writer.u32(type.rawValue)
    writer.zeros(6)
    writer.u16(1)
    writer.zeros(8)
    writer.u16(sound.channelCount)
    writer.u16(sound.bitDepth)
    writer.zeros(4)
    // 16.16; rates above 65,535 Hz do not fit and are told by the decoder configuration alone.
    writer.u32(sound.sampleRateHertz <= 0xFFFF ? sound.sampleRateHertz << 16 : 0)
    writer.raw(configuration)
    return writer.bytes
  }
}

/// What a decoder configuration says of the sound that comes out of the decoder.
struct CodedSound {
  var codec: TrackCodec
  var codecString: String
  var channelCount: UInt16
  var sampleRateHertz: UInt32
  /// As entries state it: 16 for codings that have no depth of their own.
  var bitDepth: UInt16 = 16
}

extension SampleEntry {
  /// The box that configures the decoder of a sound entry; nil for codings that are not packaged.
  private static func audioConfiguration(of entry: FourCC) -> FourCC? {
    switch entry {
    case FourCC("mp4a"): FourCC("esds")
    case FourCC("ac-3"): FourCC("dac3")
    case FourCC("ec-3"): FourCC("dec3")
    case FourCC("fLaC"): FourCC("dfLa")
    case FourCC("Opus"): FourCC("dOps")
    case FourCC("alac"): FourCC("alac")
    default: nil
    }
  }

  static func audio(_ box: borrowing Box, _ bytes: [UInt8]) -> Result<SampleEntry, MediaReasonError> {
    if MPEGAudioEntry.quickTimeTypes.contains(box.type) { return MPEGAudioEntry.read(box) }
    guard let wanted = audioConfiguration(of: box.type) else {
      return .failure(
        "codec",
        "Its coding, \(box.type), is not packaged by this version; transcode it to AAC, or to FLAC to lose nothing."
      )
    }
    guard let entry = AudioSampleEntry(box, configuredBy: wanted) else {
      return .failure("sample-entry", "Its sample entry is cut short.")
    }
    if entry.isEncrypted { return .failure("encrypted", "It is encrypted (Common Encryption).") }
    guard let configuration = entry.configuration else { return .unconfigured(wanted) }
    return sound(entry, configuration, wanted).map { sound in
      let isISO = entry.version == 0 && entry.isConfiguredInPlace
      return SampleEntry(
        codec: sound.codec,
        bytes: isISO
          ? bytes : AudioSampleEntry.isoEntry(entry.type, sound, configuration: configuration),
        codecString: sound.codecString, channelCount: sound.channelCount,
        sampleRateHertz: sound.sampleRateHertz)
    }
  }

  /// What the configuration says, or why it says nothing of use.
  private static func sound(
    _ entry: AudioSampleEntry, _ configuration: [UInt8], _ wanted: FourCC
  ) -> Result<CodedSound, MediaReasonError> {
    var reader = BoxReader(configuration.span)
    guard let box = reader.box() else { return .unconfigured(wanted) }
    var found: CodedSound?
    switch wanted {
    case FourCC("esds"):
      guard let full = box.fullBox(), let descriptor = ElementaryStreamDescriptor(full) else { break }
      return mpeg4Sound(entry, descriptor)
    case FourCC("dac3"):
      guard let dolby = DolbyAudioConfiguration(ac3: box.body) else { break }
      found = CodedSound(
        codec: .ac3, codecString: "ac-3", channelCount: dolby.channelCount,
        sampleRateHertz: dolby.sampleRateHertz)
    case FourCC("dec3"):
      guard let dolby = DolbyAudioConfiguration(eac3: box.body) else { break }
      found = CodedSound(
        codec: .eac3, codecString: "ec-3", channelCount: dolby.channelCount,
        sampleRateHertz: dolby.sampleRateHertz > 0 ? dolby.sampleRateHertz : entry.sampleRateHertz)
    case FourCC("dfLa"):
      guard let full = box.fullBox(), let flac = FLACConfigurationBox(full) else { break }
      found = CodedSound(
        codec: .flac, codecString: "fLaC", channelCount: flac.channelCount,
        sampleRateHertz: flac.sampleRateHertz, bitDepth: flac.bitDepth)
    case FourCC("dOps"):
      guard let opus = OpusConfigurationBox(box.body) else { break }
      found = CodedSound(
        codec: .opus, codecString: "Opus", channelCount: opus.channelCount,
        sampleRateHertz: OpusConfigurationBox.sampleRateHertz)
    case FourCC("alac"):
      guard let full = box.fullBox(), let alac = ALACConfigurationBox(full) else { break }
      found = CodedSound(
        codec: .alac, codecString: "alac", channelCount: alac.channelCount,
        sampleRateHertz: alac.sampleRateHertz, bitDepth: alac.bitDepth)
    default: break
    }
    return found.map { .success($0) } ?? .unconfigured(wanted)
  }

  /// `mp4a` holds whatever MPEG has a number for; AAC and MP3 are packaged.
  private static func mpeg4Sound(
    _ entry: AudioSampleEntry, _ descriptor: ElementaryStreamDescriptor
  ) -> Result<CodedSound, MediaReasonError> {
    switch descriptor.objectTypeIndication {
    case 0x40, 0x66, 0x67, 0x68: break
    case 0x69, 0x6B: return MPEGAudioEntry.sound(entry)
    case let type:
      return .failure(
        "codec",
        "It is MPEG audio of object type 0x\(String(type, radix: 16)), not AAC or MP3; transcode it to AAC.")
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
    return .success(
      CodedSound(
        codec: .aac, codecString: CodecString.aac(configuration), channelCount: configuration.channelCount,
        sampleRateHertz: configuration.sampleRateHertz))
  }
}
