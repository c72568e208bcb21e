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
  /// Of what is said of a kernel that lacks a layer.
  private static let partial = "sandbox-partial"
  private static let usage = """
    usage: headwater-media remux --demuxer NAME [LIMITS] 3<INPUT 4<>OUTPUT 5>REPORT
           headwater-media survey --demuxer NAME [--track ID] [LIMITS] 3<INPUT 5>REPORT
           headwater-media transcode-probe --demuxer NAME --request JSON [LIMITS] 3<INPUT 5>REPORT
           headwater-media transcode|transcode-audio --demuxer NAME --request JSON [LIMITS] 3<INPUT 4<>OUTPUT 5>REPORT
           headwater-media stills [LIMITS] 3<ORDER 4<>OUTPUT 5>REPORT
           headwater-media sandbox-check [--file PATH --port N [--threads yes] [LIMITS] 3<INPUT 4<>OUTPUT 5>REPORT]
    limits: [--memory-bytes N] [--cpu-seconds N] [--output-bytes N] [--nice N] [--when-idle] [--require-sandbox]

    """

  /// - Returns: the status to end with.
  static func run(_ arguments: [String]) -> Int32 {
    switch arguments.first {
    case "remux":
      guard let options = MediaOptions(arguments.dropFirst(), own: ["--demuxer"]),
        let demuxer = options.own["--demuxer"], !demuxer.isEmpty
      else { break }
      return remux(options, demuxer: demuxer)
    case let command? where ["survey", "transcode", "transcode-probe", "transcode-audio"].contains(command):
      guard let status = TranscodeCommand.run(command, arguments.dropFirst()) else { break }
      return status
    case "stills":
      guard let options = MediaOptions(arguments.dropFirst(), own: []) else { break }
      return StillsCommand.run(options)
    case "sandbox-check" where arguments.count == 1: return SandboxCheck.run()
    case "sandbox-check":
      guard let options = MediaOptions(arguments.dropFirst(), own: ["--file", "--port", "--threads"]),
        let file = options.own["--file"], let port = options.own["--port"].flatMap({ UInt16($0) })
      else { break }
      return SandboxSiege.run(
        options, file: file, port: port, allowsThreads: options.own["--threads"] == "yes")
    default: break
    }
    write(Array(usage.utf8), to: STDERR_FILENO)
    return misused
  }

  private static func remux(_ options: MediaOptions, demuxer: String) -> Int32 {
    guard let input = options.descriptors.inputs.first, let output = options.descriptors.outputs.first
    else { return misused }
    return perform(options) { Remux.run(input: input, output: output, demuxer: demuxer) }
  }

  // MARK: What commands share

  /// Puts up the sandbox, does the work, and reports what became of it, as the last line.
  ///
  /// - Parameters:
  ///   - untouched: what has not happened where the sandbox is required and not whole; the work is not done then.
  ///   - work: gives the report, without what is to be said of the sandbox.
  /// - Returns: the status to end with.
  static func perform<Report: MediaReport>(
    _ options: MediaOptions, allowsThreads: Bool = false, untouched: String = "The file was not touched",
    _ work: () -> Report
  ) -> Int32 {
    guard areOpen(options.descriptors) else { return misused }
    // Whatever a first use of the encoder loads, it loads before the sandbox.
    _ = try? JSONEncoder().encode(Report())
    Remux.silence()
    let warnings = enterSandbox(options, allowsThreads: allowsThreads)
    var report: Report
    if options.requiresSandbox, let warning = warnings.first(where: { $0.code == partial }) {
      report = Report()
      report.failure = RemuxReport.Failure(
        kind: .environment, code: warning.code,
        message: "\(warning.message) \(untouched); allow a partial sandbox or change the kernel.")
    } else {
      report = work()
    }
    report.warnings += warnings
    guard let bytes = try? JSONEncoder().encode(report),
      write(Array(bytes) + [0x0A], to: MediaDescriptors.report)
    else { return 1 }
    return 0
  }

  /// Whether the descriptors that a command was promised are there; says which is not.
  private static func areOpen(_ descriptors: MediaDescriptors) -> Bool {
    for descriptor in descriptors.inputs + descriptors.outputs + [MediaDescriptors.report]
    where fcntl(descriptor, F_GETFD) < 0 {
      write(Array("headwater-media: descriptor \(descriptor) is not open\n".utf8), to: STDERR_FILENO)
      return false
    }
    return true
  }

  /// Puts up the sandbox, and says on standard error what the kernel does not offer of it.
  private static func enterSandbox(
    _ options: MediaOptions, allowsThreads: Bool
  ) -> [RemuxReport.Remark] {
    let warnings = Sandbox.enter(options.limits, options.descriptors, allowsThreads: allowsThreads).map {
      layer in
      switch layer {
      case .landlock, .seccomp:
        RemuxReport.Remark(code: partial, message: "The kernel offers no \(layer.rawValue).")
      case .account:
        RemuxReport.Remark(
          code: "sandbox-root",
          message:
            "Media is decoded as root: run Headwater as another account, or with CAP_SETUID, CAP_SETGID and CAP_KILL."
        )
      }
    }
    for warning in warnings {
      write(Array("headwater-media: \(warning.code): \(warning.message)\n".utf8), to: STDERR_FILENO)
    }
    return warnings
  }

  /// Tells how far the work is, in thousandths.
  static func report(permille: UInt16) {
    write(Array("{\"progress\":\(min(1000, permille))}\n".utf8), to: MediaDescriptors.report)
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

/// What the reports of all commands have.
protocol MediaReport: Encodable {
  init()
  var failure: RemuxReport.Failure? { get set }
  var warnings: [RemuxReport.Remark] { get set }
}

extension RemuxReport: MediaReport {}
extension StillReport: MediaReport {}
extension TranscodeReport: MediaReport {}
extension TranscodeSurvey: MediaReport {}

private func systemWrite(_ descriptor: Int32, _ bytes: UnsafeRawPointer?, _ count: Int) -> Int {
  write(descriptor, bytes, count)
}
