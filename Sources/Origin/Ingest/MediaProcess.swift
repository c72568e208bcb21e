// Containers that our own reader does not know are read by a program of its own, `headwater-media`, which links libav.
//
// A file from anywhere meets a library with many readers there, so the program is held at arm's length. It lies
// beside the running program, or on PATH; without it Headwater serves MP4 and MOV as ever. It gets no path, only
// descriptors:
//
//     0  /dev/null        1  /dev/null       2  a pipe, of which 64 KiB are kept for the log
//     3  the input, read only                4  an empty file in incoming/
//     5  a pipe for its report, JSON, at most 64 MiB (see MediaReport.swift)
//     6… further inputs, then further outputs
//
// All others are closed, and of the environment it sees PATH, library paths and locale, since secrets may stand there.
// It runs in a process group of its own, which is killed as a whole when its time is up: a minute, and a second for
// every 4 MiB of input. Copying samples takes a hundredth of that; what takes longer hangs. For jobs (Jobs/RunningJob.swift)
// the time is theirs, and they may cancel it. Nothing of its output is believed before our own reader has read it.

import CLinux
import FoundationEssentials
import Glibc
import Loop
import Packaging
import Synchronization

/// Why the program for other containers gave no report. Says nothing about the media.
struct MediaProcessError: Error, Equatable {
  /// Stable: `media-program-missing`, `media-program-failed`, `media-program-timeout`.
  var code: String
  /// One sentence without paths, fit for a catalog.
  var message: String
  /// The last of what it wrote to standard error, for the operator.
  var log = ""
}

/// Runs `headwater-media`.
struct MediaProcess {
  static let programName = "headwater-media"
  private static let logBytes = 64 << 10
  private static let reportBytes = 64 << 20
  /// How often it is looked whether a process was cancelled.
  private static let cancellationMilliseconds: Int32 = 100

  let program: String

  /// The program beside the one that is running, else the first of its name on PATH.
  static func find() throws(MediaProcessError) -> MediaProcess {
    var folders: [Substring] = []
    var own = [CChar](repeating: 0, count: Int(PATH_MAX))
    let count = readlink("/proc/self/exe", &own, own.count)
    if count > 0 {
      let path = String(decoding: own[..<count].map { UInt8(bitPattern: $0) }, as: UTF8.self)
      if let slash = path.lastIndex(of: "/") { folders.append(path[..<slash]) }
    }
    if let path = getenv("PATH") { folders += String(cString: path).split(separator: ":") }
    for folder in folders {
      let candidate = "\(folder)/\(programName)"
      if access(candidate, X_OK) == 0 { return MediaProcess(program: candidate) }
    }
    throw missing
  }

  static let missing = MediaProcessError(
    code: "media-program-missing",
    message: "The program \(programName), which reads this kind of file, is not installed beside headwater.")

  /// What libav calls a container that our own probe has told; nil for those it is not asked to read.
  static func demuxer(for kind: MediaKind) -> String? {
    switch kind {
    case .matroska: "matroska"
    case .mpegTS: "mpegts"
    case .otherMedia(let name): otherDemuxers[name]
    case .progressiveMP4, .fragmentedMP4, .hlsPlaylist, .mpd, .image, .text, .unknown: nil
    }
  }

  /// By the names that `MediaProbe` gives.
  private static let otherDemuxers = [
    "Ogg": "ogg", "FLAC": "flac", "FLV": "flv", "MP3": "mp3", "AAC": "aac",
  ]

  /// How long a remux may take.
  static func limit(inputBytes: UInt64) -> Duration {
    .seconds(60 + Int64(clamping: inputBytes / (4 << 20)))
  }

  /// How long the output may get: samples are copied, and what describes them is little.
  private static func outputLimitBytes(inputBytes: UInt64) -> UInt64 {
    inputBytes > 1 << 60 ? .max : 2 * inputBytes + 64 << 20
  }

