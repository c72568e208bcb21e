// How the time of a source track becomes the time of an init segment and its fragments.
//
// The promise made to players: presentation time 0 of every track is the start of the presentation, the
// same instant for picture and sound, so that a media playlist needs no offset and an MPD no
// `presentationTimeOffset`. A sample of the source is presented at
//
//     decode time + composition offset + s        where s is `Track.presentationShiftTicks`
//
// and what we write must come to the same sum: tfdt-based decode time + `trun` offset - edit `media_time`.
//
// 1. s >= 0 (no edit, or an empty edit that starts the track late). The whole track moves: `tfdt` is
//    decode + s, offsets stay, no edit list.
//
// 2. s < 0 (an edit trims the front). First the clock is set back by r = min(first kept decode time, -s),
//    so that `tfdt` starts near 0 and stays close to the presentation time. A source trimmed by an hour
//    keeps no sample of that hour; were its decode times kept, players that place fragments by `tfdt`
//    alone would put them an hour late. r is never more than -s, so nothing is presented early, and never
//    more than the first decode time, so no `tfdt` is negative. What is left is k = -s - r:
//    Where k > 0 (the delay of B frames; encoder priming of sound; video cut inside a GOP, whose first
//    pictures must be decoded but not shown) the init segment has an edit list of one entry with
//    `media_time` k. Samples that end before k are decoded and not presented.
//
// The delay of B frames could be written as negative composition offsets instead (`trun` version 1, and
// the only way under the `cmf2` brand). It was, and libavformat showed pictures 33 to 83 ms late against
// the sound: it moves a track of negative offsets as a whole, anew where a fragment begins. The edit list
// is what most of the world's fragmented files carry, and every player tried is exact with it.
//
// The rule depends only on the track and on the decode time of its first kept sample, so the init segment
// and all fragments agree, on every node and after every restart. CMAF (ISO/IEC 23000-19 §7.5.13) allows
// the `cmfc` brand exactly such an edit list; ISO/IEC 14496-12 §8.6.6 gives `segment_duration` 0 in a
// fragmented file the meaning "to the end".

/// The shift between a track's source times and the times its init segment and fragments state.
public struct FragmentTiming: Sendable, Equatable {
  /// Added to a source decode time to get the time in `tfdt`.
  public let decodeShiftTicks: Int64
  /// `media_time` of the one edit the init segment carries; `nil` where it carries none.
  public let editMediaTicks: Int64?

  /// The timing of `track`.
  ///
  /// - Parameter firstDecodeTicks: decode time of the first kept sample, that is `decodeTicks` of the
  ///   track's segment 0. The init segment and all media segments of a track must be given the same value.
  public init(track: Track, firstDecodeTicks: UInt64 = 0) {
    let shiftTicks = track.presentationShiftTicks
    guard shiftTicks < 0 else {
      decodeShiftTicks = shiftTicks
      editMediaTicks = nil
      return
    }
    let trimTicks = Int64(clamping: shiftTicks.magnitude)
    let setBackTicks = min(trimTicks, Int64(clamping: firstDecodeTicks))
    let leftTicks = trimTicks - setBackTicks
    decodeShiftTicks = -setBackTicks
    editMediaTicks = leftTicks > 0 ? leftTicks : nil
  }

  /// The `tfdt` time of a fragment whose first sample has the source decode time `decodeTicks`. A sum
  /// outside of 64 bits, which only a damaged source can ask for, ends at the nearest bound.
  public func baseMediaDecodeTicks(decodeTicks: UInt64) -> UInt64 {
    let (sum, overflow) =
      decodeShiftTicks < 0
      ? decodeTicks.subtractingReportingOverflow(decodeShiftTicks.magnitude)
      : decodeTicks.addingReportingOverflow(decodeShiftTicks.magnitude)
    return overflow ? (decodeShiftTicks < 0 ? 0 : .max) : sum
  }
}
