import Glibc
import Loop
import Store
import Synchronization
import Testing

@testable import Origin

/// A handler whose work is a closure.
private struct ClosureHandler: JobHandler {
  var kind = "test.work"
  var limits = JobLimits()
  var body: @Sendable (RunningJob) async throws(JobFailure) -> JobResult

  func run(_ job: RunningJob) async throws(JobFailure) -> JobResult { try await body(job) }
}

/// A queue whose first claim comes back when another one has found nothing.
private struct LateClaims: JobQueue {
  private let queue: any JobQueue
  private let state = Shared()

  private final class Shared: Sendable {
    let isEmptyOnce = Atomic<Bool>(false)
    let isGivenOnce = Atomic<Bool>(false)
  }

  init(_ queue: any JobQueue) { self.queue = queue }

  func claim(_ offers: Set<JobOffer>, owner: String) async throws(JobQueueError) -> JobRecord? {
    let job = try await queue.claim(offers, owner: owner)
    if job == nil {
      state.isEmptyOnce.store(true, ordering: .relaxed)
    } else if !state.isGivenOnce.exchange(true, ordering: .relaxed) {
      while !state.isEmptyOnce.load(ordering: .relaxed) { try? await Task.sleep(for: .milliseconds(5)) }
    }
    return job
  }

  func enqueue(_ drafts: [JobDraft]) async throws(JobQueueError) -> [JobRecord] {
    try await queue.enqueue(drafts)
  }
  func register() async throws(JobQueueError) -> String { try await queue.register() }
  func heartbeat(
    _ id: JobID, fence: UInt64, progressPermille: UInt16, note: String
  ) async throws(JobQueueError) -> JobStanding {
    try await queue.heartbeat(id, fence: fence, progressPermille: progressPermille, note: note)
  }
  func standing(_ id: JobID, fence: UInt64) async throws(JobQueueError) -> JobStanding {
    try await queue.standing(id, fence: fence)
  }
  func finish(_ id: JobID, fence: UInt64, _ result: JobResult) async throws(JobQueueError) -> JobEnding {
    try await queue.finish(id, fence: fence, result)
  }
  func fail(
    _ id: JobID, fence: UInt64, _ failure: JobFailure
  ) async throws(JobQueueError) -> JobRecord? { try await queue.fail(id, fence: fence, failure) }
  func release(_ id: JobID, fence: UInt64) async throws(JobQueueError) -> Bool {
    try await queue.release(id, fence: fence)
  }
  func cancel(_ id: JobID) async throws(JobQueueError) -> JobRecord? { try await queue.cancel(id) }
  func retry(_ id: JobID) async throws(JobQueueError) -> JobRecord? { try await queue.retry(id) }
  func job(_ id: JobID) async throws(JobQueueError) -> JobRecord? { try await queue.job(id) }
  func jobs(
    _ filter: JobFilter, before: UInt64?, limit: Int
  ) async throws(JobQueueError) -> [JobRecord] { try await queue.jobs(filter, before: before, limit: limit) }
  func figures() async throws(JobQueueError) -> JobQueueFigures { try await queue.figures() }
  func purge(olderThanMilliseconds age: Int64) async throws(JobQueueError) -> Int {
    try await queue.purge(olderThanMilliseconds: age)
  }
}

