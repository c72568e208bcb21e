import Packaging
import Testing

@Suite("Which coding travels in which form")
struct CodecCarriageTests {
  @Test(
    arguments: [
      (.avc, true, false), (.hevc, true, true), (.aac, true, false), (.mp3, true, false), (.ac3, true, false),
      (.eac3, true, false), (.av1, false, true), (.vp9, false, true), (.flac, false, true),
      (.opus, false, true),
      (.alac, false, true), (.unsupported(FourCC("sowt")), false, true),
    ] as [(TrackCodec, Bool, Bool)])
  func carriage(codec: TrackCodec, isInTransportStream: Bool, hlsNeedsFragments: Bool) {
    #expect(codec.isInTransportStream == isInTransportStream)
    #expect(codec.hlsNeedsFragments == hlsNeedsFragments)
  }
}