  /// Has the media of `input` written to `output` as MP4, without coding anything anew.
  ///
  /// - Parameters:
  ///   - demuxer: libav's name of the container, told from its bytes; no other is tried.
  ///   - output: open for reading and writing, and empty.
  func remux(
    input: Int32, inputBytes: UInt64, output: Int32, demuxer: String
  ) throws(MediaProcessError) -> RemuxReport {
    let limit = Self.limit(inputBytes: inputBytes)
    let run = try run(
      [
        "remux", "--demuxer", demuxer, "--cpu-seconds", "\(limit.components.seconds)", "--output-bytes",
        "\(Self.outputLimitBytes(inputBytes: inputBytes))",
      ], input: input, output: output, limit: limit)
    guard run.hasEnded else {
      throw MediaProcessError(
        code: "media-program-timeout",
        message: "Reading this file took too long and was given up: it is damaged or made to do so.",
        log: run.log)
    }
    if let report = run.decoded(as: RemuxReport.self) { return report }
    throw MediaProcessError(
      code: "media-program-failed",
      message: "The program that reads this kind of file ended \(run.how) and without a usable report.",
      log: run.log)
  }

  /// What a process left behind.
  struct Run {
    var report: [UInt8]
    var log: String
    var status: Int32
    var signal: Int32
    /// False where it was killed for its time or for the length of its report.
    var hasEnded: Bool

    /// How it ended, in words.
    var how: String { signal == 0 ? "with status \(status)" : "by signal \(signal)" }

    /// The whole report as one value; nil where it is none, or of a process that ended in another way than with status 0:
    /// that one is worth nothing.
    func decoded<Report: Decodable>(as type: Report.Type) -> Report? {
      guard status == 0, signal == 0 else { return nil }
      return try? JSONDecoder().decode(type, from: Data(report))
    }
  }

  /// Runs the program to its end, or to the end of its time, with one input and one output.
  func run(
    _ arguments: [String], input: Int32, output: Int32, limit: Duration
  ) throws(MediaProcessError) -> Run {
    try run(arguments, inputs: [input], outputs: [output], limit: limit)
  }

  /// Runs the program to its end, to the end of its time, or until it is cancelled.
  ///
  /// Blocks. The thread has to live on meanwhile, since the kernel ends the process with it.
  /// - Parameter onProgress: called with each progress line of the report, 0 to 1000.
  func run(
    _ arguments: [String], inputs: [Int32], outputs: [Int32], limit: Duration,
    cancellation: ProcessCancellation? = nil, onProgress: (UInt16) -> Void = { _ in }
  ) throws(MediaProcessError) -> Run {
    let deadline = ContinuousClock.now + limit
    let running = try start(arguments, inputs: inputs, outputs: outputs)
    return Self.finish(running, by: deadline, cancellation: cancellation, onProgress: onProgress)
  }

  /// A process that runs, with the pipes of its report and its log.
  struct Running {
    fileprivate let id: pid_t
    fileprivate let reportPipe: ProcessPipe
    fileprivate let logPipe: ProcessPipe
  }

  /// Starts the program. Whoever calls this calls `finish`, however it goes on, and from a thread that lives until then.
  func start(
    _ arguments: [String], inputs: [Int32], outputs: [Int32]
  ) throws(MediaProcessError) -> Running {
    let reportPipe = try ProcessPipe()
    let logPipe = try ProcessPipe()
    let id = try spawn(
      arguments, Self.targets(inputs: inputs, outputs: outputs), report: reportPipe, log: logPipe)
    reportPipe.closeWritingEnd()
    logPipe.closeWritingEnd()
    return Running(id: id, reportPipe: reportPipe, logPipe: logPipe)
  }

