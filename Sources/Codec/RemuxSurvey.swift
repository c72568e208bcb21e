internal import CLibAV
internal import Packaging

/// What the second reading of a remux goes by.
struct RemuxPlan {
  struct Track {
    var index: Int
    /// A clock that has not placed anything yet.
    var clock: TrackClock
    var shift: TrackClock.Shift
  }

  var tracks: [Track] = []
  var join: ClockJoin?
  var subtitles: [RemuxReport.Subtitles] = []
  var leftOut: [RemuxReport.LeftOut] = []
  var defects: [RemuxReport.Remark] = []
}

/// The first reading of a file that is remuxed.
struct RemuxSurvey {
  /// The second reading found other streams than the first: the file was changed meanwhile.
  static let changed = CodecError(
    code: "input", underlying: 0, message: "The input is not what it was at the first reading.")

  private(set) var streams: RemuxStreams
  private var subtitles: RemuxSubtitles
  private let fresh: [Int: TrackClock]
  private var clocks: [Int: TrackClock]
  private let freshJoin: ClockJoin?
  private var join: ClockJoin?
  /// How many streams were known when the file was opened.
  private let known: Int
  private var damaged = 0
  private var isWhole = true

  init(_ demuxer: Demuxer, clocks kind: Remux.Clocks) {
    let all = demuxer.streams
    let streams = RemuxStreams(demuxer)
    known = all.count
    subtitles = RemuxSubtitles(streams, of: demuxer)
    var clocks: [Int: TrackClock] = [:]
    for index in streams.tracks where index < all.count { clocks[index] = Self.clock(all[index].pointee) }
    self.streams = streams
    self.clocks = clocks
    fresh = clocks
    freshJoin = kind == .jumping ? ClockJoin(ticksPerSecond: 90_000) : nil
    join = freshJoin
  }

  /// The clock of a stream's track. Sound counts samples. Pictures take the container's clock, made finer by a whole
  /// number where it is coarse, so that no time is rounded; one finer than a microsecond is made coarser, since the
  /// tables of MP4 have 32 bits for the length of a sample.
  private static func clock(_ stream: AVStream) -> TrackClock {
    let base = TimeBase(numerator: stream.time_base.num, denominator: stream.time_base.den)
    let parameters = stream.codecpar.pointee
    let isVideo = parameters.codec_type == AVMEDIA_TYPE_VIDEO
    let rate = Int64(parameters.sample_rate)
    let timescale = isVideo ? pictureTimescale(base) : rate < 1 ? 90_000 : rate
    return TrackClock(isVideo: isVideo, base: base, timescale: timescale)
  }

  /// Ticks per second of a video track for pictures that count their time in `base`.
  static func pictureTimescale(_ base: TimeBase) -> Int64 {
    var timescale = Int64(base.denominator)
    if timescale < 1 { timescale = 90_000 }
    while timescale < 10_000 { timescale *= 2 }
    return min(timescale, 1_000_000)
  }

  mutating func read(_ demuxer: Demuxer) throws(CodecError) {
    var survey = self
    survey.isWhole = try RemuxPackets.forEach(demuxer) { packet throws(CodecError) in
      survey.take(packet, demuxer)
    }
    self = survey
  }

  private mutating func take(_ packet: UnsafeMutablePointer<AVPacket>, _ demuxer: Demuxer) {
    let index = Int(packet.pointee.stream_index)
    guard clocks[index] != nil else { return subtitles.take(packet) }
    if packet.pointee.flags & AV_PKT_FLAG_CORRUPT != 0 { damaged += 1 }
    let times = RemuxPackets.times(of: packet, in: demuxer, joinedBy: &join)
    _ = clocks[index]?.place(times)
  }

