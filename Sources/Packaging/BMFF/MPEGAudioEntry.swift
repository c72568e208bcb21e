// MP3, which needs no decoder configuration: every frame says all.
//
// ISO files have it as `mp4a` with an object type: 0x6B is ISO/IEC 11172-3 (32 kHz and above), 0x69 its extension to
// lower rates, ISO/IEC 13818-3. QuickTime has entries of its own, which nothing but QuickTime reads in fragments; they
// become `mp4a` with an `esds` of ours.
//
// Channels and rate are the entry's word, the only one there is outside of the frames. Writers that state two channels
// whatever there is have manifests say two of mono, which no player takes amiss.

enum MPEGAudioEntry {
  /// `.mp3`, and Microsoft's format tag 0x55 behind `ms`.
  static let quickTimeTypes = [FourCC(".mp3"), FourCC(rawValue: 0x6D73_0055)]

  /// MP3 as the head of an entry describes it.
  static func sound(_ entry: AudioSampleEntry) -> Result<CodedSound, MediaReasonError> {
    guard (1...2).contains(entry.channelCount), (8000...48000).contains(entry.sampleRateHertz) else {
      return .failure("sample-entry", "Its sample entry states channels or a rate that MP3 does not have.")
    }
    return .success(
      CodedSound(
        codec: .mp3, codecString: CodecString.mp3, channelCount: entry.channelCount,
        sampleRateHertz: entry.sampleRateHertz))
  }

  /// A QuickTime entry, rewritten.
  ///
  /// Only where each sample is a packet. Elsewhere QuickTime counts decoded samples: its tables then say where
  /// chunks lie, and nothing of frames.
  static func read(_ box: borrowing Box) -> Result<SampleEntry, MediaReasonError> {
    guard let entry = AudioSampleEntry(box, configuredBy: FourCC("esds")) else {
      return .failure("sample-entry", "Its sample entry is cut short.")
    }
    if entry.isEncrypted { return .failure("encrypted", "It is encrypted (Common Encryption).") }
    guard entry.version == 1 && entry.compression == 0xFFFE || entry.version == 2 else {
      return .failure(
        "codec", "It is MP3 whose sample tables do not tell its frames apart; remux it to MP4.")
    }
    return sound(entry).map { sound in
      let type: UInt8 = sound.sampleRateHertz >= 32000 ? 0x6B : 0x69
      return SampleEntry(
        codec: .mp3,
        bytes: AudioSampleEntry.isoEntry(FourCC("mp4a"), sound, configuration: descriptor(type)),
        codecString: sound.codecString, channelCount: sound.channelCount,
        sampleRateHertz: sound.sampleRateHertz)
    }
  }

  /// `esds` (ISO/IEC 14496-1 §7.2.6.5) of an object type without specific configuration. Buffer size and rates 0 are
  /// "not known"; the stream identifier is 0, as ISO/IEC 14496-14 wants it in a file.
  private static func descriptor(_ objectType: UInt8) -> [UInt8] {
    var writer = BoxWriter(capacityBytes: 35)
    let esds = writer.begin("esds", version: 0, flags: 0)
    writer.raw([3, 21, 0, 0, 0])  // ES_Descriptor: identifier 0, no flags
    writer.raw([4, 13, objectType, 0x15])  // DecoderConfigDescriptor: audio, upstream 0, reserved 1
    writer.zeros(11)
    writer.raw([6, 1, 2])  // SLConfigDescriptor: predefined for MP4
    writer.end(esds)
    return writer.bytes
  }
}
