// What an operator may want to know about a file that is packaged all the same.
//
// Each note has a stable code and a sentence that says what was found and what it does to playback. Notes on the tables
// themselves (stts-short, no-stss, overlap, …) are made where the tables are read. Those here follow from the finished
// movie alone:
//
//   in-band-parameter-sets   hev1 and avc3 sample entries
//   single-key-frame         one key frame in more than ten seconds
//   long-gop                 more than ten seconds between key frames
//   variable-frame-rate      one picture in a hundred lasts a tenth longer or shorter than is usual, or more
//   gap                      a sample lasts more than a second and ten times as long as is usual
//   late-start               a track starts more than 0.1 s after the first
//   short-audio, long-audio  sound ends more than a second before or after the picture
//   hdr-mismatch             PQ or HLG in one video track, neither in another
//   misaligned-key-frames    a second video track cannot be cut where the first is

/// Finds what is odd about a movie that can be packaged.
public enum DefectReport {
  /// A group of pictures longer than this makes seeking and switching slow, in seconds.
  private static let longGroupSeconds: UInt64 = 10
  /// The segment length at which the key frames of two video tracks are compared.
  private static let targetMilliseconds: UInt32 = 4000
  private static let lateStartMilliseconds: Int128 = 100
  private static let endMilliseconds: Int128 = 1000
  /// Cuts of two tracks this close are the same instant: what clocks of 600 ticks a second round.
  private static let cutMilliseconds: Int128 = 5

  /// The notes on `movie`, in the order of its tracks, then those that compare tracks.
  ///
  /// Does not repeat what `movie.defects` has from the tables of the file.
  /// - Complexity: linear in the number of samples, but for sorting the durations of tracks where they vary.
  public static func defects(of movie: Movie) -> [Defect] {
    var result: [Defect] = []
    for track in movie.tracks where track.columns.count > 0 {
      if track.track.kind == .video { result += keyFrames(track) }
      guard track.track.kind == .video || track.track.kind == .audio else { continue }
      result += durations(track, isFragmented: movie.isFragmented)
    }
    return result + starts(movie.tracks) + ends(movie.tracks) + videoTracks(movie.tracks)
  }

  private static func keyFrames(_ movieTrack: MovieTrack) -> [Defect] {
    let track = movieTrack.track
    let columns = movieTrack.columns
    var result: [Defect] = []
    let code = SampleEntry.code(of: track.sampleEntry)
    if code == FourCC("hev1") || code == FourCC("avc3") {
      result.append(
        Defect(
          code: "in-band-parameter-sets",
          message:
            "Track \(track.id) is \(code): parameter sets may be in the samples, which Apple players do "
            + "not accept."))
    }
    if !columns.isSync(0) {
      result.append(
        Defect(
          code: "no-key-frame-first",
          message: "Track \(track.id) does not start with a key frame; its first pictures cannot be shown."))
    }
    // Where every sample is a sync sample no group is long.
    guard !columns.syncFlags.isEmpty || columns.count == 1 else { return result }
    var sinceSync: UInt64 = 0
    var syncCount = 0
    var longest: UInt64 = 0
    for index in 0..<columns.count {
      if columns.isSync(index) {
        longest = max(longest, sinceSync)
        sinceSync = 0
        syncCount += 1
      }
      sinceSync += UInt64(columns.durationsTicks[index])
    }
    longest = max(longest, sinceSync)
    guard longest > longGroupSeconds * UInt64(track.timescale) else { return result }
    if syncCount == 1 {
      result.append(
        Defect(
          code: "single-key-frame",
          message: "Track \(track.id) has one key frame: it is one segment, and seeking in it is slow."))
    } else {
      result.append(
        Defect(
          code: "long-gop",
          message: "Track \(track.id) has key frames up to \(longest / UInt64(track.timescale)) s apart, so "
            + "segments get as long."))
    }
    return result
  }

  /// Uneven durations. The last sample has none of its own: what is stated for it is a guess of the writer.
  private static func durations(_ movieTrack: MovieTrack, isFragmented: Bool) -> [Defect] {
    let track = movieTrack.track
    let ticks = movieTrack.columns.durationsTicks.dropLast()
    guard let first = ticks.first, ticks.contains(where: { $0 != first }) else { return [] }
    let sorted = ticks.sorted()
    let usual = UInt64(sorted[sorted.count / 2])
    let scale = UInt64(track.timescale)
    var result: [Defect] = []
    // What varies by less than two milliseconds is the rounding of coarse clocks.
    let tolerance = max(usual / 10, scale / 500)
    func isOdd(_ duration: UInt32) -> Bool {
      UInt64(duration) > usual + tolerance || UInt64(duration) + tolerance < usual
    }
    let oddCount = sorted.count { isOdd($0) }
    if track.kind == .video, oddCount > 1, oddCount * 100 > sorted.count, let last = sorted.last {
      result.append(
        Defect(
          code: "variable-frame-rate",
          message:
            "The pictures of track \(track.id) last from \(seconds(UInt64(sorted[0]), track.timescale)) to "
            + "\(seconds(UInt64(last), track.timescale)) s, usually \(seconds(usual, track.timescale)) s: its "
            + "frame rate is an average, and segments vary in length."))
    }
    // In fragments such a duration is made by the reader, which has noted it.
    guard !isFragmented else { return result }
    func isGap(_ duration: UInt32) -> Bool { UInt64(duration) > max(scale, usual * 10) }
    var time: UInt64 = 0
    var count = 0
    var longest: (ticks: UInt64, place: UInt64) = (0, 0)
    for duration in ticks {
      if isGap(duration) {
        count += 1
        if UInt64(duration) > longest.ticks { longest = (UInt64(duration), time) }
      }
      time += UInt64(duration)
    }
    guard count > 0 else { return result }
    result.append(
      gap(
        trackID: track.id, count: count, longestTicks: longest.ticks, placeTicks: longest.place,
        timescale: track.timescale))
    return result
  }

