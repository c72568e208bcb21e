// What goes into a segment, in which order, and in how many packets, from the tables alone: no byte of media
// is read.
//
// Each picture is one PES packet. Sound frames share one while they last no more than 100 ms together, fill
// no more than 16 packets, and each lies within one clock tick of where a decoder that counts frames from the
// first puts it; a gap or an uneven table so costs a header and never a wrong time.
//
// Packets of both streams are sent in the order of their decode times. The clock is on the PID of the first
// stream, at the start of each of its PES packets. Where the next is more than 100 ms away, packets that
// carry only the clock fill the gap: at most 99 in one gap, so that a picture shown for an hour costs 18 KB
// and not 7 MB.
//
// Decode times. `ctts` of version 1 may have negative offsets, which put pictures before their decoding.
// Where the track's smallest offset is given, all decode times move by it. Beyond that, a pass from the last
// picture back keeps each decode time at or before its presentation time and before the next decode time.
// Without negative offsets it changes nothing. With them it depends on the segment alone, and never moves the
// first picture of a closed GOP, so decode times go on rising where segments meet.

/// One PES packet, or a packet with nothing but the clock where `samples` is empty.
struct TransportUnit {
  /// Place of its stream among the parts.
  var part: Int
  var samples: Range<Int>
  var presentationClockTicks: Int64
  var decodeClockTicks: Int64
  /// Of the PES packet with its header.
  var bytes = 0
  /// Transport packets it takes.
  var packets = 1
  /// Stuffing of its header.
  var stuffingBytes = 0
  var carriesClock = false
  var isRandomAccess = false

  /// Bytes of the adaptation field of its first packet, length byte included, before any stuffing.
  var adaptationBytes: Int { carriesClock ? 8 : isRandomAccess ? 2 : 0 }

  var hasDecodeTime: Bool { decodeClockTicks != presentationClockTicks }

  /// Bytes of the PES header without stuffing.
  var headerBytes: Int { hasDecodeTime ? 19 : 14 }

  /// The packets that `bytes` need.
  fileprivate var neededPackets: Int {
    (bytes + adaptationBytes + TransportPacketizer.payloadBytes - 1) / TransportPacketizer.payloadBytes
  }
}

struct TransportPlan {
  /// In the order in which they are sent.
  private(set) var units: [TransportUnit] = []
  /// With the two tables.
  private(set) var packets = 2

  private static let clockStepTicks = TransportTimeline.clockHertz / 10

  init(_ parts: [TransportSegment.Part], fillsCounters: Bool) {
    var queues = parts.indices.map { index in
      parts[index].stream.isVideo ? Self.pictures(parts[index], index) : Self.sounds(parts[index], index)
    }
    for index in queues.indices {
      Self.settlePackets(&queues[index], fillsCounters: fillsCounters)
    }
    interleave(queues, clockEnd: queues.first?.isEmpty == false ? Self.end(of: parts[0]) : .max)
    packets = units.reduce(2) { $0 + $1.packets }
  }

  /// When the sample after the last is decoded.
  private static func end(of part: TransportSegment.Part) -> Int64 {
    guard let last = part.samples.last else { return .max }
    return part.stream.timeline.clockTicks(
      decodeTicks: last.decodeTicks.addingSaturating(UInt64(last.durationTicks)),
      offsetTicks: part.stream.decodeShiftTicks)
  }

  private static func pictures(_ part: TransportSegment.Part, _ index: Int) -> [TransportUnit] {
    guard case .video(let form) = part.stream.coding else { return [] }
    let stream = part.stream
    var units: [TransportUnit] = []
    units.reserveCapacity(part.samples.count)
    for (number, sample) in part.samples.enumerated() where sample.sizeBytes > 0 {
      let presentation = stream.timeline.clockTicks(
        decodeTicks: sample.decodeTicks, offsetTicks: Int64(sample.compositionOffsetTicks))
      let decode =
        Int64(sample.compositionOffsetTicks) == stream.decodeShiftTicks
        ? presentation
        : stream.timeline.clockTicks(
          decodeTicks: sample.decodeTicks, offsetTicks: stream.decodeShiftTicks)
      var unit = TransportUnit(
        part: index, samples: number..<number + 1, presentationClockTicks: presentation,
        decodeClockTicks: decode)
      unit.isRandomAccess = sample.isSync
      unit.bytes =
        form.delimiter.count + (sample.isSync ? form.parameterSets.count : 0) + Int(sample.sizeBytes)
      units.append(unit)
    }
    var next = Int64.max
    for number in units.indices.reversed() {
      next = min(units[number].decodeClockTicks, units[number].presentationClockTicks, next &- 1)
      units[number].decodeClockTicks = next
    }
    return units
  }

