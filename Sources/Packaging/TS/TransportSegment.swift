// HLS segments as MPEG transport streams (RFC 8216bis §3.1.1, ISO/IEC 13818-1), made on request from the
// samples of an MP4 file and never stored.
//
//     PAT                 one packet
//     PMT                 one packet
//     PES packets         pictures and sounds by decode time, and clocks where they are far apart
//
// A segment is a function of the tracks, its samples and its number alone. Whatever was asked for before, on
// whichever node, the bytes are the same, and yet segments can be played one after the other as one stream:
//
// Times. Presentation time 0 of the asset is 10 s on the 90 kHz clock. What comes before 0 (encoder priming,
// the decode times of reordered pictures, the head of a GOP an edit cuts into) stays above 0 on the clock, as
// does the clock reference, which reads 0.7 s less than the decode time it is sent with; no value has to wrap
// at the start. It is also the time that subtitles state in `X-TIMESTAMP-MAP`. There is no edit list here:
// what an edit hides is sent, with times before 10 s.
//
// Continuity. Each PID counts its packets with payload in four bits, and a jump reads as loss. The tables
// have one packet each in a segment, so their counter is the segment's number. Of the other PIDs the count so
// far is not known without the sizes of all samples before; so each fills its number of packets up to a
// multiple of 16, by spreading its last PES packet over more, and starts every segment at 0. This costs 7.5
// packets or 1.4 KB a segment and stream on average, 2.8 KB at most: 0.1 % of six seconds at 2 Mbit/s.
//
// Size. It follows from the sizes of the samples by arithmetic (`TransportPlan`): start codes are as long as
// the lengths they replace, and delimiters that a picture brings are made up for (`AnnexB`). A HEAD request
// reads no media. Only where NAL lengths are not four bytes, which is rare, must samples be read and
// rewritten first.
//
// Speed. The segment is written in one pass into one allocation. Samples come many at a time through a window
// of 128 KiB that stays in the cache (`SampleWindow`), so every byte is copied twice: by the source, and into
// its packet.

/// One HLS segment as a transport stream.
public struct TransportSegment: Sendable {
  /// One stream with its samples of the segment, in decode order. A stream that has none here stays in the
  /// tables, so that all segments of a rendition have the same.
  public struct Part: Sendable {
    public var stream: TransportStream
    public var samples: [Sample]

    public init(stream: TransportStream, samples: [Sample]) {
      self.stream = stream
      self.samples = samples
    }
  }

  /// Where presentation time 0 of an asset is on the 90 kHz clock: 10 seconds.
  public static let presentationStartClockTicks = UInt64(TransportTimeline.presentationStartClockTicks)

  /// Longest segment that is made, in bytes, since it is made in memory.
  public static let maximumBytes: UInt64 = 512 << 20

  /// How much less the clock reference reads than the decode time it is sent with, in 90 kHz: what a player
  /// may buffer.
  static let clockLeadTicks: Int64 = 63_000

  /// Longest sound frame other than AAC whose PES packet can state its length.
  static let maximumSoundFrameBytes = 65_000

  private let parts: [Part]
  private let number: UInt64
  private let fillsCounters: Bool
  private let plan: TransportPlan?

  /// The segment of one or two streams.
  ///
  /// - Parameters:
  ///   - parts: a video stream, a sound stream, or a video stream and then a sound stream. Anything else is a
  ///     mistake of the caller and traps.
  ///   - sequenceNumber: must grow by one from segment to segment; from where does not matter.
  /// - Complexity: three passes over the samples; reads no media.
  public init(_ parts: [Part], sequenceNumber: UInt64) {
    self.init(parts, sequenceNumber: sequenceNumber, fillsCounters: true)
  }

  private init(_ parts: [Part], sequenceNumber: UInt64, fillsCounters: Bool) {
    precondition(
      parts.count == 1 || parts.count == 2 && parts[0].stream.isVideo && !parts[1].stream.isVideo,
      "a segment has one stream, or a video stream and then a sound stream")
    self.parts = parts
    self.number = sequenceNumber
    self.fillsCounters = fillsCounters
    let isKnown = !parts.contains { $0.stream.needsWidening }
    plan = isKnown ? TransportPlan(parts, fillsCounters: fillsCounters) : nil
  }

  /// One picture by itself, for an I-frame playlist: the tables and the picture, which should be a sync
  /// sample. It is played apart from its neighbours, so its counters start at 0 and nothing is filled up.
  public static func iFrame(_ stream: TransportStream, _ sample: Sample) -> TransportSegment {
    TransportSegment([Part(stream: stream, samples: [sample])], sequenceNumber: 0, fillsCounters: false)
  }

  /// Bytes of the segment: the `Content-Length`. Nil where they are not known before the media is read, that
  /// is for video whose NAL lengths have fewer than four bytes.
  public var totalBytes: UInt64? {
    plan.map { UInt64($0.packets) * UInt64(TransportPacketizer.packetBytes) }
  }