  private static func starts(_ tracks: [MovieTrack]) -> [Defect] {
    let known = tracks.map(\.track).filter { $0.kind == .video || $0.kind == .audio }
    guard let first = known.min(by: { distance($0.visibleStartTicks, $0, $1.visibleStartTicks, $1) < 0 })
    else { return [] }
    return known.compactMap { track in
      let late = distance(track.visibleStartTicks, track, first.visibleStartTicks, first)
      guard late > lateStartMilliseconds else { return nil }
      return Defect(
        code: "late-start",
        message:
          "Track \(track.id) starts \(milliseconds(late)) s after track \(first.id): until then the other "
          + "plays alone.")
    }
  }

  private static func ends(_ tracks: [MovieTrack]) -> [Defect] {
    guard let video = tracks.first(where: { $0.track.kind == .video })?.track else { return [] }
    return tracks.map(\.track).filter { $0.kind == .audio }.compactMap { audio in
      let later = distance(audio.endTicks, audio, video.endTicks, video)
      if later < -endMilliseconds {
        return Defect(
          code: "short-audio",
          message:
            "The sound of track \(audio.id) ends \(milliseconds(-later)) s before the picture, which goes "
            + "on in silence.")
      }
      guard later > endMilliseconds else { return nil }
      return Defect(
        code: "long-audio",
        message:
          "The sound of track \(audio.id) goes on for \(milliseconds(later)) s after the picture has ended.")
    }
  }

  private static func videoTracks(_ tracks: [MovieTrack]) -> [Defect] {
    let videos = tracks.filter { $0.track.kind == .video }
    guard let leader = videos.first, videos.count > 1 else { return [] }
    var result: [Defect] = []
    if let other = videos.first(where: { isHDR($0.track) != isHDR(leader.track) })?.track {
      result.append(
        Defect(
          code: "hdr-mismatch",
          message:
            "Of video tracks \(leader.track.id) and \(other.id) one is HDR (PQ or HLG) and one is not: "
            + "players that switch between them change brightness and color."))
    }
    let plan = SegmentPlan.make(videos, targetMilliseconds: targetMilliseconds)
    for (video, segments) in zip(videos, plan).dropFirst() {
      // Where one ends early it has fewer segments, which is no fault of its key frames.
      let cuts = zip(plan[0], segments).dropFirst()
      let isAligned = cuts.allSatisfy {
        let difference = distance($0.startTicks, leader.track, $1.startTicks, video.track)
        return abs(difference) <= cutMilliseconds
      }
      let hasAllCuts =
        segments.count == plan[0].count
        || plan[0].dropFirst(segments.count).allSatisfy {
          distance($0.startTicks, leader.track, video.track.endTicks, video.track) >= 0
        }
      guard !isAligned || !hasAllCuts else { continue }
      result.append(
        Defect(
          code: "misaligned-key-frames",
          message:
            "Video tracks \(leader.track.id) and \(video.track.id) have key frames at other times: players "
            + "cannot switch between them without a jump."))
    }
    return result
  }

  /// The note on times at which a track has nothing to show.
  static func gap(
    trackID: UInt32, count: Int, longestTicks: UInt64, placeTicks: UInt64, timescale: UInt32
  ) -> Defect {
    let length = seconds(longestTicks, timescale)
    let place = seconds(placeTicks, timescale)
    let what =
      count == 1
      ? "a gap of \(length) s at \(place) s" : "\(count) gaps, the longest of \(length) s at \(place) s"
    return Defect(
      code: "gap",
      message: "Track \(trackID) has \(what): players stand still or stay silent there.")
  }

  /// Seconds with three decimals, rounded down.
  static func seconds(_ ticks: UInt64, _ timescale: UInt32) -> String {
    milliseconds(Int128(ticks) * 1000 / Int128(max(1, timescale)))
  }

  private static func milliseconds(_ value: Int128) -> String {
    let fraction = String(value % 1000)
    return "\(value / 1000)." + String(repeating: "0", count: 3 - fraction.count) + fraction
  }

  /// Milliseconds from an instant of one track to that of another, `ticks` minus `otherTicks`.
  private static func distance(_ ticks: UInt64, _ track: Track, _ otherTicks: UInt64, _ other: Track)
    -> Int128
  {
    let scale = Int128(max(1, track.timescale))
    let otherScale = Int128(max(1, other.timescale))
    return (Int128(ticks) * otherScale - Int128(otherTicks) * scale) * 1000 / (scale * otherScale)
  }

  /// PQ (16) or HLG (18) of ISO/IEC 23091-2.
  private static func isHDR(_ track: Track) -> Bool {
    track.transferCharacteristics == 16 || track.transferCharacteristics == 18
  }
}
