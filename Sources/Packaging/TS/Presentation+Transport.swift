extension Presentation {
  /// The segments of a rendition's transport stream, in ticks of its track: its own, and behind them those in which the
  /// sound that travels with it outlasts it.
  public func transportSegments(of rendition: PresentationRendition) -> [Segment] {
    guard let sound = muxedSound(of: rendition), sound.segments.count > rendition.segments.count else {
      return rendition.segments
    }
    let scale = UInt64(rendition.track.timescale)
    func ticks(_ soundTicks: UInt64) -> UInt64 {
      ExactDuration.scaled(soundTicks, by: scale, over: UInt64(sound.track.timescale), rounding: .nearest)
    }
    var end = rendition.segments.last.map { $0.startTicks.addingSaturating($0.durationTicks) } ?? 0
    var segments = rendition.segments
    for tail in sound.segments[rendition.segments.count...] {
      let tailEnd = max(end, ticks(tail.startTicks.addingSaturating(tail.durationTicks)))
      segments.append(
        Segment(
          firstSample: tail.firstSample, sampleCount: tail.sampleCount, startTicks: end,
          durationTicks: tailEnd - end, decodeTicks: tail.decodeTicks, mediaBytes: tail.mediaBytes,
          headBytes: tail.headBytes))
      end = tailEnd
    }
    return segments
  }
}
