import FoundationEssentials
public import Store
import Synchronization

/// A job under way, as its handler sees it. Safe from any task.
public final class RunningJob: Sendable {
  /// Why the work is to end at once.
  public enum Stop: Sendable {
    /// Somebody cancelled it.
    case cancelled
    /// Its lease has passed on.
    case lost
    /// This process ends.
    case released
  }

  /// As it was claimed.
  public let record: JobRecord
  public var site: String { record.site }
  public let limits: JobLimits
  private let queue: any JobQueue
  private let storage: any JobStorage
  private let settings: JobProcessSettings
  private let state = Mutex(State())

  private struct State {
    var permille: UInt16 = 0
    var note = ""
    var stop: Stop?
    var processes: [ProcessCancellation] = []
    var cancelWork: (@Sendable () -> Void)?
  }

  /// The runner makes these; a test of a handler may, too.
  public init(
    _ record: JobRecord, limits: JobLimits, queue: any JobQueue, storage: any JobStorage,
    settings: JobProcessSettings = JobProcessSettings()
  ) {
    self.record = record
    self.limits = limits
    self.queue = queue
    self.storage = storage
    self.settings = settings
  }

  // MARK: How far it is

  /// Says how far the work is; what is written down of it is the last before a heartbeat.
  /// - Parameter note: what it is at, in a few words; nil leaves it.
  public func progress(permille: UInt16, note: String? = nil) {
    state.withLock {
      $0.permille = min(1000, permille)
      if let note { $0.note = note }
    }
  }

  public var progress: (permille: UInt16, note: String) { state.withLock { ($0.permille, $0.note) } }

  /// Whether the work is to end: cancelled, lost, or the process stops.
  public var isStopped: Bool { stopReason != nil }
  public var stopReason: Stop? { state.withLock { $0.stop } }

  /// Ends the work: what runs is killed, what waits for others is cancelled, and nothing new begins.
  public func stop(_ reason: Stop) {
    let (processes, cancelWork) = state.withLock { state in
      // The first reason stays.
      if state.stop == nil { state.stop = reason }
      return (state.processes, state.cancelWork)
    }
    for process in processes { process.cancel() }
    cancelWork?()
  }

  /// Says what ends the task that does the work; called at once where it is stopped already.
  func onStop(_ cancelWork: @escaping @Sendable () -> Void) {
    let isStopped = state.withLock { state in
      state.cancelWork = cancelWork
      return state.stop != nil
    }
    if isStopped { cancelWork() }
  }

  // MARK: Sources and outputs

  /// The payload, decoded from JSON. Throws a permanent failure where it is something else.
  public func payload<Value: Decodable>(as type: Value.Type) throws(JobFailure) -> Value {
    try Self.payload(of: record, as: type)
  }

  /// The same of another job, such as one that this one waited for.
  public static func payload<Value: Decodable>(
    of job: JobRecord, as type: Value.Type
  ) throws(JobFailure) -> Value {
    try decode(job.payload, as: type, "payload of \(job.kind)")
  }

  /// The jobs that this one waited for, in the order of its draft.
  public func dependencies() async throws(JobFailure) -> [JobRecord] {
    var found: [JobRecord] = []
    for id in record.dependencies {
      do throws(JobQueueError) {
        guard let job = try await queue.job(id) else { continue }
        found.append(job)
      } catch {
        throw JobFailure(.retryable, code: "queue", "\(error)")
      }
    }
    guard found.count == record.dependencies.count else {
      throw JobFailure(
        .permanent, code: "dependency-gone", "A job that this one needs is not there any more.")
    }
    return found
  }

  /// The result of a job that this one waited for, decoded from JSON.
  public static func result<Value: Decodable>(
    of job: JobRecord, as type: Value.Type
  ) throws(JobFailure) -> Value {
    try decode(job.result, as: type, "result of \(job.kind)")
  }

  private static func decode<Value: Decodable>(
    _ bytes: [UInt8], as type: Value.Type, _ what: String
  ) throws(JobFailure) -> Value {
    try JobJSON.value(of: bytes, as: type, what)
  }

  /// A blob to read, open. It is kept open as long as the returned value lives.
  public func source(of blob: BlobID) async throws(JobFailure) -> JobSource {
    try await storage.source(blob)
  }

  /// An empty file to write to; it is gone with the returned value, unless it is kept.
  /// - Parameter maximumBytes: what is reserved of the disk budget; nil is `limits.outputBytes`.
  public func temporaryOutput(maximumBytes: UInt64? = nil) async throws(JobFailure) -> JobOutput {
    try await storage.makeOutput(maximumBytes: maximumBytes ?? limits.outputBytes)
  }

  /// Makes a blob of an output. Nothing refers to it before the job's result does.
  public func keep(_ output: JobOutput) async throws(JobFailure) -> BlobID {
    try await storage.keep(output)
  }

