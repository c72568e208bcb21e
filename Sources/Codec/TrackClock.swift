/// Places the packets of one stream on the clock of its track.
///
/// Video: what stands before the first key frame is dropped. *Leading* pictures, which follow it in the file and precede
/// it in presentation, stay: decoders do not show them where they refer to what is not there, but keep count of them.
/// The track starts with the key frame all the same, and an edit hides what is before.
///
/// Decode times that do not increase are moved one tick past the one before. Where a picture would be shown before it is
/// decoded, all decode times are moved ahead alike (`lead`), which leaves every duration as it was. Matroska states
/// presentation times alone; libav reckons the decode times, but for those of the first pictures, which are reckoned
/// backwards here once the first two are there.
///
/// Audio: packets follow one another by their count of samples as long as the container agrees to within its rounding,
/// so that durations are exact. Where it disagrees, its time holds.
struct TrackClock: Sendable {
  /// A packet's times in units of 1/`timescale` seconds.
  struct Placement: Sendable, Equatable {
    var presentation: Int64
    var decode: Int64
    var duration: Int64
  }

  /// What the whole file had to be read for.
  struct Shift: Sendable, Equatable {
    /// Time zero of the output on the track's clock.
    var zero: Int64 = 0
    var lead: Int64 = 0
    /// In place of the decode times of as many packets, which are the first.
    var firstDecodes: [Int64] = []

    /// - Parameter number: how many packets were placed before.
    func apply(to placement: Placement, number: Int) -> Placement {
      let decode = number < firstDecodes.count ? firstDecodes[number] : placement.decode
      return Placement(
        presentation: max(placement.presentation, decode - lead) - zero, decode: decode - lead - zero,
        duration: placement.duration)
    }
  }

  let isVideo: Bool
  let base: TimeBase
  let timescale: Int64

  /// How many packets were placed.
  private(set) var placed = 0
  private(set) var droppedPictures = 0
  private(set) var withoutTime = 0
  private(set) var repaired = 0
  /// Pauses of the sound that are longer than a second.
  private(set) var gaps = 0
  /// The time of the first key frame, or at which something is heard first.
  private(set) var start: Int64?
  /// How far the latest picture is shown before its decoding.
  var lead: Int64 {
    zip(firstDecodes, undecided).reduce(statedLead) { max($0, min($1.0 - $1.1, longest)) }
  }
  private(set) var firstDecodes: [Int64] = []

  private var statedLead: Int64 = 0
  /// Presentation times of the first pictures, as long as no decode time was stated.
  private var undecided: [Int64] = []
  private var firstStated: Int64?
  private var lastDecode: Int64 = 0
  private var lastDuration: Int64 = 0

  init(isVideo: Bool, base: TimeBase, timescale: Int64) {
    self.isVideo = isVideo
    self.base = base
    self.timescale = timescale
  }

  /// The packet's place; nil where it is to be left out.
  mutating func place(_ times: PacketTimes) -> Placement? {
    let placement = isVideo ? placePicture(times) : placeSound(times)
    guard let placement else { return nil }
    placed += 1
    lastDecode = placement.decode
    lastDuration = placement.duration
    return placement
  }

  private func scale(_ ticks: Int64?) -> Int64? { ticks.flatMap { base.scale($0, to: timescale) } }

  // MARK: - Video

  private mutating func placePicture(_ times: PacketTimes) -> Placement? {
    guard start != nil || times.isKey else {
      droppedPictures += 1
      return nil
    }
    let expected: Int64? = placed > 0 ? lastDecode + max(lastDuration, 1) : nil
    guard let presentation = scale(times.presentation) ?? scale(times.decode) ?? expected else {
      withoutTime += 1
      return nil
    }
    let duration = min(max(scale(times.duration) ?? 0, 0), longest)
    let stated = scale(times.decode)
    var decode = stated ?? expected ?? presentation
    if stated == nil, undecided.count == placed, placed < Self.mostUndecided {
      // What is returned for it in this reading is a stopgap, in the next it is what `decide` finds.
      undecided.append(presentation)
      start = start ?? presentation
      return Placement(presentation: presentation, decode: decode, duration: max(duration, 1))
    }
    if placed > undecided.count, decode <= lastDecode {
      decode = lastDecode + 1
      repaired += 1
    }
    var shown = presentation
    if shown < decode - longest {
      // No reordering of pictures reaches that far: the time is damaged.
      shown = decode
      repaired += 1
    }
    statedLead = max(statedLead, decode - shown)
    decide(decode, duration: duration)
    start = start ?? shown
    return Placement(
      presentation: shown, decode: decode, duration: duration > 0 ? duration : max(lastDuration, 1))
  }

  /// More pictures are not reordered by any coding (H.264 and HEVC: 16).
  private static let mostUndecided = 32

  /// Reckons the decode times of the first pictures, when that of a later one is known.
  private mutating func decide(_ decode: Int64, duration: Int64) {
    if !undecided.isEmpty, firstDecodes.isEmpty || placed == undecided.count + 1 {
      // From the first time alone, and again from the first two.
      let first = firstStated ?? decode
      let step = firstStated == nil ? max(duration, 1) : min(max(decode - first, 1), longest)
      firstStated = first
      firstDecodes = undecided.indices.map { first - Int64(undecided.count - $0) * step }
    }
  }

  /// Ten seconds: no picture lasts longer, or is shown so much before its decoding.
  private var longest: Int64 { 10 * timescale }

  // MARK: - Audio

  private mutating func placeSound(_ times: PacketTimes) -> Placement? {
    let stated = times.presentation ?? times.decode
    let time: Int64
    if placed == 0 {
      // What is heard first is at a time of the container; the delay before it is counted in samples.
      let skipped = max(0, min(times.skippedSamples, timescale))
      let ticks = base.ticks(skipped, of: timescale) ?? 0
      guard let stated, let heard = scale(stated.addingReportingOverflow(ticks).partialValue) else {
        withoutTime += 1
        return nil
      }
      start = heard
      time = heard - skipped
    } else {
      let expected = lastDecode + lastDuration
      let container = scale(stated) ?? expected
      if (container - expected).magnitude <= tolerance.magnitude {
        time = expected
      } else if container > lastDecode {
        if container - expected > timescale { gaps += 1 }
        time = container
      } else {
        // What overlaps is squeezed, so that the sound does not fall behind the pictures.
        time = lastDecode + 1
        repaired += 1
      }
    }
    let counted = times.samples ?? scale(times.duration) ?? 0
    let duration = min(max(counted - max(times.discardedSamples, 0), 1), longest)
    return Placement(presentation: time, decode: time, duration: duration)
  }

  /// Two milliseconds, and a tick of the container.
  private var tolerance: Int64 { timescale / 500 + (base.scale(1, to: timescale) ?? 0) }
}
