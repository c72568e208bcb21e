internal import CLibAV
public import Packaging

/// Puts the streams of a Matroska, MPEG-TS or other file into an MP4, without decoding or encoding any.
///
/// The file is read twice. The first reading (`RemuxSurvey`) tells which streams carry packets at all, where the file
/// starts, how far pictures are shown behind their decoding, and collects the subtitles; the second writes. What the
/// second needs of the first is a few numbers for each track, so that memory does not grow with the file but for the
/// tables of the muxer. Both readings place packets by the same clocks (`RemuxClock.swift`) and come to the same.
public enum Remux {
  /// Containers, by libav's names, with what can be said about their clocks.
  static let demuxers: [String: Clocks] = [
    "matroska": .steady, "mpegts": .jumping, "flv": .steady, "ogg": .steady, "mp3": .steady, "aac": .steady,
    "flac": .steady,
  ]

  enum Clocks {
    case steady
    /// All streams share one clock that may jump.
    case jumping
  }

  /// Keeps libav from writing to standard error: its lines are about bytes of strangers, and there may be millions.
  /// What is worth knowing is in the report.
  public static func silence() { av_log_set_level(AV_LOG_QUIET) }

  /// Remuxes; never throws, whatever the bytes are. To be called in a process of its own, behind `Sandbox`.
  ///
  /// - Parameters:
  ///   - input: open for reading, seekable. Its position is not used, and left at the end.
  ///   - output: open for writing, seekable, empty.
  ///   - demuxer: one of `matroska`, `mpegts`, `flv`, `ogg`, `mp3`, `aac`, `flac`.
  /// - Complexity: linear in the file's length; memory for 60 bytes a packet, and the subtitles.
  public static func run(input: Int32, output: Int32, demuxer: String) -> RemuxReport {
    var report = RemuxReport()
    do throws(CodecError) {
      try run(input: input, output: output, demuxer: demuxer, into: &report)
    } catch {
      report.failure = failure(error)
    }
    if report.failure != nil {
      report.kept = []
      report.subtitles = []
    }
    report.leftOut.sort { $0.streamIndex < $1.streamIndex }
    return report
  }

  private static func run(input: Int32, output: Int32, demuxer: String, into report: inout RemuxReport)
    throws(CodecError)
  {
    guard let clocks = demuxers[demuxer] else {
      throw CodecError(
        code: "demuxer", underlying: 0,
        message: "\(demuxer) is none of \(demuxers.keys.sorted().joined(separator: ", ")).")
    }
    let first = try open(input, demuxer)
    var survey = RemuxSurvey(first, clocks: clocks)
    report.leftOut = survey.streams.leftOut
    guard !survey.streams.tracks.isEmpty else {
      report.failure = noTrack("The file has no stream that can be packaged as it is; see what was left out.")
      return
    }
    try survey.read(first)
    let plan = survey.plan(first)
    report.leftOut = plan.leftOut
    report.defects = plan.defects
    report.subtitles = plan.subtitles
    guard !plan.tracks.isEmpty else {
      report.failure = noTrack(
        "No stream that can be packaged as it is carries anything; see what was left out.")
      return
    }

    let second = try open(input, demuxer)
    let sources = second.streams
    var tracks: [RemuxWriter.Track] = []
    for track in plan.tracks {
      guard track.index < sources.count else { throw RemuxSurvey.changed }
      tracks.append(RemuxWriter.Track(source: sources[track.index], timescale: track.clock.timescale))
    }
    let writer = try RemuxWriter(descriptor: output, tracks: tracks)
    try write(second, by: plan, to: writer)
    try writer.finish()
    account(for: writer, plan, sources, in: &report)
  }

  private static func open(_ input: Int32, _ demuxer: String) throws(CodecError) -> Demuxer {
    try Demuxer(
      descriptor: input, demuxer: demuxer, decoders: RemuxStreams.decoders, streams: RemuxStreams.mostStreams)
  }

  private static func write(_ demuxer: Demuxer, by plan: RemuxPlan, to writer: RemuxWriter) throws(CodecError)
  {
    var clocks = plan.tracks.map(\.clock)
    var join = plan.join
    var tracks: [Int: Int] = [:]
    for (position, track) in plan.tracks.enumerated() { tracks[track.index] = position }
    try RemuxPackets.forEach(demuxer) { packet throws(CodecError) in
      guard let position = tracks[Int(packet.pointee.stream_index)] else { return }
      let times = RemuxPackets.times(of: packet, in: demuxer, joinedBy: &join)
      let number = clocks[position].placed
      guard let place = clocks[position].place(times) else { return }
      try writer.write(
        packet, track: position, at: plan.tracks[position].shift.apply(to: place, number: number))
    }
  }

