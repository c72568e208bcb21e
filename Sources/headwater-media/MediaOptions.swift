internal import Codec

/// The options that all commands share, and the command's own.
///
///     --memory-bytes N --cpu-seconds N --output-bytes N   limits that the kernel holds
///     --frame-pixels N --side-pixels N --duration-seconds N --streams N   what is decoded at all
///     --inputs N --outputs N   how many descriptors there are, 1 each without it
///     --nice N   0 to 19
///     --when-idle   runs only while nobody else wants the processor
///     --require-sandbox
struct MediaOptions {
  var limits = Sandbox.Limits()
  var decoding = DecodeLimits()
  var descriptors = MediaDescriptors()
  var requiresSandbox = false
  /// Values of the command's own options, by their names with the dashes.
  var own: [String: String] = [:]

  /// - Parameter ownNames: options that take a value, such as `--demuxer`.
  /// - Returns: nil for a command line that is not understood.
  init?(_ arguments: some Sequence<String>, own ownNames: Set<String>) {
    var rest = arguments.makeIterator()
    var (inputs, outputs) = (1, 1)
    while let name = rest.next() {
      if name == "--require-sandbox" {
        requiresSandbox = true
        continue
      }
      if name == "--when-idle" {
        limits.runsWhenIdle = true
        continue
      }
      guard let value = rest.next() else { return nil }
      if ownNames.contains(name) {
        own[name] = value
        continue
      }
      guard let number = UInt64(value) else { return nil }
      switch name {
      case "--memory-bytes": limits.memoryBytes = number
      case "--cpu-seconds": limits.cpuSeconds = number
      case "--output-bytes": limits.outputBytes = number
      case "--nice": limits.nice = Int32(clamping: min(19, number))
      case "--frame-pixels": decoding.pixels = Int64(clamping: number)
      case "--side-pixels": decoding.sidePixels = Int32(clamping: number)
      case "--duration-seconds": decoding.durationSeconds = Int64(clamping: number)
      case "--streams": decoding.streams = Int32(clamping: number)
      case "--inputs": inputs = Int(clamping: number)
      case "--outputs": outputs = Int(clamping: number)
      default: return nil
      }
    }
    guard inputs <= MediaDescriptors.most, outputs <= MediaDescriptors.most else { return nil }
    descriptors = MediaDescriptors(inputs: inputs, outputs: outputs)
  }
}