  /// The same of an MP4 that is to be a rendition: its packaging index lies beside it from the first moment.
  public func keep(_ output: JobOutput, packagingIndex: [UInt8]) async throws(JobFailure) -> BlobID {
    try await storage.keep(output, packagingIndex: packagingIndex)
  }

  // MARK: Processes

  /// What a process has said at its end.
  public struct Report: Sendable {
    /// The last line of its report, JSON.
    public var json: [UInt8]
    /// The end of its standard error.
    public var log: String

    public func decoded<Value: Decodable>(as type: Value.Type) throws(JobFailure) -> Value {
      try RunningJob.decode(json, as: type, "report of the media program")
    }
  }

  /// Runs `headwater-media`, sandboxed, to its end. It is killed within a second of a stop.
  ///
  /// Throws `.crashed` where it died or took too long, `.retryable` where it could not be started or ended with an error.
  /// - Parameters:
  ///   - arguments: the command and its options; the limits and the numbers of descriptors are added.
  ///   - inputs: descriptors 3 and 6… of the process.
  ///   - outputs: descriptors 4 and those behind the inputs.
  ///   - outputBytes: most that each output may get; nil is `limits.outputBytes`.
  ///   - mediaSeconds: what it has to go through, for the wall clock.
  ///   - onProgress: called with each progress line, 0 to 1000; without it the line is the progress of the job.
  public func process(
    _ arguments: [String], inputs: [Int32], outputs: [Int32], outputBytes: UInt64? = nil,
    mediaSeconds: Double = 0, onProgress: (@Sendable (UInt16) -> Void)? = nil
  ) async throws(JobFailure) -> Report {
    let cancellation = ProcessCancellation()
    let isStopped = state.withLock { state in
      state.processes.append(cancellation)
      return state.stop != nil
    }
    defer { state.withLock { $0.processes.removeAll { $0 === cancellation } } }
    if isStopped { throw .stopped }
    let wall = limits.wall(mediaSeconds: mediaSeconds)
    let patience = settings.runWhenIdle ? wall * JobProcessSettings.patienceWhenIdle : wall
    var limits = limits
    if let outputBytes { limits.outputBytes = outputBytes }
    let whole =
      arguments + limits.arguments(wall: wall) + settings.arguments
      + ["--inputs", "\(inputs.count)", "--outputs", "\(outputs.count)"]
    let run: MediaProcess.Run
    do throws(MediaProcessError) {
      let program: MediaProcess
      if let path = settings.program {
        program = MediaProcess(program: path)
      } else {
        program = try MediaProcess.find()
      }
      run = try await program.run(
        whole, inputs: inputs, outputs: outputs, limit: patience, cancellation: cancellation
      ) { [self] in
        if let onProgress { onProgress($0) } else { progress(permille: $0) }
      }
    } catch {
      throw JobFailure(.retryable, code: error.code, error.message, log: error.log)
    }
    if cancellation.isCancelled { throw .stopped }
    guard run.hasEnded else {
      throw JobFailure(
        .crashed, code: "media-program-timeout",
        "The media program took longer than \(patience.components.seconds) s and was ended.", log: run.log)
    }
    guard run.signal == 0 else {
      throw JobFailure(
        .crashed, code: "media-program-crashed", "The media program died by signal \(run.signal).",
        log: run.log)
    }
    guard run.status == 0, let last = MediaReport.lastLine(of: run.report) else {
      throw JobFailure(
        .retryable, code: "media-program-failed",
        "The media program ended with status \(run.status) and without a usable report.", log: run.log)
    }
    return Report(json: last, log: run.log)
  }
}

/// How the processes of jobs are run.
public struct JobProcessSettings: Sendable, Equatable {
  /// Nothing is decoded where the kernel lacks a layer of the sandbox.
  public var requiresSandbox: Bool
  /// 0 to 19, behind other processes.
  public var nice: Int
  /// Whether they get processor and disk only while nobody else wants them.
  public var runWhenIdle: Bool
  /// Who runs only while others don't may wait longer than he works: the limit on processor time stays.
  static let patienceWhenIdle = 8
  /// The program; nil is the one beside this one, or on PATH.
  public var program: String?

  public init(
    requiresSandbox: Bool = false, nice: Int = 10, runWhenIdle: Bool = true, program: String? = nil
  ) {
    self.requiresSandbox = requiresSandbox
    self.nice = nice
    self.runWhenIdle = runWhenIdle
    self.program = program
  }

  var arguments: [String] {
    ["--nice", "\(min(19, max(0, nice)))"] + (runWhenIdle ? ["--when-idle"] : [])
      + (requiresSandbox ? ["--require-sandbox"] : [])
  }
}

extension JobFailure {
  /// Of a job that was stopped; nobody reads it.
  static let stopped = JobFailure(.retryable, code: "stopped", "The job was stopped.")
}
