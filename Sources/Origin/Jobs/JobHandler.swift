import Glibc
public import Store

// How a plugin provides a kind of job
//
//   declare   a plugin that is a `JobProvider` lists its handlers, one for each kind. Kinds are named `plugin.verb`.
//   enqueue   anything with a `PluginHost` enqueues drafts; most often a `CatalogConsumer` that hears of an asset.
//   run       a worker, here or in another process, claims the job and calls `run` with a `RunningJob`.
//   end       `run` returns what has been made, or throws why not. Nothing of it exists before the queue says so.
//
// The same job may be begun several times, even twice at a time: a lease can pass on while its first owner is stopped. So a
// handler changes nothing by itself. It reads sources, writes temporary outputs, keeps those as blobs, and returns the rest in a
// `JobResult`.

/// The work of one kind of job.
///
/// A reload makes new handlers; a job under way goes on with the old one, also after its plugin's `shutDown()`: a handler
/// therefore holds what it needs.
public protocol JobHandler: Sendable {
  /// `plugin.verb`, up to 64 of a-z, 0-9, `.`, `-` and `_`.
  var kind: String { get }
  var limits: JobLimits { get }
  /// Whether the work needs the store itself, and not only the sources and results of its job. Workers on other machines, whose
  /// store is empty, leave such jobs to those beside the store. False, unless a handler says so.
  var needsStore: Bool { get }

  /// Does the work. Runs on Swift's pool: what blocks goes to a process or a worker thread.
  ///
  /// Returns soon after `job.isStopped`, with which its task is cancelled; what it then returns or throws does not matter.
  func run(_ job: RunningJob) async throws(JobFailure) -> JobResult
}

extension JobHandler {
  public var needsStore: Bool { false }
}

/// A plugin that does background work.
public protocol JobProvider: Plugin {
  /// Asked once, after `provision`.
  var jobHandlers: [any JobHandler] { get }
}

/// What a job's processes may take. They are told before they read the first byte.
public struct JobLimits: Sendable, Equatable {
  /// Of one decoded picture.
  public var framePixels: UInt64 = 50_000_000
  public var sidePixels: UInt32 = 8192
  /// Length of the media, in seconds.
  public var durationSeconds: UInt32 = 4 * 3600
  public var streams: UInt32 = 64
  /// Wall clock of one process: so much at least, and so much for each second of media that it is given.
  public var wallSeconds: Double = 60
  public var wallSecondsPerMediaSecond: Double = 20
  /// Address space of one process.
  public var memoryBytes: UInt64 = 2 << 30
  /// Each output; what a temporary output reserves of the disk budget.
  public var outputBytes: UInt64 = 2 << 30

  public init() {}

  /// The wall clock for media of a length.
  public func wall(mediaSeconds: Double) -> Duration {
    let seconds = wallSeconds + wallSecondsPerMediaSecond * (mediaSeconds.isFinite ? max(0, mediaSeconds) : 0)
    return .seconds(Int64(min(seconds, 7 * 86_400).rounded(.up)))
  }

  /// As options of `headwater-media`. Processor time may be wall clock on every core: some encoders need threads.
  func arguments(wall: Duration) -> [String] {
    let processors = Int64(max(1, sysconf(Int32(_SC_NPROCESSORS_ONLN))))
    let (seconds, overflow) = wall.components.seconds.multipliedReportingOverflow(by: processors)
    return [
      "--frame-pixels", "\(framePixels)", "--side-pixels", "\(sidePixels)", "--duration-seconds",
      "\(durationSeconds)", "--streams", "\(streams)", "--memory-bytes", "\(memoryBytes)", "--output-bytes",
      "\(outputBytes)", "--cpu-seconds", "\(overflow ? Int64.max : seconds)",
    ]
  }
}
