internal import Codec
internal import FoundationEssentials
internal import Packaging

/// `headwater-media survey`, `transcode`, `transcode-probe` and `transcode-audio`: the steps of a transcoding job that touch media.
///
///     headwater-media survey          --demuxer NAME [--track ID] 3<INPUT 5>REPORT
///     headwater-media transcode       --demuxer NAME --request JSON 3<INPUT 4<>OUTPUT 5>REPORT
///     headwater-media transcode-probe --demuxer NAME --request JSON 3<INPUT 5>REPORT
///     headwater-media transcode-audio --demuxer NAME --request JSON 3<INPUT 4<>OUTPUT 5>REPORT
///
/// and the options of limits, as for the other commands. The report has a line `{"progress":N}` (0 to 1000) now and then, and a
/// `TranscodeReport` or `TranscodeSurvey` as its last.
enum TranscodeCommand {
  /// - Returns: the status to end with; nil for a command line that is not understood.
  static func run(_ command: String, _ arguments: some Sequence<String>) -> Int32? {
    guard var options = MediaOptions(arguments, own: ["--demuxer", "--request", "--track"]),
      let demuxer = options.own["--demuxer"], !demuxer.isEmpty, let input = options.descriptors.inputs.first
    else { return nil }
    let limits = options.decoding
    let output = options.descriptors.outputs.first
    let request = options.own["--request"] ?? ""
    switch command {
    case "survey":
      return MediaCommand.perform(options) {
        TranscodeSurvey.run(
          input: input, demuxer: demuxer, trackID: options.own["--track"].flatMap { UInt32($0) },
          limits: limits)
      }
    case "transcode":
      guard let output, let request = decode(TranscodeRequest.self, request) else { return nil }
      let lookaheads = open(request, &options)
      return MediaCommand.perform(options, allowsThreads: needsThreads(request)) {
        TranscodeChunk.run(
          request, lookaheads: lookaheads, input: input, output: output, demuxer: demuxer, limits: limits,
          progress: progress)
      }
    case "transcode-probe":
      guard let probe = decode(TranscodeProbe.self, request) else { return nil }
      let lookaheads = open(probe.request, &options)
      return MediaCommand.perform(options, allowsThreads: needsThreads(probe.request)) {
        TranscodeChunk.measure(
          probe, lookaheads: lookaheads, input: input, demuxer: demuxer, limits: limits, progress: progress)
      }
    case "transcode-audio":
      guard let output, let request = decode(TranscodeAudioRequest.self, request) else { return nil }
      return MediaCommand.perform(options) {
        TranscodeSound.run(
          request, input: input, output: output, demuxer: demuxer, limits: limits, progress: progress)
      }
    default: return nil
    }
  }

  /// Opens what looks ahead, while files can be opened.
  private static func open(_ request: TranscodeRequest, _ options: inout MediaOptions) -> TranscodeLookaheads
  {
    Remux.silence()
    Sandbox.closeAll(behind: options.descriptors)
    let lookaheads = TranscodeLookaheads(request)
    options.descriptors.further = lookaheads.descriptors
    return lookaheads
  }

  private static func needsThreads(_ request: TranscodeRequest) -> Bool {
    request.rungs.contains { (try? EncoderChoice($0.encoder))?.needsThreads == true }
  }

  private static func decode<Value: Decodable>(_ type: Value.Type, _ text: String) -> Value? {
    try? JSONDecoder().decode(type, from: Data(text.utf8))
  }

  private static func progress(_ permille: Int) { MediaCommand.report(permille: UInt16(clamping: permille)) }
}
