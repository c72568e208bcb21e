internal import Codec
internal import FoundationEssentials
internal import Packaging

#if canImport(Glibc)
internal import Glibc
#elseif canImport(Musl)
internal import Musl
#endif

/// The command line of `headwater-media`.
enum MediaCommand {
  /// EX_USAGE of sysexits.h.
  static let misused: Int32 = 64
  private static let usage = """
    usage: headwater-media remux --demuxer NAME [--memory-bytes N] [--cpu-seconds N] [--output-bytes N]
                           [--require-sandbox] 3<INPUT 4<>OUTPUT 5>REPORT
           headwater-media survey --demuxer NAME [--track ID] [limits] 3<INPUT 5>REPORT
           headwater-media transcode|transcode-audio --demuxer NAME --request JSON [limits] 3<INPUT 4<>OUTPUT 5>REPORT
           headwater-media sandbox-check

    """
  static let (input, output, report): (Int32, Int32, Int32) = (3, 4, 5)

  private struct Options {
    var demuxer = ""
    var limits = Sandbox.Limits()
    var requiresSandbox = false

    /// nil for a command line that is not understood.
    init?(_ arguments: some Sequence<String>) {
      var rest = arguments.makeIterator()
      while let name = rest.next() {
        if name == "--require-sandbox" {
          requiresSandbox = true
          continue
        }
        guard let value = rest.next() else { return nil }
        switch (name, UInt64(value)) {
        case ("--demuxer", _): demuxer = value
        case ("--memory-bytes", let number?): limits.memoryBytes = number
        case ("--cpu-seconds", let number?): limits.cpuSeconds = number
        case ("--output-bytes", let number?): limits.outputBytes = number
        default: return nil
        }
      }
      if demuxer.isEmpty { return nil }
    }
  }

  /// - Returns: the status to end with.
  static func run(_ arguments: [String]) -> Int32 {
    switch arguments.first {
    case "remux":
      guard let options = Options(arguments.dropFirst()) else { break }
      return remux(options)
    case let command? where ["survey", "transcode", "transcode-audio"].contains(command):
      guard let status = TranscodeCommand.run(command, arguments.dropFirst()) else { break }
      return status
    case "sandbox-check" where arguments.count == 1: return SandboxCheck.run()
    default: break
    }
    write(Array(usage.utf8), to: STDERR_FILENO)
    return misused
  }

  private static func remux(_ options: Options) -> Int32 {
    for descriptor in [input, output, report] where fcntl(descriptor, F_GETFD) < 0 {
      write(Array("headwater-media: descriptor \(descriptor) is not open\n".utf8), to: STDERR_FILENO)
      return misused
    }
    // Whatever a first use of the encoder loads, it loads before the sandbox.
    _ = try? JSONEncoder().encode(RemuxReport())
    Remux.silence()
    let missing = Sandbox.enter(options.limits)
    let warnings = missing.map { layer in
      RemuxReport.Remark(code: "sandbox-partial", message: "The kernel offers no \(layer.rawValue).")
    }
    for warning in warnings {
      write(Array("headwater-media: \(warning.code): \(warning.message)\n".utf8), to: STDERR_FILENO)
    }
    var result = RemuxReport()
    if options.requiresSandbox, let warning = warnings.first {
      result.failure = RemuxReport.Failure(
        kind: .environment, code: warning.code,
        message: warning.message + " The file was not touched; allow a partial sandbox or change the kernel.")
    } else {
      result = Remux.run(input: input, output: output, demuxer: options.demuxer)
    }
    result.warnings = warnings
    guard let bytes = try? JSONEncoder().encode(result), write(Array(bytes), to: report) else { return 1 }
    return 0
  }

  /// Writes all of it. Returns whether that went well.
  @discardableResult
  static func write(_ bytes: [UInt8], to descriptor: Int32) -> Bool {
    var rest = bytes[...]
    while !rest.isEmpty {
      let count = rest.withUnsafeBytes { systemWrite(descriptor, $0.baseAddress, $0.count) }
      if count > 0 { rest = rest.dropFirst(count) } else if errno != EINTR { return false }
    }
    return true
  }
}

private func systemWrite(_ descriptor: Int32, _ bytes: UnsafeRawPointer?, _ count: Int) -> Int {
  write(descriptor, bytes, count)
}
