// A chunk of a source, decoded once and encoded to every rung.
//
//     descriptor 3 ─ demuxer ─ decoder ─┬─ yadif? ─┬──────────────── rungs of high range ─ scale ─ encoder ─┐
//                                       │          └─ tone mapping? ─ rungs of standard range ─ scale ─ … ─┴─ MP4, 4
//                        pictures from startTicks to endTicks alone
//
// Of rungs that libx264 makes, one looks ahead for others, which get their pictures later (`Lookahead`).
//
// The range is cut by presentation time. Decoding begins at the key frame at or before it and goes on until a picture at or
// behind its end has come out: then all before have, for decoders give pictures in order of presentation. So a chunk may
// begin anywhere; where it begins at a key frame of the source nothing is decoded twice.
//
// A picture is made a key frame at or behind each of `keyTicks`, in all rungs the same one; with a `frameStep` pictures are
// counted from there, so it is always among those that are kept. The encoder is told that this is a key frame and to set
// none of its own, and afterwards its packets are compared with what it was told.
//
// Everything happens on one thread: with a worker for each core that takes a tenth less processor time than threads
// inside of codecs, and a crash costs a chunk.

internal import CLibAV
public import Packaging

public enum TranscodeChunk {
  /// Encodes a chunk; never throws, whatever the bytes are. To be called in a process of its own, behind `Sandbox`.
  ///
  /// The output stays empty where the report says 0 frames.
  /// - Parameters:
  ///   - lookaheads: of this request, made before the sandbox was entered.
  ///   - input: open for reading, seekable.
  ///   - output: open for writing, seekable, empty.
  ///   - demuxer: one of `DecodeLimits.demuxers`.
  ///   - progress: called now and then with 0 to 1000, where the chunk has an end.
  public static func run(
    _ request: TranscodeRequest, lookaheads: TranscodeLookaheads, input: Int32, output: Int32,
    demuxer: String,
    limits: DecodeLimits = DecodeLimits(), progress: (Int) -> Void = { _ in }
  ) -> TranscodeReport {
    var report = TranscodeReport()
    do throws(CodecError) {
      guard request.isSound else { throw .unsoundRequest }
      let decoder = try VideoDecoder(
        limits.open(input, demuxer), stream: nil, trackID: request.trackID, limits: limits)
      let run = try ChunkRun(request, decoder, lookaheads)
      report.warnings = run.warnings
      try run.encode(to: output, progress: progress)
      report.frames = run.frames
      report.damagedPackets = decoder.decoder.damagedPackets
    } catch {
      report.failure = RemuxReport.Failure(error)
    }
    return report
  }

  /// Encodes a chunk to find out what it takes, and writes nothing; never throws, whatever the bytes are. To be called in a
  /// process of its own, behind `Sandbox`.
  ///
  /// - Returns: with a measure for each rung of the probe, where there is a picture.
  public static func measure(
    _ probe: TranscodeProbe, lookaheads: TranscodeLookaheads, input: Int32, demuxer: String,
    limits: DecodeLimits = DecodeLimits(),
    progress: (Int) -> Void = { _ in }
  ) -> TranscodeReport {
    var report = TranscodeReport()
    do throws(CodecError) {
      guard probe.request.isSound else { throw .unsoundRequest }
      let decoder = try VideoDecoder(
        limits.open(input, demuxer), stream: nil, trackID: probe.request.trackID, limits: limits)
      let run = try ChunkRun(
        probe.request, decoder, lookaheads, comparesPictures: probe.comparesPictures)
      report.warnings = run.warnings
      try run.encode(to: nil, progress: progress)
      report.frames = run.frames
      report.measures = try run.measures()
    } catch {
      report.failure = RemuxReport.Failure(error)
    }
    return report
  }
}

extension CodecError {
  static let unsoundRequest = CodecError(
    code: "request", underlying: 0, message: "The request is none that can be carried out.")
}

