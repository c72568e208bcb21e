// One key frame as a segment of its own, for I-frame playlists and trick-play sets.
//
// It is a fragment of one sample, made by the same code as any media segment, and goes with the rendition's own init
// segment. That may hold an edit list, which takes `media_time` off the time of all that follows it; so `tfdt` is the
// presentation time plus that, and there is no composition offset. The sample lasts until the next key frame of the
// list: played one after the other, the pictures are a film of the same length.

/// Makes segments of a single key frame.
public enum IFrameSegment {
  /// Bytes in front of the picture: all that `FragmentLayout` writes for one sample without composition offset.
  static let headBytes: UInt64 = 132

  /// The segment of `keyFrame`.
  ///
  /// - Parameters:
  ///   - number: its place in the list, from 0; `mfhd` counts from 1.
  ///   - firstDecodeTicks: `decodeTicks` of the track's segment 0, as it was given to `InitSegment.bytes`.
  /// - Complexity: constant.
  public static func make(
    track: Track, keyFrame: KeyFrame, number: Int, firstDecodeTicks: UInt64 = 0
  ) -> MediaSegment {
    let (unshifted, sample) = picture(keyFrame, of: track, firstDecodeTicks: firstDecodeTicks)
    return MediaSegment.make(
      track: unshifted, sequenceNumber: sequenceNumber(number), samples: [sample])
  }

  /// `mfhd` of picture `number`, which counts from 1.
  public static func sequenceNumber(_ number: Int) -> UInt32 {
    UInt32(clamping: UInt64(clamping: number).addingSaturating(1))
  }

  /// The picture as the only sample of a segment, and the track to write that segment for.
  ///
  /// - Parameter firstDecodeTicks: as in `make`.
  public static func picture(
    _ keyFrame: KeyFrame, of track: Track, firstDecodeTicks: UInt64 = 0
  ) -> (track: Track, sample: Sample) {
    let timing = FragmentTiming(track: track, firstDecodeTicks: firstDecodeTicks)
    let baseTicks = keyFrame.startTicks.addingSaturating(UInt64(clamping: timing.editMediaTicks ?? 0))
    // What was shifted already must not be shifted again.
    var unshifted = track
    unshifted.presentationShiftTicks = 0
    let sample = Sample(
      offset: keyFrame.offset, sizeBytes: keyFrame.sizeBytes,
      durationTicks: UInt32(clamping: keyFrame.durationTicks), decodeTicks: baseTicks,
      compositionOffsetTicks: 0, isSync: true)
    return (unshifted, sample)
  }
}
