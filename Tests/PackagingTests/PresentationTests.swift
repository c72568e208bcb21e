import Packaging
import Testing

/// Which sound may travel with which picture, and what all playlists of a presentation share.
@Suite struct PresentationTests {
  /// Picture cut every 6.006 s; frames of sound of 1024/48000 s.
  static let video = PresentationRendition(
    name: "v", track: WriterFixture.video(), segments: WriterFixture.segments([540_540, 540_540, 540_540]))

  /// Sound of so many frames in each segment.
  static func sound(_ frames: [UInt64], startTicks: UInt64 = 0, codec: TrackCodec = .aac)
    -> PresentationRendition
  {
    var segments = WriterFixture.segments(frames.map { $0 * 1024 }, startTicks: startTicks)
    for index in segments.indices { segments[index].sampleCount = UInt32(frames[index]) }
    var track = WriterFixture.audio()
    track.codec = codec
    return PresentationRendition(name: "a", track: track, segments: segments)
  }

  static func isMuxed(_ sound: PresentationRendition, with video: PresentationRendition = video) -> Bool {
    Presentation(renditions: [video, sound], durationMilliseconds: 18018).muxedSound(of: video) == sound
  }

  // 6.006 s are 281.53 frames: the plan cuts at frames 282, 564, 845.
  @Test func soundOfTheSamePlanTravelsWithThePicture() {
    #expect(Self.isMuxed(Self.sound([282, 282, 281])))
    #expect(Self.isMuxed(Self.sound([281, 282, 282])))
    #expect(Self.isMuxed(Self.sound([280, 282, 281], startTicks: 2048)))
    #expect(Self.isMuxed(Self.sound([282, 282])), "ends early")
    #expect(Self.isMuxed(Self.sound([282, 200])), "ends early, inside of a segment")
    #expect(Self.isMuxed(Self.sound([282, 282, 282, 300])), "lasts longer")
    #expect(Self.isMuxed(Self.sound([282, 282, 281], codec: .ac3)))
  }

  @Test func soundOfAnotherPlanDoesNot() {
    #expect(!Self.isMuxed(Self.sound([279, 282, 281])))
    #expect(!Self.isMuxed(Self.sound([284, 282, 281])))
    #expect(!Self.isMuxed(Self.sound([282, 563])), "fewer segments, but not because it ends")
    #expect(!Self.isMuxed(Self.sound([282, 282, 200, 82])), "more segments before the picture ends")
    #expect(!Self.isMuxed(Self.sound([])))
    #expect(!Self.isMuxed(Self.sound([282, 282, 281], codec: .opus)))
    var av1 = Self.video
    av1.track.codec = .av1
    #expect(!Self.isMuxed(Self.sound([282, 282, 281]), with: av1))
    let sound = Self.sound([282, 282, 281])
    #expect(
      Presentation(renditions: [sound], durationMilliseconds: 1).muxedSound(of: sound) == nil,
      "sound is no picture")
  }

  @Test func theFirstSoundThatFitsIsTaken() {
    var misfit = Self.sound([270, 282, 281])
    misfit.name = "misfit"
    var second = Self.sound([282, 282, 281])
    second.name = "second"
    let presentation = Presentation(
      renditions: [Self.video, misfit, second, Self.sound([282, 282, 281])], durationMilliseconds: 1)
    #expect(presentation.muxedSound(of: Self.video)?.name == "second")
  }

  @Test func survivesTimesOutsideOfAllRanges() {
    var video = Self.video
    video.segments[1].startTicks = .max
    var sound = Self.sound([282, 282, 281])
    sound.track.timescale = 0
    sound.segments[1].sampleCount = 0
    sound.segments[2].durationTicks = .max
    sound.segments[2].startTicks = .max
    #expect(!Self.isMuxed(sound, with: video))
  }

  @Test func targetDurationCoversKeyFramesToo() {
    var video = Self.video
    let without = Presentation(renditions: [video], durationMilliseconds: 1).targetDurationSeconds
    #expect(without == 6)
    video.keyFrames = MultivariantFormTests.keyFrames([540_540, 675_000])
    let presentation = Presentation(renditions: [video], durationMilliseconds: 1)
    #expect(presentation.targetDurationSeconds == 8)
  }
}