extension TranscodeRequest {
  func framesPerSecond(of rung: Rung) -> Double {
    Double(framesPerSecondNumerator) / Double(framesPerSecondDenominator) / Double(max(1, rung.frameStep))
  }

  /// Whether a rung's samples have ten bits, which are worth their rate only where there is more than standard range to show.
  func isDeep(_ rung: Rung) -> Bool { rung.keepsHDR && isHDR }

  /// Whether its numbers lie where arithmetic with them is safe.
  var isSound: Bool {
    let farthest = TimeBase.farthestTicks
    let code = Int32(0)...255
    return timescale > 0 && timescale <= 1 << 24 && !rungs.isEmpty && keyTicks.first == startTicks
      && [zeroTicks, startTicks, endTicks ?? 0].allSatisfy { $0.magnitude < farthest.magnitude }
      && framesPerSecondNumerator > 0 && framesPerSecondDenominator > 0
      && [colour?.primaries, colour?.transfer, colour?.matrix].allSatisfy { code.contains($0 ?? 0) }
      && rungs.allSatisfy {
        (2...8192).contains($0.widthPixels) && (2...8192).contains($0.heightPixels)
          && $0.widthPixels % 2 == 0 && $0.heightPixels % 2 == 0 && (1...64).contains($0.frameStep)
          && $0.maxBitsPerSecond > 0
      }
  }
}

/// The state of one chunk under way.
private final class ChunkRun {
  let request: TranscodeRequest
  private let decoder: VideoDecoder
  private let rungs: [RungEncoder]
  private let groups: [RungGroup]
  private let deinterlace: FilterStage?
  private let toneMap: FilterStage?
  private(set) var frames: Int64 = 0
  /// Which of `keyTicks` comes next, and pictures since the last one.
  private var nextKey = 0
  private var sinceKey: Int32 = 0
  private var lastTicks = Int64.min

  var warnings: [RemuxReport.Remark] {
    var seen: [RemuxReport.Remark] = []
    for warning in rungs.compactMap(\.choice.warning) where !seen.contains(warning) { seen.append(warning) }
    return seen
  }

  init(
    _ request: TranscodeRequest, _ decoder: VideoDecoder, _ lookaheads: TranscodeLookaheads,
    comparesPictures: Bool = false
  ) throws(CodecError) {
    self.request = request
    self.decoder = decoder
    let timescale = Int64(request.timescale)
    var rungs: [RungEncoder] = []
    var members: [RungKind: [RungGroup.Member]] = [:]
    let colour = request.colour ?? TranscodeColour(decoder.description)
    for (track, rung) in request.rungs.enumerated() {
      let kind = RungKind(rung, of: request)
      let encoder = try RungEncoder(
        rung, of: request, colour: kind.keepsHDR ? colour : .toneMapped, part: lookaheads[track],
        comparesPictures: comparesPictures)
      rungs.append(encoder)
      members[kind, default: []].append((encoder, track))
    }
    self.rungs = rungs
    // In the order of the request, so that the same request makes the same file.
    groups = members.sorted { $0.value[0].track < $1.value[0].track }.map { RungGroup($0.key, $0.value) }
    deinterlace =
      request.deinterlaces
      ? try FilterStage("yadif=mode=send_frame:deint=interlaced", timescale: timescale) : nil
    let mapped = request.rungs.filter { !$0.keepsHDR }
    if request.isHDR, let largest = mapped.max(by: { $0.widthPixels < $1.widthPixels }) {
      let isTurned = request.rotationDegrees % 180 != 0
      let (width, height) =
        isTurned
        ? (largest.heightPixels, largest.widthPixels) : (largest.widthPixels, largest.heightPixels)
      // Scaled before it is mapped, since mapping is floating-point arithmetic on every pixel.
      toneMap = try FilterStage(
        "zscale=w=\(width):h=\(height):t=linear:npl=100,format=gbrpf32le,zscale=p=bt709,"
          + "tonemap=tonemap=hable:desat=0,zscale=t=bt709:m=bt709:r=limited,format=yuv420p",
        timescale: timescale)
    } else {
      toneMap = nil
    }
  }

