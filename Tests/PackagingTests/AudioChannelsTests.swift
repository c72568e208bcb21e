import Testing

@testable import Packaging

@Suite("What manifests say of channels")
struct AudioChannelsTests {
  static func track(_ codec: TrackCodec, _ entry: [UInt8], channels: UInt16, rate: UInt32 = 48000) -> Track {
    var track = WriterFixture.audio()
    track.codec = codec
    track.sampleEntry = entry
    track.channelCount = channels
    track.sampleRateHertz = rate
    return track
  }

  static func dolby(_ codec: TrackCodec, _ body: [UInt8]) -> Track {
    let isEnhanced = codec == .eac3
    let box = BoxBytes.box(isEnhanced ? "dec3" : "dac3", body)
    return track(codec, AudioConfigurationTests.entry(isEnhanced ? "ec-3" : "ac-3", box), channels: 2)
  }

  static let dolbyScheme = "tag:dolby.com,2014:dash:audio_channel_configuration:2011"

  /// `acmod` in all its values without and with low frequencies.
  @Test(
    arguments: zip(
      UInt8(0)..<16,
      [
        "A000", "A001", "4000", "4001", "A000", "A001", "E000", "E001", "A100", "A101", "E100", "E101",
        "B800",
        "B801", "F800", "F801",
      ]))
  func namesTheSpeakersOfAC3(mode: UInt8, expected: String) {
    let track = Self.dolby(.ac3, [0x10, mode << 2, 0x40])
    let descriptor = AudioChannels(track).descriptor
    #expect(descriptor == .init(scheme: Self.dolbyScheme, value: expected))
  }

  /// `chan_loc` bit by bit behind 3/2 with low frequencies.
  @Test(
    arguments: zip(
      0..<9,
      [
        ("FC01", 8), ("FA01", 8), ("F901", 7), ("F881", 7), ("F841", 8), ("F821", 8), ("F811", 8),
        ("F809", 7),
        ("F803", 7),
      ] as [(String, UInt16)]))
  func namesTheSpeakersOfDependentSubstreams(bit: Int, expected: (String, UInt16)) {
    let locations = 1 << bit
    let body: [UInt8] = [0x0E, 0, 0x20, 0x0F, UInt8(2 | locations >> 8), UInt8(locations & 0xFF)]
    let track = Self.dolby(.eac3, body)
    #expect(AudioChannels(track).descriptor?.value == expected.0)
    #expect(DolbyAudioConfiguration(track)?.channelCount == expected.1)
  }

  @Test func objectsAreTold() throws {
    let track = Self.dolby(.eac3, [0x18, 0, 0x20, 0x0F, 0, 1, 16])
    let channels = AudioChannels(track)
    #expect(channels.objectComplexity == 16)
    #expect(channels.playlistText == "16/JOC")
    #expect(channels.descriptor == .init(scheme: Self.dolbyScheme, value: "F801"))
    // The flag is what counts, and half an extension is none.
    for tail in [[0, 16], [1], []] as [[UInt8]] {
      let plain = AudioChannels(Self.dolby(.eac3, [0x18, 0, 0x20, 0x0F, 0] + tail))
      #expect(plain.objectComplexity == nil)
      #expect(plain.playlistText == "2")
    }

    let rendition = PresentationRendition(
      name: "a", track: track, segments: WriterFixture.segments([48000]))
    let text = MPDTests.text([rendition])
    #expect(
      text.contains(
        """
                <AudioChannelConfiguration schemeIdUri="\(Self.dolbyScheme)" value="F801"/>
                <SupplementalProperty schemeIdUri="tag:dolby.com,2018:dash:EC3_ExtensionType:2018" value="JOC"/>
                <SupplementalProperty \
        schemeIdUri="tag:dolby.com,2018:dash:EC3_ExtensionComplexityIndex:2018" value="16"/>
                <SegmentTemplate
        """), "\(text)")
    #expect(MPDTests.elements(text) != nil)
    let picture = MultivariantPlaylistTests.video("v")
    #expect(MultivariantPlaylistTests.text([picture, rendition]).contains(",CHANNELS=\"16/JOC\",URI="))
  }

  @Test(
    arguments: [
      (.aac, 4, "4"), (.alac, 4, "4"), (.flac, 4, "9"), (.opus, 4, "9"), (.aac, 8, "7"), (.alac, 8, "7"),
      (.flac, 8, "12"), (.opus, 8, "12"), (.flac, 7, "11"), (.mp3, 2, "2"), (.mp3, 1, "1"), (.opus, 9, nil),
      (.flac, 0, nil),
    ] as [(TrackCodec, UInt16, String?)])
  func givesEachCodingItsOrder(codec: TrackCodec, count: UInt16, expected: String?) {
    let descriptor = AudioChannels(Self.track(codec, [], channels: count)).descriptor
    #expect(
      descriptor == expected.map { .init(scheme: "urn:mpeg:mpegB:cicp:ChannelConfiguration", value: $0) })
  }

  @Test func soundFieldsHaveNoSpeakers() {
    let mapping: [UInt8] = [4, 0] + [0, 1, 2, 3]
    for (family, expected) in [(UInt8(1), "9"), (3, nil), (255, nil)] as [(UInt8, String?)] {
      let box = AudioConfigurationTests.dOps(4, family: family, mapping: mapping)
      let track = Self.track(.opus, AudioConfigurationTests.entry("Opus", box), channels: 4)
      #expect(AudioChannels(track).descriptor?.value == expected)
      #expect(AudioChannels(track).playlistText == "4")
    }
  }

  /// An entry that lost its configuration, as a damaged index could have it, states the count.
  @Test func anUnreadableEntryFallsBackToTheCount() {
    for entry in [[], [1, 2, 3], AudioConfigurationTests.entry("ec-3", [])] as [[UInt8]] {
      let channels = AudioChannels(Self.track(.eac3, entry, channels: 6))
      #expect(channels.playlistText == "6")
      #expect(channels.descriptor?.value == "6")
    }
  }

  @Test(
    arguments: [
      (.opus, "Opus", 48000, "opus"), (.flac, "fLaC", 44100, "flac"), (.mp3, "mp4a.40.34", 44100, "mp4a.6B"),
      (.mp3, "mp4a.40.34", 22050, "mp4a.69"), (.ac3, "ac-3", 48000, "ac-3"), (.alac, "alac", 48000, "alac"),
      (.aac, "mp4a.40.5", 48000, "mp4a.40.5"),
    ] as [(TrackCodec, String, UInt32, String)])
  func manifestsSpellTheCodecAsTheirPlayersDo(
    codec: TrackCodec, string: String, rate: UInt32, expected: String
  ) throws {
    var track = Self.track(codec, [], channels: 2, rate: rate)
    track.codecString = string
    let rendition = PresentationRendition(
      name: "a", track: track, segments: WriterFixture.segments([48000]))
    let found = MPDTests.values(MPDTests.text([rendition]), "Representation", "codecs")
    #expect(found == [expected])
    let playlist = MultivariantPlaylistTests.text([MultivariantPlaylistTests.video("v"), rendition])
    #expect(playlist.contains("CODECS=\"avc1.64001f,\(string)\""))
  }
}