  private static func sounds(_ part: TransportSegment.Part, _ index: Int) -> [TransportUnit] {
    let stream = part.stream
    var isAAC = false
    if case .aac = stream.coding { isAAC = true }
    let headerBytes = isAAC ? ADTSHeader.bytes : 0
    let limitBytes = isAAC ? ADTSHeader.maximumFrameBytes : TransportSegment.maximumSoundFrameBytes
    let pace = stream.frame.map { SoundPace($0, stream.timeline) }
    let mostFrames = pace?.mostFrames ?? 1
    let mostBytes = 16 * TransportPacketizer.payloadBytes - 14
    var units: [TransportUnit] = []
    units.reserveCapacity(part.samples.count / max(1, mostFrames) + 2)
    // The unit that is being filled, beside the array, which would be asked for each sample who holds it.
    var first = Sample(
      offset: 0, sizeBytes: 0, durationTicks: 0, decodeTicks: 0, compositionOffsetTicks: 0, isSync: true)
    var (start, end, filled, time): (Int, Int, Int, Int64) = (0, -1, 0, 0)
    func close() {
      guard start < end else { return }
      var unit = TransportUnit(
        part: index, samples: start..<end, presentationClockTicks: time, decodeClockTicks: time)
      unit.bytes = filled
      unit.isRandomAccess = units.isEmpty
      units.append(unit)
    }
    for number in part.samples.indices {
      let sample = part.samples[number]
      // No decoder's frame is so long; the table is damaged, and neither header could state the length.
      guard sample.sizeBytes > 0, sample.sizeBytes <= limitBytes else { continue }
      let bytes = headerBytes + Int(sample.sizeBytes)
      if let pace, end == number, end - start < mostFrames, filled + bytes <= mostBytes,
        pace.isKept(by: sample, after: end - start, from: first, at: time)
      {
        end += 1
        filled += bytes
        continue
      }
      close()
      first = sample
      time = stream.timeline.clockTicks(of: sample)
      (start, end, filled) = (number, number + 1, bytes)
    }
    close()
    return units
  }

  /// Adds headers, counts packets, and brings their number to a multiple of 16 by spreading the last unit
  /// over more.
  ///
  /// Each packet needs a byte of payload. A unit of one packet may have fewer bytes than the up to 16 packets
  /// it is spread over: its header is stuffed.
  private static func settlePackets(_ units: inout [TransportUnit], fillsCounters: Bool) {
    var packets = 0
    for index in units.indices {
      units[index].carriesClock = units[index].part == 0
      units[index].bytes += units[index].headerBytes
      units[index].packets = units[index].neededPackets
      packets += units[index].packets
    }
    guard fillsCounters, let last = units.indices.last else { return }
    units[last].packets += (16 - packets % 16) % 16
    units[last].stuffingBytes = max(0, units[last].packets - units[last].bytes)
    units[last].bytes += units[last].stuffingBytes
  }

  /// Of units that are due at the same time those of the first part go first.
  private mutating func interleave(_ queues: [[TransportUnit]], clockEnd: Int64) {
    let first = queues.first ?? []
    let second = queues.count > 1 ? queues[1] : []
    units.reserveCapacity(first.count + second.count + 8)
    var (firstHead, secondHead) = (0, 0)
    var lastClock: Int64?
    while firstHead < first.count || secondHead < second.count {
      let isFirst =
        secondHead == second.count
        || firstHead < first.count
          && first[firstHead].decodeClockTicks <= second[secondHead].decodeClockTicks
      let unit = isFirst ? first[firstHead] : second[secondHead]
      if isFirst { firstHead += 1 } else { secondHead += 1 }
      if let clock = lastClock {
        lastClock = appendClocks(from: clock, to: min(unit.decodeClockTicks, clockEnd))
      } else if !unit.carriesClock {
        appendClock(unit.decodeClockTicks)
        lastClock = unit.decodeClockTicks
      }
      if unit.carriesClock { lastClock = unit.decodeClockTicks }
      units.append(unit)
    }
    if let clock = lastClock, clockEnd < .max { _ = appendClocks(from: clock, to: clockEnd) }
  }

  /// Fills what is between two clocks and longer than 100 ms; gives the time of the last clock there is now.
  private mutating func appendClocks(from start: Int64, to end: Int64) -> Int64 {
    let (gap, overflow) = end.subtractingReportingOverflow(start)
    guard !overflow, gap > Self.clockStepTicks else { return start }
    let step = max(Self.clockStepTicks, gap / 100 + 1)
    var last = start
    while end - last > step {
      last += step
      appendClock(last)
    }
    return last
  }

  private mutating func appendClock(_ clockTicks: Int64) {
    units.append(
      TransportUnit(
        part: 0, samples: 0..<0, presentationClockTicks: clockTicks, decodeClockTicks: clockTicks,
        carriesClock: true))
  }
}

/// Where the frames of a PES packet of sound have to lie: a decoder is told the time of the first and counts.
private struct SoundPace {
  private let frame: TransportStream.Frame
  private let timeline: TransportTimeline
  /// What a frame lasts on the track's own clock, where that is a whole number.
  private let frameTicks: UInt64?
  /// That last no more than 100 ms together.
  let mostFrames: Int

  init(_ frame: TransportStream.Frame, _ timeline: TransportTimeline) {
    self.frame = frame
    self.timeline = timeline
    let (ticks, rest) = (frame.samples * Int64(timeline.timescale)).quotientAndRemainder(
      dividingBy: frame.rateHertz)
    frameTicks = rest == 0 ? UInt64(ticks) : nil
    mostFrames = Int(frame.rateHertz / (frame.samples * 10))
  }

  /// Whether a sample lies within one clock tick of where `count` frames end, the first of which is heard at `startClockTicks`.
  func isKept(by sample: Sample, after count: Int, from first: Sample, at startClockTicks: Int64) -> Bool {
    // Exactly there by the track's clock: of the three roundings each is half a tick at most. Nearly all samples.
    if let frameTicks, sample.decodeTicks < 1 << 43,
      sample.decodeTicks == first.decodeTicks &+ UInt64(count) * frameTicks,
      sample.compositionOffsetTicks == first.compositionOffsetTicks
    {
      return true
    }
    // Half a tick is added, so that the quotient is the nearest.
    let elapsed =
      (Int64(count) * frame.samples * (2 * TransportTimeline.clockHertz) + frame.rateHertz)
      / (2 * frame.rateHertz)
    let drift = timeline.clockTicks(of: sample).subtractingReportingOverflow(
      startClockTicks &+ elapsed)
    return !drift.overflow && (-1...1).contains(drift.partialValue)
  }
}
