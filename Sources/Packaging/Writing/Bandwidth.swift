// The bit rates manifests state, after RFC 8216bis §4.4.6.2.
//
// The peak of a rendition is the largest rate of any contiguous run of segments that lasts between 0.5
// and 1.5 target durations. Runs, and not single segments, so that a last segment of two frames, one of
// them a key frame, does not price the whole rendition. What is counted is what is sent: the samples and
// the heads of the segments. I-frame playlists are measured by the same rule.
//
// What a transport stream adds is known exactly only from the sizes of all samples, and these are not at hand. It is
// estimated, from how `TransportSegment` writes: a header and half a packet of filling for each picture, and for each
// tenth of a second of sound; four bytes in each packet of 188; two packets of tables; 15 packets to fill up counters,
// which is the most there can be and pays for what the estimate misses.

/// Peak and average rate of one rendition, or of several played together, in bits per second.
struct Bandwidth: Equatable {
  var peak: UInt64
  var average: UInt64

  init(peak: UInt64, average: UInt64) {
    self.peak = peak
    self.average = average
  }

  /// The rates of the segments of `rendition`.
  init(_ rendition: PresentationRendition, form: DeliveryForm = .fragments, targetDurationSeconds: UInt64) {
    let track = rendition.track
    self.init(
      rendition.segments.map { segment in
        let bytes = form == .transport ? Self.transportBytes(segment, of: track) : segment.totalBytes
        return Part(bits: bytes.multipliedSaturating(by: 8), ticks: segment.durationTicks)
      }, timescale: track.timescale, targetDurationSeconds: targetDurationSeconds)
  }

  /// The rates of the key frames of `rendition`, each until the next.
  init(
    keyFramesOf rendition: PresentationRendition, form: DeliveryForm = .fragments,
    targetDurationSeconds: UInt64
  ) {
    self.init(
      rendition.keyFrames.map { frame in
        let size = UInt64(frame.sizeBytes)
        let bytes = form == .transport ? Self.transportBytes(picture: size) : size + IFrameSegment.headBytes
        return Part(bits: bytes.multipliedSaturating(by: 8), ticks: frame.durationTicks)
      }, timescale: rendition.track.timescale, targetDurationSeconds: targetDurationSeconds)
  }

  /// What is sent for a span of time.
  private struct Part {
    var bits: UInt64
    var ticks: UInt64

    static let nothing = Part(bits: 0, ticks: 1)

    /// Whether the rate of this is larger. Compared as fractions, with all bits of the products.
    func isFaster(than other: Part) -> Bool {
      let left = bits.multipliedFullWidth(by: other.ticks)
      let right = other.bits.multipliedFullWidth(by: ticks)
      return (left.high, left.low) > (right.high, right.low)
    }

    mutating func append(_ other: Part) {
      bits = bits.addingSaturating(other.bits)
      ticks = ticks.addingSaturating(other.ticks)
    }
  }

  /// Both rates are rounded up and never 0, since a rate of 0 means nothing to a player.
  ///
  /// - Complexity: linear for parts near the target duration, since a run ends at 1.5 times of it.
  private init(_ parts: [Part], timescale: UInt32, targetDurationSeconds: UInt64) {
    let targetTicks = targetDurationSeconds.multipliedSaturating(by: UInt64(timescale))
    let longestTicks = targetTicks.addingSaturating(targetTicks / 2)
    let shortestTicks = max(1, targetTicks / 2 + targetTicks % 2)

    var fastest = Part.nothing
    for first in parts.indices {
      var run = Part(bits: 0, ticks: 0)
      for index in first..<parts.count {
        run.append(parts[index])
        guard run.ticks <= longestTicks else { break }
        if run.ticks >= shortestTicks, run.isFaster(than: fastest) { fastest = run }
      }
    }

    let all = parts.reduce(into: Part(bits: 0, ticks: 0)) { $0.append($1) }
    average = max(1, Self.rate(all, timescale: timescale))
    // A presentation shorter than half a target duration has no run; all of it is the peak.
    peak = max(Self.rate(fastest, timescale: timescale), average)
  }

  private static func rate(_ part: Part, timescale: UInt32) -> UInt64 {
    ExactDuration.scaled(part.bits, by: UInt64(timescale), over: part.ticks, rounding: .up)
  }

  private static let packetBytes: UInt64 = 188
  private static let packetPayloadBytes: UInt64 = 184
  private static let tablePackets: UInt64 = 2
  private static let fillingPackets: UInt64 = 15

  private static func transportBytes(_ segment: Segment, of track: Track) -> UInt64 {
    let count = UInt64(segment.sampleCount)
    let overhead: UInt64
    if track.kind == .video {
      // Access unit delimiter, PES header with two times, adaptation field with a clock, filling.
      overhead = count * (7 + 19 + 8 + packetPayloadBytes / 2)
    } else {
      let tenths = ExactDuration.scaled(
        segment.durationTicks, by: 10, over: UInt64(track.timescale), rounding: .up)
      let fullUnits = segment.mediaBytes / (16 * packetPayloadBytes)
      let units = min(count, max(tenths.addingSaturating(1), fullUnits))
      overhead = units * (14 + packetPayloadBytes / 2) + (track.codec == .aac ? count * 7 : 0)
    }
    return inPackets(segment.mediaBytes.addingSaturating(overhead))
      .addingSaturating((tablePackets + fillingPackets) * packetBytes)
  }

  /// A picture by itself: delimiter, PES header, clock, and half a packet of filling.
  private static func transportBytes(picture sizeBytes: UInt64) -> UInt64 {
    inPackets(sizeBytes + 7 + 14 + 8 + packetPayloadBytes / 2) + tablePackets * packetBytes
  }

  private static func inPackets(_ payloadBytes: UInt64) -> UInt64 {
    ExactDuration.scaled(payloadBytes, by: packetBytes, over: packetPayloadBytes, rounding: .up)
  }

  /// The rates of this and `other` played together.
  func adding(_ other: Bandwidth) -> Bandwidth {
    Bandwidth(
      peak: peak.addingSaturating(other.peak), average: average.addingSaturating(other.average))
  }

  /// The larger of both rates, each by itself: what the worst member of a group may need.
  func worst(_ other: Bandwidth) -> Bandwidth {
    Bandwidth(peak: max(peak, other.peak), average: max(average, other.average))
  }
}
