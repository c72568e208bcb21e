/// The times of a remux: from what a container says to what an MP4 track needs.
///
/// A track of an MP4 has a clock of its own (its *timescale*), decode times that increase strictly, and presentation
/// times that are never before them. Containers break each of these. Two types put it right, both of them without
/// looking at anything but the packets in file order, so that a second reading of the file gives the same times:
///
/// - `ClockJoin` makes one clock out of a transport stream's, which may jump (ISO/IEC 13818-1 §2.4.3.4).
/// - `TrackClock` places the packets of one stream on the clock of its track.
///
/// What is only known at the end of the file (where it starts, how far presentation lags behind) is applied by
/// `TrackClock.Shift` in the second reading.
struct TimeBase: Sendable, Equatable {
  /// Seconds of one tick, as a fraction of positive numbers.
  var numerator: Int32
  var denominator: Int32

  /// Further than any real time, near enough that adding some of them does not overflow.
  static let farthestTicks: Int64 = 1 << 52

  /// `ticks` of this base in units of 1/`timescale` seconds, to the nearest; nil where that is absurdly far.
  func scale(_ ticks: Int64, to timescale: Int64) -> Int64? {
    Self.divide(Int128(ticks) * Int128(numerator) * Int128(timescale), by: Int128(denominator))
  }

  /// `units` of 1/`timescale` seconds in ticks of this base.
  func ticks(_ units: Int64, of timescale: Int64) -> Int64? {
    Self.divide(Int128(units) * Int128(denominator), by: Int128(numerator) * Int128(timescale))
  }

  /// To the nearest, halves away from zero; nil past the farthest time.
  static func divide(_ value: Int128, by divisor: Int128) -> Int64? {
    guard divisor > 0 else { return nil }
    let half = value < 0 ? -(divisor / 2) : divisor / 2
    let result = (value + half) / divisor
    return result.magnitude <= Int128(farthestTicks).magnitude ? Int64(result) : nil
  }
}

/// What a container says about the time of one packet, in ticks of its stream's time base.
struct PacketTimes: Sendable, Equatable {
  var presentation: Int64?
  var decode: Int64?
  /// 0 where it is not known.
  var duration: Int64 = 0
  var isKey = true
  /// Samples that an audio packet holds, nil where only `duration` tells.
  var samples: Int64?
  /// Decoded samples of the first packet that are not to be heard (an encoder's delay).
  var skippedSamples: Int64 = 0
  /// Decoded samples at the end of the packet that are not to be heard.
  var discardedSamples: Int64 = 0
}

/// Closes the jumps of a transport stream's clock.
///
/// A jump begins an *epoch*: from then on one shift is added to the times of all streams, so that their relation stays.
/// Streams enter a new epoch one after the other, as their packets lie interleaved; each stays in its epoch until a
/// packet fits the newest one better.
struct ClockJoin: Sendable {
  /// A pause of all streams that is longer is closed up.
  let longestPauseTicks: Int64
  /// A stream that goes back by more has begun again.
  let longestStepBackTicks: Int64

  private struct Track {
    var epoch: Int
    /// Where the next packet is expected, on the joined clock.
    var expected: Int64
  }

  private var tracks: [Int: Track] = [:]
  /// Of the last two epochs, by parity; a stream that is further behind enters the newest.
  private var shifts: [Int64] = [0, 0]
  private var epoch = 0
  /// The latest packet of any stream.
  private var newest: Int64?

  /// How many jumps were closed up.
  var jumps: Int { epoch }

  init(ticksPerSecond: Int64) {
    longestPauseTicks = 10 * ticksPerSecond
    longestStepBackTicks = ticksPerSecond
  }

  /// The shift for a packet, to be added to its presentation and decode times.
  /// - Parameter ticks: its decode time, or presentation time where it has no other.
  mutating func shift(stream: Int, ticks: Int64, duration: Int64) -> Int64 {
    guard ticks.magnitude <= TimeBase.farthestTicks.magnitude else { return 0 }
    var track = tracks[stream] ?? Track(epoch: epoch, expected: newest ?? ticks &+ shifts[epoch & 1])
    if track.epoch != epoch {
      let stays = track.epoch == epoch - 1
      let old = (ticks &+ shifts[track.epoch & 1] &- track.expected).magnitude
      let new = (ticks &+ shifts[epoch & 1] &- track.expected).magnitude
      if !stays || new < old { track.epoch = epoch }
    }
    var time = ticks &+ shifts[track.epoch & 1]
    let isPause =
      newest.map { time > $0 &+ longestPauseTicks && time > track.expected &+ longestPauseTicks } ?? false
    if isPause || time < track.expected &- longestStepBackTicks {
      // All streams go on where the last of them ended.
      let end = tracks.values.reduce(track.expected) { max($0, $1.expected) }
      epoch += 1
      shifts[epoch & 1] = end &- ticks
      track.epoch = epoch
      time = end
    }
    track.expected = time &+ max(0, min(duration, longestStepBackTicks))
    tracks[stream] = track
    newest = time
    return shifts[track.epoch & 1]
  }
}