  /// Draws the conclusions, at the end of the file.
  func plan(_ demuxer: Demuxer) -> RemuxPlan {
    var plan = RemuxPlan()
    var leftOut = streams.leftOut
    let all = demuxer.streams
    for index in streams.tracks where index < all.count {
      guard let clock = clocks[index], let unused = fresh[index] else { continue }
      if let (code, message) = Self.uselessness(clock, all[index].pointee.codecpar.pointee) {
        leftOut.append(RemuxStreams.leftOut(index, all[index], code, message))
      } else {
        plan.tracks.append(RemuxPlan.Track(index: index, clock: unused, shift: TrackClock.Shift()))
      }
    }
    for index in known..<max(known, all.count) {
      leftOut.append(
        RemuxStreams.leftOut(index, all[index], "late-stream", "The stream begins in the middle of the file.")
      )
    }
    for index in subtitles.givenUp where index < all.count {
      leftOut.append(
        RemuxStreams.leftOut(index, all[index], "too-many-cues", "The subtitles are larger than any film's."))
    }
    let used = plan.tracks.compactMap { clocks[$0.index] }
    let startMicroseconds = shift(&plan)
    plan.join = freshJoin
    plan.subtitles = subtitles.finish(startMicroseconds: startMicroseconds)
    plan.leftOut = leftOut
    plan.defects = defects(used)
    return plan
  }

  /// Why a stream cannot be a track after all.
  private static func uselessness(_ clock: TrackClock, _ parameters: AVCodecParameters) -> (String, String)? {
    if clock.placed == 0 {
      return clock.droppedPictures > 0
        ? ("no-key-frame", "None of the stream's \(clock.droppedPictures) pictures can be decoded by itself.")
        : ("no-samples", "The stream is announced and never carries anything.")
    }
    let isKnown =
      clock.isVideo
      ? parameters.width > 0 && parameters.height > 0
      : parameters.sample_rate > 0 && parameters.ch_layout.nb_channels > 0
    return isKnown
      ? nil : ("no-parameters", "The stream does not tell its \(clock.isVideo ? "size" : "rate").")
  }

  /// Gives each track the start of the file on its own clock.
  /// - Returns: the start in microseconds of the source's clock.
  private func shift(_ plan: inout RemuxPlan) -> Int64 {
    var earliest: (ticks: Int64, timescale: Int64)?
    for clock in plan.tracks.compactMap({ clocks[$0.index] }) {
      guard let start = clock.start else { continue }
      if let now = earliest,
        Int128(start) * Int128(now.timescale) >= Int128(now.ticks) * Int128(clock.timescale)
      {
        continue
      }
      earliest = (start, clock.timescale)
    }
    guard let earliest else { return 0 }
    func start(in timescale: Int64) -> Int64 {
      TimeBase.divide(Int128(earliest.ticks) * Int128(timescale), by: Int128(earliest.timescale)) ?? 0
    }
    for position in plan.tracks.indices {
      guard let clock = clocks[plan.tracks[position].index] else { continue }
      plan.tracks[position].shift = TrackClock.Shift(
        zero: start(in: clock.timescale), lead: clock.lead, firstDecodes: clock.firstDecodes)
    }
    return start(in: 1_000_000)
  }

  private func defects(_ clocks: [TrackClock]) -> [RemuxReport.Remark] {
    var defects: [RemuxReport.Remark] = []
    func note(_ code: String, _ count: Int, _ message: String) {
      if count > 0 { defects.append(RemuxReport.Remark(code: code, message: message)) }
    }
    func total(_ value: (TrackClock) -> Int) -> Int { clocks.reduce(0) { $0 + value($1) } }
    let dropped = total(\.droppedPictures)
    note(
      RemuxReport.DefectCode.noKeyFrameFirst, dropped,
      "\(dropped) pictures at the start refer to ones before the file, and were dropped.")
    let jumps = join?.jumps ?? 0
    note(
      RemuxReport.DefectCode.discontinuity, jumps,
      "The clock jumps \(jumps) times; the jumps were closed up on all streams alike.")
    let gaps = total(\.gaps)
    note(RemuxReport.DefectCode.gap, gaps, "The sound pauses \(gaps) times for more than a second.")
    let repaired = total(\.repaired)
    note(
      RemuxReport.DefectCode.timestampsRepaired, repaired,
      "The times of \(repaired) packets contradicted those before them, and were moved.")
    let lost = total(\.withoutTime)
    note(
      RemuxReport.DefectCode.packetsDropped, lost,
      "\(lost) packets have no time and nothing to reckon one from, and were dropped.")
    note(
      RemuxReport.DefectCode.damagedPackets, damaged,
      "\(damaged) packets are marked as damaged on their way; they were kept.")
    note(
      RemuxReport.DefectCode.truncated, isWhole ? 0 : 1,
      "The file cannot be read to its end; what was read until then is kept.")
    return defects
  }
}