  func measures() throws(CodecError) -> [TranscodeReport.Measure] {
    var measures: [TranscodeReport.Measure] = []
    for rung in rungs where frames > 0 { measures.append(try rung.measure()) }
    return measures
  }

  /// - Parameter output: nil writes nothing.
  func encode(to output: Int32?, progress: (Int) -> Void) throws(CodecError) {
    var writer: EncodedWriter?
    if let output { writer = try EncodedWriter(descriptor: output, encoders: rungs.map(\.session)) }
    let base = decoder.decoder.timeBase
    let timescale = Int64(request.timescale)
    // The beginning needs no search, which short recordings without an index make hard.
    if let start = base.ticks(request.zeroTicks + request.startTicks, of: timescale),
      start > decoder.description.startTicks ?? .min
    {
      try decoder.seek(to: start)
    }
    let frame = try MediaFrame()
    while let ticks = try decoder.next(into: frame) {
      defer { av_frame_unref(frame.pointer) }
      guard let place = base.scale(ticks, to: timescale) else { continue }
      let time = place - request.zeroTicks
      if let end = request.endTicks, time >= end { break }
      // A picture that is not behind the one before has a damaged time, and no place in a track.
      guard time >= request.startTicks, time > lastTicks else { continue }
      lastTicks = time
      frame.pointer.pointee.pts = time - request.startTicks
      frames += 1
      try take(frame, writer)
      if frames % 32 == 0, let end = request.endTicks {
        progress(Int((time - request.startTicks) * 1000 / max(1, end - request.startTicks)))
      }
    }
    try take(nil, writer)
    guard frames > 0 else {
      // One picture may be shown for longer than a chunk.
      if decoder.decoder.decodedFrames > 0 { return }
      throw CodecError(
        code: "no-pictures", underlying: 0, message: "No picture of the chunk can be decoded.")
    }
    try writer?.finish()
    for rung in rungs { try rung.verify() }
  }

  private func take(_ frame: MediaFrame?, _ writer: EncodedWriter?) throws(CodecError) {
    if let deinterlace {
      try deinterlace.push(frame) { whole throws(CodecError) in try distribute(whole, writer) }
      if frame == nil { try distribute(nil, writer) }
    } else {
      try distribute(frame, writer)
    }
  }

  private func distribute(_ frame: MediaFrame?, _ writer: EncodedWriter?) throws(CodecError) {
    var isKey = false
    if let frame {
      let time = frame.pointer.pointee.pts + request.startTicks
      while nextKey < request.keyTicks.count, request.keyTicks[nextKey] <= time {
        isKey = true
        nextKey += 1
      }
      sinceKey = isKey ? 0 : sinceKey &+ 1
    }
    try push(frame, isKey, writer) { toneMap == nil || $0.keepsHDR }
    guard let toneMap else { return }
    // Mapping holds nothing back: what comes out is what went in.
    try toneMap.push(frame) { mapped throws(CodecError) in
      try push(mapped, isKey, writer) { !$0.keepsHDR }
    }
    if frame == nil { try push(nil, false, writer) { !$0.keepsHDR } }
  }

  private func push(
    _ frame: MediaFrame?, _ isKey: Bool, _ writer: EncodedWriter?, where isMeant: (RungKind) -> Bool
  ) throws(CodecError) {
    for group in groups where isMeant(group.kind) && (frame == nil || sinceKey % group.kind.frameStep == 0) {
      try group.push(frame, isKey: isKey) { packet, track throws(CodecError) in
        try writer?.write(packet, track: track)
      }
    }
  }
}

extension RemuxReport.Failure {
  init(_ error: CodecError) {
    let kind: Kind
    switch error.code {
    case "input", "write", "encoder", "filter", "request", "demuxer", "no-memory": kind = .environment
    case "no-stream", "no-decoder", "encrypted", "too-large", "too-long": kind = .unsupported
    default: kind = .damaged
    }
    self.init(kind: kind, code: error.code, message: error.message)
  }
}
