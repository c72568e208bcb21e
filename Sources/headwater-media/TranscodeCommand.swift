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
  /// - Returns: the status to end with; nil for a command line that is not understood.
  static func run(_ command: String, _ arguments: some Sequence<String>) -> Int32? {
    guard let options = MediaOptions(arguments, own: ["--demuxer", "--request", "--track"]),
      let demuxer = options.own["--demuxer"], !demuxer.isEmpty, let input = options.descriptors.inputs.first
    else { return nil }
    let limits = options.decoding
    let output = options.descriptors.outputs.first
    let request = options.own["--request"] ?? ""
    switch command {
    case "survey":
      return enter(options, TranscodeSurvey(failure: nil, warnings: [])) { failure, warnings in
        if failure != nil { return TranscodeSurvey(failure: failure, warnings: warnings) }
        var survey = TranscodeSurvey.run(
          input: input, demuxer: demuxer, trackID: options.own["--track"].flatMap { UInt32($0) },
          limits: limits)
        survey.warnings += warnings
        return survey
      }
    case "transcode":
      guard let output, let request = decode(TranscodeRequest.self, request) else { return nil }
      let needsThreads = request.rungs.contains { (try? EncoderChoice($0.encoder))?.needsThreads == true }
      return enter(
        options, allowsThreads: needsThreads, TranscodeReport(failure: nil, warnings: [])
      ) { failure, warnings in
        if failure != nil { return TranscodeReport(failure: failure, warnings: warnings) }
        var report = TranscodeChunk.run(
          request, input: input, output: output, demuxer: demuxer, limits: limits, progress: progress)
        report.warnings += warnings
        return report
      }
    case "transcode-audio":
      guard let output, let request = decode(TranscodeAudioRequest.self, request) else { return nil }
      return enter(options, TranscodeReport(failure: nil, warnings: [])) { failure, warnings in
        if failure != nil { return TranscodeReport(failure: failure, warnings: warnings) }
        var report = TranscodeSound.run(
          request, input: input, output: output, demuxer: demuxer, limits: limits, progress: progress)
        report.warnings += warnings
        return report
      }
    default: return nil
    }
  }

  private static func decode<Value: Decodable>(_ type: Value.Type, _ text: String) -> Value? {
    try? JSONDecoder().decode(type, from: Data(text.utf8))
  }

  private static func progress(_ permille: Int) { MediaCommand.report(permille: UInt16(clamping: permille)) }

  /// Puts up the sandbox, does the work, reports.
  /// - Parameters:
  ///   - empty: encoded once before, so that whatever the first use of the encoder loads is there.
  ///   - work: given why there is none to do, and what is worth a warning.
  private static func enter<Report: Encodable>(
    _ options: MediaOptions, allowsThreads: Bool = false, _ empty: Report,
    _ work: (RemuxReport.Failure?, [RemuxReport.Remark]) -> Report
  ) -> Int32 {
    guard MediaCommand.areOpen(options.descriptors) else { return MediaCommand.misused }
    _ = try? JSONEncoder().encode(empty)
    Remux.silence()
    let warnings = MediaCommand.enterSandbox(options, allowsThreads: allowsThreads)
    var refusal: RemuxReport.Failure?
    if options.requiresSandbox, let warning = warnings.first {
      refusal = RemuxReport.Failure(
        kind: .environment, code: warning.code,
        message: warning.message + " The file was not touched; allow a partial sandbox or change the kernel.")
    }
    guard let bytes = try? JSONEncoder().encode(work(refusal, warnings)),
      MediaCommand.write(Array(bytes) + [0x0A], to: MediaDescriptors.report)
    else { return 1 }
    return 0
  }
}

extension TranscodeSurvey {
  fileprivate init(failure: RemuxReport.Failure?, warnings: [RemuxReport.Remark]) {
    self.init()
    self.failure = failure
    self.warnings = warnings
  }
}

extension TranscodeReport {
  fileprivate init(failure: RemuxReport.Failure?, warnings: [RemuxReport.Remark]) {
    self.init()
    self.failure = failure
    self.warnings = warnings
  }
}