  /// The bytes of the segment, `totalBytes` of them, all parts read from the same blob.
  ///
  /// - Throws: `MediaError.damaged` (`sample-past-end`) for samples outside of the blob, `.unsupported`
  ///   (`transport-segment-size`) for more than `maximumBytes`, `.sourceUnreadable`. What is inside of the
  ///   samples is not judged: NAL units that contradict their sample are passed on as far as they go.
  public func bytes(reading source: some ByteSource) throws(MediaError) -> [UInt8] {
    try bytes(reading: source, sound: source)
  }

  /// The bytes of the segment, the second part read from a blob of its own.
  public func bytes(
    reading source: some ByteSource, sound: some ByteSource
  ) throws(MediaError) -> [UInt8] {
    guard let plan else { return try widenedBytes(reading: source, sound: sound) }
    guard let totalBytes, totalBytes <= Self.maximumBytes else { throw Self.tooLong }
    var first = SampleWindow(source, parts[0].samples)
    var second = SampleWindow(sound, parts.count > 1 ? parts[1].samples : [])
    // A typed error cannot leave the closure that lends the memory, so it leaves as a value.
    var failure: MediaError?
    // With room for a block of padding, so that encrypting the segment does not copy it.
    let segment = [UInt8](unsafeUninitializedCapacity: Int(totalBytes) + 16) { memory, initialized in
      let whole = UnsafeMutableRawBufferPointer(
        rebasing: UnsafeMutableRawBufferPointer(memory)[..<Int(totalBytes)])
      do throws(MediaError) {
        try write(plan, into: whole, &first, &second)
        initialized = whole.count
      } catch {
        failure = error
      }
    }
    if let failure { throw failure }
    return segment
  }

  private static var tooLong: MediaError {
    .unsupported(
      "transport-segment-size",
      "The segment would have more than \(maximumBytes >> 20) MiB; serve it as fragmented MP4.")
  }

  private func write(
    _ plan: TransportPlan, into memory: UnsafeMutableRawBufferPointer, _ first: inout SampleWindow,
    _ second: inout SampleWindow
  ) throws(MediaError) {
    let streams = parts.map(\.stream)
    let counter = UInt8(truncatingIfNeeded: number & 15)
    guard var packetizer = TransportPacketizer(memory, streams: streams) else { return }
    packetizer.append(TransportTables.associationPacket(counter: counter))
    packetizer.append(TransportTables.mapPacket(streams, counter: counter))
    // Taken out of the streams once: a copy of one for each unit would count the references in it for each.
    let pictures = streams.first?.pictureForm
    let header = streams.last?.frameHeader
    for unit in plan.units {
      guard !unit.samples.isEmpty else {
        packetizer.appendClock(unit)
        continue
      }
      if unit.part == 0, let form = pictures {
        let sample = try first.next(unit.samples.lowerBound)
        let delimiterBytes = form.convert(sample)
        packetizer.begin(unit, stuffingBytes: delimiterBytes > 0 ? form.delimiter.count : 0)
        if delimiterBytes > 0 {
          packetizer.put(UnsafeRawBufferPointer(rebasing: sample[..<delimiterBytes]))
        } else {
          packetizer.put(form.delimiter)
        }
        if unit.isRandomAccess { packetizer.put(form.parameterSets) }
        packetizer.put(UnsafeRawBufferPointer(rebasing: sample[delimiterBytes...]))
        continue
      }
      packetizer.begin(unit, stuffingBytes: 0)
      for number in unit.samples {
        let sample = unit.part == 0 ? try first.next(number) : try second.next(number)
        if let header { packetizer.put(header.word(frameBytes: sample.count), count: ADTSHeader.bytes) }
        packetizer.put(UnsafeRawBufferPointer(sample))
      }
    }
  }

  /// The slow path: samples with short NAL lengths are rewritten in memory, and the segment is made from
  /// there.
  private func widenedBytes(
    reading source: some ByteSource, sound: some ByteSource
  ) throws(MediaError) -> [UInt8] {
    guard case .video(let form) = parts[0].stream.coding else { return [] }
    var budget = Self.maximumBytes
    var video: [UInt8] = []
    var widened = parts
    var window = SampleWindow(source, parts[0].samples)
    widened[0].stream = parts[0].stream.widened()
    for index in parts[0].samples.indices where parts[0].samples[index].sizeBytes > 0 {
      let (left, overflow) = budget.subtractingReportingOverflow(UInt64(parts[0].samples[index].sizeBytes))
      guard !overflow else { throw Self.tooLong }
      budget = left
      let start = video.count
      form.appendWidened(try window.next(index), to: &video)
      widened[0].samples[index].offset = UInt64(start)
      widened[0].samples[index].sizeBytes = UInt32(clamping: video.count - start)
    }
    return try TransportSegment(widened, sequenceNumber: number, fillsCounters: fillsCounters)
      .bytes(reading: ArraySource(video), sound: sound)
  }
}