@Suite(.timeLimit(.minutes(2))) struct JobRunnerTests {
  private let folder: StoreFolder
  private var store: Store { folder.store }

  init() throws { folder = try StoreFolder() }

  /// Runs workers while `body` does, and stops them.
  private func working(
    _ handlers: [ClosureHandler], workers count: Int = 2, diskBytes: UInt64 = 1 << 30, program: String? = nil,
    _ body: (JobRunner, any JobQueue) async throws -> Void
  ) async throws {
    let pool = try WorkerPool(threadCount: 2)
    defer { pool.shutdown() }
    let queue = EmbeddedJobQueue(store: store, workers: pool)
    let runner = JobRunner(
      queue: queue,
      storage: StoreJobStorage(store: store, workers: pool, disk: JobDisk(budgetBytes: diskBytes)),
      settings: JobProcessSettings(program: program), logger: OriginFixture.logger)
    runner.use(handlers.map { ("default", $0) })
    runner.start(workers: count)
    let result: Result<Void, any Error>
    do { result = .success(try await body(runner, queue)) } catch { result = .failure(error) }
    await runner.stop()
    try result.get()
  }

  private func draft(_ key: String, kind: String = "test.work", after: [JobID] = []) -> JobDraft {
    JobDraft(site: "default", kind: kind, key: key, payload: Array(#"{"n":1}"#.utf8), dependencies: after)
  }

  /// Waits until a job is as wanted.
  private func wait(
    _ queue: any JobQueue, _ id: JobID, until isReached: (JobRecord) -> Bool
  ) async throws -> JobRecord {
    while true {
      if let job = try await queue.job(id), isReached(job) { return job }
      try await Task.sleep(for: .milliseconds(5))
    }
  }

  private func leftovers() -> [String] {
    guard let folder = opendir(store.path + "/incoming") else { return [] }
    defer { closedir(folder) }
    var names: [String] = []
    while let entry = readdir(folder) {
      let name = withUnsafeBytes(of: &entry.pointee.d_name) {
        String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self)
      }
      if name.hasSuffix(".part") { names.append(name) }
    }
    return names
  }

  @Test func aJobReadsWritesAndEndsWithFollowUps() async throws {
    let source = try folder.stage(Array("source".utf8)).id
    struct Payload: Decodable { var n: Int }
    let first = ClosureHandler { job throws(JobFailure) in
      #expect(try job.payload(as: Payload.self).n == 1)
      let input = try await job.source(of: source)
      #expect(input.sizeBytes == 6)
      let output = try await job.temporaryOutput(maximumBytes: 1000)
      #expect(write(output.descriptor, "made", 4) == 4)
      let blob = try await job.keep(output)
      return JobResult(
        result: Array(#"{"n":2}"#.utf8), keptBlobs: [blob],
        followUps: [JobDraft(site: job.site, kind: "test.next", key: "n", dependencies: [job.record.id])])
    }
    let next = ClosureHandler(kind: "test.next") { job throws(JobFailure) in
      let before = try await job.dependencies()
      #expect(try RunningJob.result(of: before[0], as: Payload.self).n == 2)
      #expect(try await job.source(of: before[0].keptBlobs[0]).sizeBytes == 4)
      return JobResult()
    }
    try await working([first, next]) { _, queue in
      try await queue.enqueue([draft("k")])
      let last = try await wait(queue, JobID(site: "default", kind: "test.next", key: "n")) {
        $0.state == .completed
      }
      #expect(last.attempt == 1)
    }
    #expect(leftovers().isEmpty)
  }

  @Test func whatFailsIsWrittenDownAndItsOutputsGo() async throws {
    let outputs = Mutex<[String]>([])
    let handler = ClosureHandler { job throws(JobFailure) in
      let output = try await job.temporaryOutput(maximumBytes: 10)
      outputs.withLock { $0.append(output.path) }
      throw JobFailure(.permanent, code: "no-picture", "There is no picture.", log: "line")
    }
    try await working([handler]) { runner, queue in
      try await queue.enqueue([draft("k")])
      let job = try await wait(queue, draft("k").id) { $0.state == .failed }
      #expect(job.error == JobError(code: "no-picture", message: "There is no picture.", log: "line"))
      while runner.runningJobs > 0 { try await Task.sleep(for: .milliseconds(5)) }
      #expect(
        runner.measures.all.map { "\($0.key.kind) \($0.key.result) \($0.value.attempts)" } == [
          "test.work failed 1"
        ])
    }
    #expect(outputs.withLock { $0 }.allSatisfy { access($0, F_OK) != 0 })
  }

  @Test func theDiskBudgetHolds() async throws {
    let handler = ClosureHandler { job throws(JobFailure) in
      if job.record.key == "huge" { _ = try await job.temporaryOutput(maximumBytes: 101) }
      let outputs = try await (job.temporaryOutput(maximumBytes: 60), job.temporaryOutput(maximumBytes: 40))
      do throws(JobFailure) {
        _ = try await job.temporaryOutput(maximumBytes: 1)
        Issue.record("more than the budget")
      } catch { #expect(error.kind == .postponed(milliseconds: 15_000)) }
      _ = outputs
      return JobResult()
    }
    try await working([handler], workers: 1, diskBytes: 100) { _, queue in
      try await queue.enqueue([draft("fits"), draft("huge")])
      _ = try await wait(queue, draft("fits").id) { $0.state == .completed }
      let huge = try await wait(queue, draft("huge").id) { $0.state == .failed }
      #expect(huge.error?.code == "job-disk-budget")
    }
  }

  /// The other worker of a queue that runs empty finds nothing while the first one has just been given the last job, which
  /// will be followed by two: it has to be there for them.
  @Test func whoDrainsWaitsForWhatOthersAreAboutToDo() async throws {
    let begun = Mutex(0)
    let parent = ClosureHandler { job throws(JobFailure) in
      JobResult(
        followUps: ["left", "right"].map { key in
          JobDraft(site: job.site, kind: "test.pair", key: key, dependencies: [job.record.id])
        })
    }
    let pair = ClosureHandler(kind: "test.pair") { _ throws(JobFailure) in
      begun.withLock { $0 += 1 }
      let deadline = ContinuousClock.now + .seconds(60)
      while begun.withLock({ $0 }) < 2, ContinuousClock.now < deadline {
        try? await Task.sleep(for: .milliseconds(5))
      }
      #expect(begun.withLock { $0 } == 2, "one worker is left")
      return JobResult()
    }
    let pool = try WorkerPool(threadCount: 2)
    defer { pool.shutdown() }
    let queue = LateClaims(EmbeddedJobQueue(store: store, workers: pool))
    let runner = JobRunner(
      queue: queue, storage: StoreJobStorage(store: store, workers: pool, disk: JobDisk(budgetBytes: 1)),
      settings: JobProcessSettings(), logger: OriginFixture.logger)
    _ = try await queue.enqueue([draft("k")])
    runner.use([("default", parent), ("default", pair)])
    runner.start(workers: 2, drains: true)
    await runner.finish()
    let kinds = try await queue.jobs(JobFilter(states: [.completed]), before: nil, limit: 9).map(\.kind)
    #expect(kinds.sorted() == ["test.pair", "test.pair", "test.work"])
  }

  // MARK: Ending what runs

  private func program(_ script: String) throws -> String {
    let path = "\(store.path)/../program-\(UInt32.random(in: .min ... .max))"
    let descriptor = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0o700)
    let text = "#!/bin/sh\n\(script)\n"
    #expect(write(descriptor, text, text.utf8.count) == text.utf8.count)
    close(descriptor)
    return path
  }

  /// Runs a process that says its number and then waits.
  private static let waiting = ClosureHandler { job throws(JobFailure) in
    let report = try await job.process(["x"], inputs: [], outputs: []) { permille in
      job.progress(permille: permille, note: "waits")
    }
    return JobResult(result: report.json)
  }

  private static let waitingScript = #"printf '{"progress":321}\n' >&5; exec sleep 1000"#

  @Test func aCancelledJobsProcessDiesWithinASecond() async throws {
    try await working([Self.waiting], program: try program("echo $$ > $0.pid; \(Self.waitingScript)")) {
      runner, queue in
      try await queue.enqueue([draft("k"), draft("then", after: [draft("k").id])])
      _ = try await wait(queue, draft("k").id) { $0.state == .processing }
      while runner.runningJobs == 0 { try await Task.sleep(for: .milliseconds(5)) }
      let begun = ContinuousClock.now
      try await queue.cancel(draft("k").id)
      while runner.runningJobs > 0 { try await Task.sleep(for: .milliseconds(5)) }
      // A second is the promise; a machine full of tests takes its own time on top.
      #expect(ContinuousClock.now - begun < .seconds(6))
      #expect(try await queue.job(draft("then").id)?.state == .cancelled)
      #expect(runner.measures.all.keys.map(\.result) == [.cancelled])
    }
  }

  @Test func stoppingGivesJobsBackUndone() async throws {
    try await working([Self.waiting], program: try program(Self.waitingScript)) { runner, queue in
      try await queue.enqueue([draft("k")])
      _ = try await wait(queue, draft("k").id) { $0.state == .processing }
      await runner.stop()
      let job = try #require(try await queue.job(draft("k").id))
      #expect(job.state == .pending && job.attempt == 0 && job.error == nil)
    }
  }

  @Test func aStoppedWorkersLateResultIsRefused() async throws {
    let gate = Mutex(false)
    let handler = ClosureHandler { job throws(JobFailure) in
      // Does not look whether it is stopped: like a process that was asleep.
      while !gate.withLock({ $0 }) { usleep(1000) }
      return JobResult(
        result: Array("late".utf8), followUps: [JobDraft(site: job.site, kind: "test.never", key: "n")])
    }
    try await working([handler], workers: 1) { runner, queue in
      try await queue.enqueue([draft("k")])
      let job = try await wait(queue, draft("k").id) { $0.state == .processing }
      // Somebody else takes it over and ends it.
      #expect(try await queue.release(job.id, fence: job.fence))
      let offers: Set<JobOffer> = [JobOffer(site: "default", kind: "test.work")]
      let other = try #require(try await queue.claim(offers, owner: "other//1"))
      #expect(
        try await queue.finish(other.id, fence: other.fence, JobResult(result: Array("first".utf8)))
          == .completed)
      gate.withLock { $0 = true }
      while runner.runningJobs > 0 { try await Task.sleep(for: .milliseconds(5)) }
      #expect(try await queue.job(job.id)?.result == Array("first".utf8))
      #expect(try await queue.job(JobID(site: "default", kind: "test.never", key: "n")) == nil)
      #expect(runner.measures.all.keys.map(\.result) == [.lost])
    }
  }

  // MARK: Processes

  @Test func aProcessIsGivenItsFilesLimitsAndReports() async throws {
    let source = try folder.stage(Array("abc".utf8)).id
    let handler = ClosureHandler { job throws(JobFailure) in
      let inputs = try await [job.source(of: source), job.source(of: source)]
      let outputs = try await [job.temporaryOutput(maximumBytes: 10), job.temporaryOutput(maximumBytes: 10)]
      let report = try await job.process(
        ["verb"], inputs: inputs.map(\.descriptor), outputs: outputs.map(\.descriptor), outputBytes: 10,
        mediaSeconds: 2)
      struct Said: Decodable { var arguments: String }
      let said = try report.decoded(as: Said.self).arguments
      let processors = sysconf(Int32(_SC_NPROCESSORS_ONLN))
      #expect(
        said.hasPrefix(
          "verb --frame-pixels 50000000 --side-pixels 8192 --duration-seconds 14400 --streams 64 "))
      #expect(
        said.contains("--output-bytes 10 --cpu-seconds \(100 * processors) ")
          && said.hasSuffix("--inputs 2 --outputs 2"))
      #expect(job.progress.permille == 500)
      return JobResult(keptBlobs: [try await job.keep(outputs[0]), try await job.keep(outputs[1])])
    }
    // 3 and 6 are inputs, 4 and 7 outputs.
    let script = #"""
      cat <&3 >&4; cat <&6 >&7; echo more >&7
      printf '{"progress":250}\n{"prog' >&5; printf 'ress":500}\n{"arguments":"%s"}\n' "$*" >&5
      """#
    try await working([handler], program: try program(script)) { _, queue in
      try await queue.enqueue([draft("k")])
      let job = try await wait(queue, draft("k").id) { !$0.state.isAlive || $0.error != nil }
      #expect(job.state == .completed && job.error == nil, "\(String(describing: job.error))")
      #expect(job.keptBlobs == [source, BlobID.digest(of: Array("abcmore\n".utf8))])
    }
  }

  @Test func howAProcessEndsDecidesWhetherThereIsAnotherAttempt() async throws {
    for (script, kind, code) in [
      ("kill -9 $$", JobFailure.Kind.crashed, "media-program-crashed"),
      ("exit 3", .retryable, "media-program-failed"),
      ("exit 0", .retryable, "media-program-failed"), ("sleep 100", .crashed, "media-program-timeout"),
    ] {
      let record = try #require(try store.enqueue([draft(script)]).first)
      let pool = try WorkerPool(threadCount: 1)
      defer { pool.shutdown() }
      var limits = JobLimits()
      // Only what never ends is to be ended: the others may wait long for a turn on a busy machine.
      limits.wallSeconds = script.hasPrefix("sleep") ? 1 : 600
      let job = RunningJob(
        record, limits: limits, queue: EmbeddedJobQueue(store: store, workers: pool),
        storage: StoreJobStorage(store: store, workers: pool, disk: JobDisk(budgetBytes: 1)),
        settings: JobProcessSettings(program: try program("echo why >&2; \(script)")))
      do throws(JobFailure) {
        _ = try await job.process([], inputs: [], outputs: [])
        Issue.record("\(script): no failure")
      } catch {
        #expect(error.kind == kind && error.code == code && error.log == "why\n", "\(script): \(error)")
      }
    }
  }
}