  /// Waits for its end; kills its group at the deadline, or when it is cancelled.
  static func finish(
    _ running: Running, by deadline: ContinuousClock.Instant, cancellation: ProcessCancellation? = nil,
    onProgress: (UInt16) -> Void = { _ in }
  ) -> Run {
    let (reportPipe, logPipe) = (running.reportPipe, running.logPipe)
    var report = MediaReport()
    var log: [UInt8] = []
    var polled = [reportPipe, logPipe].map { pollfd(fd: $0.reading, events: Int16(POLLIN), revents: 0) }
    var isOver = false
    func isEnding() -> Bool { isOver || cancellation?.isCancelled == true }
    while !isEnding(), polled.contains(where: { $0.fd >= 0 }) {
      guard let left = Self.milliseconds(until: deadline) else { break }
      let wait = cancellation == nil ? left : min(left, Self.cancellationMilliseconds)
      guard poll(&polled, nfds_t(polled.count), wait) > 0 else { continue }
      for index in polled.indices where polled[index].fd >= 0 && polled[index].revents != 0 {
        guard let bytes = Self.read(polled[index].fd) else {
          polled[index].fd = -1
          continue
        }
        if index == 0 {
          report.append(bytes, onProgress: onProgress)
          isOver = report.bytes.count > Self.reportBytes
        } else {
          log = Array((log + bytes).suffix(Self.logBytes))
        }
      }
    }
    let (status, hasEnded) = Self.end(of: running.id, deadline: isOver ? .now : deadline, cancellation)
    return Run(
      report: report.bytes, log: String(decoding: log, as: UTF8.self), status: status >> 8 & 0xFF,
      signal: status & 0x7F, hasEnded: hasEnded)
  }

  /// The same on a thread of its own.
  func run(
    _ arguments: [String], inputs: [Int32], outputs: [Int32], limit: Duration,
    cancellation: ProcessCancellation, onProgress: @escaping @Sendable (UInt16) -> Void
  ) async throws(MediaProcessError) -> Run {
    var thread: NamedThread?
    let result: Result<Run, MediaProcessError> = await withCheckedContinuation { continuation in
      do throws(LoopError) {
        thread = try NamedThread(name: "hw-job") {
          do throws(MediaProcessError) {
            let run = try self.run(
              arguments, inputs: inputs, outputs: outputs, limit: limit, cancellation: cancellation,
              onProgress: onProgress)
            continuation.resume(returning: .success(run))
          } catch {
            continuation.resume(returning: .failure(error))
          }
        }
      } catch {
        continuation.resume(returning: .failure(Self.notStarted(EAGAIN)))
      }
    }
    // It has nothing left to do.
    thread?.join()
    return try result.get()
  }

  /// Which descriptor of ours becomes which of the program's; -1 is nothing to read and nowhere to write.
  private static func targets(inputs: [Int32], outputs: [Int32]) -> [(source: Int32, target: Int32)] {
    var targets = [(inputs.first ?? -1, Int32(3)), (outputs.first ?? -1, Int32(4))]
    for (index, source) in (inputs.dropFirst() + outputs.dropFirst()).enumerated() {
      targets.append((source, Int32(6 + index)))
    }
    return targets
  }

  /// What `poll` may wait for; nil when the time is over.
  static func milliseconds(until deadline: ContinuousClock.Instant) -> Int32? {
    let left = deadline - .now
    guard left > .zero else { return nil }
    return Int32(clamping: left.components.seconds.multipliedReportingOverflow(by: 1000).partialValue + 999)
  }

  /// What a pipe has now; nil at its end.
  private static func read(_ descriptor: Int32) -> [UInt8]? {
    let bytes = [UInt8](unsafeUninitializedCapacity: 64 << 10) { buffer, count in
      repeat {
        count = max(-1, Glibc.read(descriptor, buffer.baseAddress, buffer.count))
      } while count < 0
        && errno == EINTR
      count = max(0, count)
    }
    return bytes.isEmpty ? nil : bytes
  }

