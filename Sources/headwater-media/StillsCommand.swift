internal import Codec
internal import Packaging

/// `headwater-media stills`: the pictures of the order that comes down the input.
enum StillsCommand {
  /// - Returns: the status to end with.
  static func run(_ options: MediaOptions) -> Int32 {
    guard let input = options.descriptors.inputs.first, let output = options.descriptors.outputs.first
    else { return MediaCommand.misused }
    return MediaCommand.perform(options, untouched: "Nothing was decoded") {
      Stills.run(input: input, output: output)
    }
  }
}