  /// Names the tracks that are in the output, now that it is known.
  private static func account(
    for writer: RemuxWriter, _ plan: RemuxPlan, _ sources: [UnsafeMutablePointer<AVStream>],
    in report: inout RemuxReport
  ) {
    for (position, track) in plan.tracks.enumerated() {
      let stream = sources[track.index]
      if writer.written[position] > 0 {
        report.kept.append(
          RemuxReport.Kept(
            streamIndex: track.index, codecName: RemuxStreams.codecName(stream),
            language: RemuxStreams.language(stream),
            title: RemuxStreams.tag("title", stream, most: 256),
            isDefault: stream.pointee.disposition & AV_DISPOSITION_DEFAULT != 0))
      } else {
        report.leftOut.append(
          RemuxStreams.leftOut(track.index, stream, "no-samples", "No packet of the stream could be used."))
      }
    }
    if writer.refused > 0 {
      report.defects.append(
        RemuxReport.Remark(
          code: RemuxReport.DefectCode.packetsDropped,
          message: "\(writer.refused) packets were too damaged to be written, and are missing."))
    }
    if report.kept.isEmpty {
      report.failure = RemuxReport.Failure(
        kind: .damaged, code: "no-samples", message: "No packet of the file could be used.")
    }
  }

  private static func noTrack(_ message: String) -> RemuxReport.Failure {
    RemuxReport.Failure(kind: .unsupported, code: "no-packageable-track", message: message)
  }

  private static func failure(_ error: CodecError) -> RemuxReport.Failure {
    let kind: RemuxReport.Failure.Kind
    var code = error.code
    switch error.code {
    case "demuxer", "input": kind = .environment
    case "no-memory": kind = .unsupported
    case "write" where error.underlying == clibav_error_too_large:
      kind = .unsupported
      code = "output-too-large"
    case "write": kind = .environment
    default: kind = .damaged
    }
    return RemuxReport.Failure(kind: kind, code: code, message: error.message)
  }
}

/// What both readings of a file share.
enum RemuxPackets {
  /// Calls `body` with each packet until the end, or until libav cannot read on.
  /// - Returns: whether the end was reached.
  @discardableResult
  static func forEach(
    _ demuxer: Demuxer, _ body: (UnsafeMutablePointer<AVPacket>) throws(CodecError) -> Void
  ) throws(CodecError) -> Bool {
    var packet = av_packet_alloc()
    guard let current = packet else {
      throw CodecError(code: "no-memory", underlying: 0, message: "libav could not allocate a packet.")
    }
    defer { av_packet_free(&packet) }
    while true {
      do throws(CodecError) {
        guard try demuxer.read(into: current) else { break }
      } catch {
        if error.code != "read" { throw error }
        return false
      }
      defer { av_packet_unref(current) }
      // A packet without bytes only carries side data.
      if current.pointee.size > 0 { try body(current) }
    }
    try demuxer.checkInput()
    return true
  }

  /// The packet's times on the file's clock. Advances `join`, if there is one: call it once for each packet.
  static func times(
    of packet: UnsafeMutablePointer<AVPacket>, in demuxer: Demuxer, joinedBy join: inout ClockJoin?
  ) -> PacketTimes {
    let fields = packet.pointee
    var times = PacketTimes(
      presentation: fields.pts == clibav_no_pts ? nil : fields.pts,
      decode: fields.dts == clibav_no_pts ? nil : fields.dts, duration: max(fields.duration, 0),
      isKey: fields.flags & AV_PKT_FLAG_KEY != 0)
    if let ticks = times.decode ?? times.presentation {
      let shift = join?.shift(stream: Int(fields.stream_index), ticks: ticks, duration: times.duration) ?? 0
      if shift != 0 {
        times.presentation = times.presentation.map { $0 &+ shift }
        times.decode = times.decode.map { $0 &+ shift }
      }
    }
    guard let stream = demuxer.context.pointee.streams[Int(fields.stream_index)] else { return times }
    let parameters = stream.pointee.codecpar.pointee
    if parameters.codec_type == AVMEDIA_TYPE_AUDIO { count(packet, parameters, into: &times) }
    return times
  }

  private static func count(
    _ packet: UnsafeMutablePointer<AVPacket>, _ parameters: AVCodecParameters, into times: inout PacketTimes
  ) {
    let bytes = UnsafeRawBufferPointer(start: packet.pointee.data, count: Int(packet.pointee.size))
    times.skippedSamples = Int64(max(parameters.initial_padding, 0))
    var size = 0
    if let data = av_packet_get_side_data(packet, AV_PKT_DATA_SKIP_SAMPLES, &size), size >= 10 {
      let side = UnsafeRawBufferPointer(start: data, count: size)
      let skipped = UInt32(littleEndian: side.loadUnaligned(fromByteOffset: 0, as: UInt32.self))
      let discarded = UInt32(littleEndian: side.loadUnaligned(fromByteOffset: 4, as: UInt32.self))
      times.skippedSamples = max(times.skippedSamples, Int64(skipped))
      times.discardedSamples = Int64(discarded)
    }
    switch parameters.codec_id {
    case AV_CODEC_ID_OPUS where parameters.sample_rate == 48_000: times.samples = AudioFrameLength.opus(bytes)
    case AV_CODEC_ID_EAC3: times.samples = AudioFrameLength.enhancedAC3(bytes)
    case AV_CODEC_ID_FLAC: times.samples = AudioFrameLength.flac(bytes)
    case AV_CODEC_ID_AC3: times.samples = 1536
    case AV_CODEC_ID_MP3: times.samples = parameters.sample_rate >= 32_000 ? 1152 : 576
    default: times.samples = parameters.frame_size > 0 ? Int64(parameters.frame_size) : nil
    }
  }
}
