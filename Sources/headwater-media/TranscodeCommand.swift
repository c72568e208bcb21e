internal import Codec
internal import FoundationEssentials
internal import Packaging

#if canImport(Glibc)
internal import Glibc
#elseif canImport(Musl)
internal import Musl
#endif

/// `headwater-media survey`, `transcode` and `transcode-audio`: the steps of a transcoding job that touch media.
///
///     headwater-media survey          --demuxer NAME [--track ID] 3<INPUT 5>REPORT
///     headwater-media transcode       --demuxer NAME --request JSON 3<INPUT 4<>OUTPUT 5>REPORT
///     headwater-media transcode-audio --demuxer NAME --request JSON 3<INPUT 4<>OUTPUT 5>REPORT
///
/// and the options of limits, as for the other commands. The report has a line `{"progress":N}` (0 to 1000) now and then, and a
/// `TranscodeReport` or `TranscodeSurvey` as its last.
enum TranscodeCommand {
  private struct Options {
    var demuxer = ""
    var request = ""
    var track: UInt32?
    var sandbox = Sandbox.Limits()
    var decode = DecodeLimits()
    var requiresSandbox = false

    init?(_ arguments: some Sequence<String>) {
      // Decoded pictures of large sizes, and an encoder that looks ahead for each rung.
      sandbox.memoryBytes = 4 << 30
      var rest = arguments.makeIterator()
      while let name = rest.next() {
        if name == "--require-sandbox" {
          requiresSandbox = true
          continue
        }
        guard let value = rest.next() else { return nil }
        switch (name, UInt64(value)) {
        case ("--demuxer", _): demuxer = value
        case ("--request", _): request = value
        case ("--track", let number?): track = UInt32(clamping: number)
        case ("--memory-bytes", let number?): sandbox.memoryBytes = number
        case ("--cpu-seconds", let number?): sandbox.cpuSeconds = number
        case ("--output-bytes", let number?): sandbox.outputBytes = number
        case ("--frame-pixels", let number?): decode.pixels = Int64(clamping: number)
        case ("--side-pixels", let number?): decode.sidePixels = Int32(clamping: number)
        case ("--streams", let number?): decode.streams = Int32(clamping: number)
        case ("--duration-seconds", let number?): decode.durationSeconds = Int64(clamping: number)
        case ("--inputs", let number?), ("--outputs", let number?): if number > 1 { return nil }
        case ("--nice", .some): break
        default: return nil
        }
      }
      if demuxer.isEmpty { return nil }
    }
  }

  /// - Returns: the status to end with; nil for a command line that is not understood.
  static func run(_ command: String, _ arguments: some Sequence<String>) -> Int32? {
    guard let options = Options(arguments) else { return nil }
    switch command {
    case "survey":
      return enter(options, allowsThreads: false, TranscodeSurvey()) { result, warnings in
        if let failure = result { return TranscodeSurvey(failure: failure, warnings: warnings) }
        var survey = TranscodeSurvey.run(
          input: MediaCommand.input, demuxer: options.demuxer, trackID: options.track, limits: options.decode)
        survey.warnings += warnings
        return survey
      }
    case "transcode":
      guard let request = decode(TranscodeRequest.self, options.request) else { return nil }
      let needsThreads = request.rungs.contains { (try? EncoderChoice($0.encoder))?.needsThreads == true }
      return enter(options, allowsThreads: needsThreads, TranscodeReport()) { result, warnings in
        if let failure = result { return TranscodeReport(failure: failure, warnings: warnings) }
        var report = TranscodeChunk.run(
          request, input: MediaCommand.input, output: MediaCommand.output, demuxer: options.demuxer,
          limits: options.decode, progress: progress)
        report.warnings += warnings
        return report
      }
    case "transcode-audio":
      guard let request = decode(TranscodeAudioRequest.self, options.request) else { return nil }
      return enter(options, allowsThreads: false, TranscodeReport()) { result, warnings in
        if let failure = result { return TranscodeReport(failure: failure, warnings: warnings) }
        var report = TranscodeSound.run(
          request, input: MediaCommand.input, output: MediaCommand.output, demuxer: options.demuxer,
          limits: options.decode, progress: progress)
        report.warnings += warnings
        return report
      }
    default: return nil
    }
  }

  private static func decode<Value: Decodable>(_ type: Value.Type, _ text: String) -> Value? {
    try? JSONDecoder().decode(type, from: Data(text.utf8))
  }

  private static func progress(_ permille: Int) {
    MediaCommand.write(Array("{\"progress\":\(permille)}\n".utf8), to: MediaCommand.report)
  }

  /// Puts up the sandbox, does the work, reports.
  /// - Parameters:
  ///   - empty: encoded once before, so that whatever the first use of the encoder loads is there.
  ///   - work: given why there is none to do, and what is worth a warning.
  private static func enter<Report: Encodable>(
    _ options: Options, allowsThreads: Bool, _ empty: Report,
    _ work: (RemuxReport.Failure?, [RemuxReport.Remark]) -> Report
  ) -> Int32 {
    for descriptor in [MediaCommand.input, MediaCommand.report] where fcntl(descriptor, F_GETFD) < 0 {
      MediaCommand.write(
        Array("headwater-media: descriptor \(descriptor) is not open\n".utf8), to: STDERR_FILENO)
      return MediaCommand.misused
    }
    _ = try? JSONEncoder().encode(empty)
    Remux.silence()
    let missing = Sandbox.enter(options.sandbox, allowsThreads: allowsThreads)
    let warnings = missing.map { layer in
      RemuxReport.Remark(code: "sandbox-partial", message: "The kernel offers no \(layer.rawValue).")
    }
    for warning in warnings {
      MediaCommand.write(
        Array("headwater-media: \(warning.code): \(warning.message)\n".utf8), to: STDERR_FILENO)
    }
    var refusal: RemuxReport.Failure?
    if options.requiresSandbox, let warning = warnings.first {
      refusal = RemuxReport.Failure(
        kind: .environment, code: warning.code,
        message: warning.message + " The file was not touched; allow a partial sandbox or change the kernel.")
    }
    guard let bytes = try? JSONEncoder().encode(work(refusal, warnings)),
      MediaCommand.write(Array(bytes) + [0x0A], to: MediaCommand.report)
    else { return 1 }
    return 0
  }
}

extension TranscodeSurvey {
  fileprivate init(failure: RemuxReport.Failure, warnings: [RemuxReport.Remark]) {
    self.init()
    self.failure = failure
    self.warnings = warnings
  }
}

extension TranscodeReport {
  fileprivate init(failure: RemuxReport.Failure, warnings: [RemuxReport.Remark]) {
    self.init()
    self.failure = failure
    self.warnings = warnings
  }
}