  /// Waits for a child that has closed its pipes, and kills its group at the deadline.
  private static func end(
    of id: pid_t, deadline: ContinuousClock.Instant, _ cancellation: ProcessCancellation?
  ) -> (status: Int32, hasEnded: Bool) {
    var status: Int32 = 0
    while true {
      let found = waitpid(id, &status, WNOHANG)
      if found == id { return (status, true) }
      if found < 0, errno != EINTR { return (status, false) }
      guard ContinuousClock.now < deadline, cancellation?.isCancelled != true else { break }
      // It has nothing left to say and is about to end.
      poll(nil, 0, 2)
    }
    kill(-id, SIGKILL)
    while waitpid(id, &status, 0) < 0, errno == EINTR {}
    return (status, false)
  }

  private func spawn(
    _ arguments: [String], _ files: [(source: Int32, target: Int32)], report: ProcessPipe, log: ProcessPipe
  ) throws(MediaProcessError) -> pid_t {
    let null = open("/dev/null", O_RDWR | O_CLOEXEC)
    guard null >= 0 else { throw Self.notStarted(errno) }
    defer { close(null) }
    let all: [(source: Int32, target: Int32)] = files + [(report.writing, 5), (log.writing, 2)]
    let end = (all.map(\.target).max() ?? 5) + 1
    // Copies above all targets, so that no `dup2` below overwrites what another one is about to copy.
    let copies = all.map { fcntl($0.source >= 0 ? $0.source : null, F_DUPFD_CLOEXEC, end) }
    defer { for copy in copies where copy >= 0 { close(copy) } }
    guard copies.allSatisfy({ $0 >= 0 }) else { throw Self.notStarted(errno) }
    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    defer { posix_spawn_file_actions_destroy(&actions) }
    posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
    posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0)
    for (copy, file) in zip(copies, all) { posix_spawn_file_actions_adddup2(&actions, copy, file.target) }
    clinux_spawn_close_from(&actions, end)

    var attributes = posix_spawnattr_t()
    posix_spawnattr_init(&attributes)
    defer { posix_spawnattr_destroy(&attributes) }
    clinux_spawn_default_signals(&attributes)
    posix_spawnattr_setpgroup(&attributes, 0)
    posix_spawnattr_setflags(
      &attributes, Int16(POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF))

    let names: [String] = ["PATH", "LD_LIBRARY_PATH", "LANG", "LC_ALL"]
    let variables = names.compactMap { name in getenv(name).map { "\(name)=\(String(cString: $0))" } }
    let argv = ([program] + arguments).map { strdup($0) } + [nil]
    let envp = variables.map { strdup($0) } + [nil]
    defer { for pointer in argv + envp { free(pointer) } }
    var id: pid_t = 0
    let failure = posix_spawn(&id, program, &actions, &attributes, argv, envp)
    guard failure == 0 else { throw Self.notStarted(failure) }
    return id
  }

  static func notStarted(_ code: Int32) -> MediaProcessError {
    MediaProcessError(
      code: "media-program-failed",
      message: "The program \(programName) could not be started: \(String(cString: strerror(code))).")
  }
}

/// Ends a process from elsewhere.
final class ProcessCancellation: Sendable {
  private let flag = Atomic<Bool>(false)

  var isCancelled: Bool { flag.load(ordering: .relaxed) }
  func cancel() { flag.store(true, ordering: .relaxed) }
}

/// A pipe whose ends close with it.
private final class ProcessPipe {
  let reading: Int32
  private(set) var writing: Int32

  init() throws(MediaProcessError) {
    var ends: [Int32] = [-1, -1]
    guard pipe(&ends) == 0 else { throw MediaProcess.notStarted(errno) }
    (reading, writing) = (ends[0], ends[1])
    for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
  }

  func closeWritingEnd() {
    if writing >= 0 { close(writing) }
    writing = -1
  }

  deinit {
    close(reading)
    closeWritingEnd()
  }
}
