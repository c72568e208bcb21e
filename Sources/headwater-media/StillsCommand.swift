internal import Codec
internal import FoundationEssentials
internal import Packaging

/// `headwater-media stills`: the pictures of the order that comes down the input.
enum StillsCommand {
  /// - Returns: the status to end with.
  static func run(_ options: MediaOptions) -> Int32 {
    guard MediaCommand.areOpen(options.descriptors), let input = options.descriptors.inputs.first,
      let output = options.descriptors.outputs.first
    else { return MediaCommand.misused }
    // Whatever a first use of the encoder loads, it loads before the sandbox.
    _ = try? JSONEncoder().encode(StillReport())
    Remux.silence()
    let warnings = MediaCommand.enterSandbox(options)
    var result = StillReport()
    if options.requiresSandbox, let warning = warnings.first {
      result.failure = RemuxReport.Failure(
        kind: .environment, code: warning.code,
        message: warning.message + " Nothing was decoded; allow a partial sandbox or change the kernel.")
    } else {
      result = Stills.run(input: input, output: output)
    }
    result.warnings = warnings
    guard let bytes = try? JSONEncoder().encode(result),
      MediaCommand.write(Array(bytes), to: MediaDescriptors.report)
    else { return 1 }
    return 0
  }
}
