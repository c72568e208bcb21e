// The sound of a whole source, encoded to AAC once for all rungs.
//
//     decoder ─ one rate and layout ─ placing: zero, gaps ─ loudness? ─ frames of 1024 ─ AAC ─ MP4, 4
//
// The first sample of the output is heard at time zero of the presentation: what lies before is cut off, and where the sound
// begins later there is silence until then. A pause or an overlap of more than 30 ms in the middle is filled or cut, so
// that sound stays with its picture; less is left alone, for containers round. The encoder's delay stands in the edit list
// of the file, where players and our own reader look for it.

internal import CLibAV
public import Packaging

public enum TranscodeSound {
  /// Encodes the sound; never throws, whatever the bytes are. To be called in a process of its own, behind `Sandbox`.
  ///
  /// - Parameters: as `TranscodeChunk.run`.
  public static func run(
    _ request: TranscodeAudioRequest, input: Int32, output: Int32, demuxer: String,
    limits: DecodeLimits = DecodeLimits(), progress: (Int) -> Void = { _ in }
  ) -> TranscodeReport {
    var report = TranscodeReport()
    do throws(CodecError) {
      guard (8_000...1_024_000).contains(request.bitsPerSecond), (1...8).contains(request.mostChannels),
        request.zeroMicroseconds.magnitude < TimeBase.farthestTicks.magnitude,
        request.loudness.map({ (-70 ... -5).contains($0) }) ?? true
      else { throw .unsoundRequest }
      let decoder = try AudioDecoder(
        limits.open(input, demuxer), stream: nil, trackID: request.trackID, limits: limits)
      let run = try SoundRun(request, decoder)
      try run.encode(to: output, progress: progress)
      report.frames = run.samples
      report.damagedPackets = decoder.decoder.damagedPackets
    } catch {
      report.failure = RemuxReport.Failure(error)
    }
    return report
  }
}

private final class SoundRun {
  private let request: TranscodeAudioRequest
  private let decoder: AudioDecoder
  private let rate: Int64
  private let uniform: FilterStage
  private let placed: FilterStage
  private let session: EncoderSession
  private(set) var samples: Int64 = 0

  init(_ request: TranscodeAudioRequest, _ decoder: AudioDecoder) throws(CodecError) {
    self.request = request
    self.decoder = decoder
    let description = decoder.description
    let rate: Int64 = description.sampleRateHertz == 44_100 ? 44_100 : 48_000
    self.rate = rate
    let channels = min(description.channelCount, request.mostChannels)
    // Where more than two are kept, the usual layouts of AAC.
    let layoutName =
      switch channels {
      case 1: "mono"
      case 2: "stereo"
      case 3: "3.0"
      case 4: "4.0"
      case 5: "5.0"
      case 6: "5.1"
      case 7: "6.1"
      default: "7.1"
      }
    let format = "aformat=sample_fmts=fltp:sample_rates=\(rate):channel_layouts=\(layoutName)"
    uniform = try FilterStage(format, timescale: rate, isAudio: true)
    // Loudness is evened out at 192 kHz, for true peaks.
    let loudness = request.loudness.map { ",loudnorm=I=\($0):TP=-1.5:LRA=11" } ?? ""
    placed = try FilterStage(
      "aresample=async=1:min_hard_comp=0.03:first_pts=0\(loudness),aresample=\(rate),\(format)",
      timescale: rate,
      isAudio: true)
    placed.frameSamples = 1024
    session = try EncoderSession("aac", options: []) { context in
      context.pointee.sample_fmt = AV_SAMPLE_FMT_FLTP
      context.pointee.sample_rate = Int32(rate)
      context.pointee.time_base = AVRational(num: 1, den: Int32(rate))
      // One channel needs half of what two do.
      context.pointee.bit_rate = channels == 1 ? request.bitsPerSecond / 2 : request.bitsPerSecond
      av_channel_layout_from_string(&context.pointee.ch_layout, layoutName)
    }
  }

  func encode(to output: Int32, progress: (Int) -> Void) throws(CodecError) {
    let writer = try EncodedWriter(descriptor: output, encoders: [session])
    let base = decoder.decoder.timeBase
    let zero = TimeBase(numerator: 1, denominator: 1_000_000).scale(request.zeroMicroseconds, to: rate) ?? 0
    let length = decoder.description.durationTicks.flatMap { base.scale($0, to: rate) } ?? 0
    let frame = try MediaFrame()
    while let ticks = try decoder.next(into: frame) {
      defer { av_frame_unref(frame.pointer) }
      guard let ticks = base.scale(ticks, to: rate), frame.pointer.pointee.nb_samples > 0 else { continue }
      frame.pointer.pointee.pts = ticks - zero
      try uniform.push(frame) { even throws(CodecError) in try place(even, writer) }
      if length > 0, decoder.decoder.decodedFrames % 256 == 0 {
        progress(Int(max(0, min(1000, (ticks - zero) * 1000 / length))))
      }
    }
    try uniform.push(nil) { even throws(CodecError) in try place(even, writer) }
    try placed.push(nil) { whole throws(CodecError) in try encode(whole, writer) }
    guard samples > 0 else {
      throw CodecError(code: "no-sound", underlying: 0, message: "Nothing of the sound can be decoded.")
    }
    try session.push(nil) { packet throws(CodecError) in try writer.write(packet, track: 0) }
    try writer.finish()
  }

  private func place(_ frame: MediaFrame, _ writer: EncodedWriter) throws(CodecError) {
    try placed.push(frame) { whole throws(CodecError) in try encode(whole, writer) }
  }

  private func encode(_ frame: MediaFrame, _ writer: EncodedWriter) throws(CodecError) {
    // Filters that change the rate lose the count by a sample; sound is without holes here.
    frame.pointer.pointee.pts = samples
    samples += Int64(frame.pointer.pointee.nb_samples)
    try session.push(frame) { packet throws(CodecError) in try writer.write(packet, track: 0) }
  }
}
