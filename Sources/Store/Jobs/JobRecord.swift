/// How far a job has come.
///
///     pending ──claim──► processing ──► completed
///        ▲                   │  └─────► failed ──retry──► pending
///        └── lease lost, ────┘
///            retryable, released         pending, processing, failed ──► cancelled ──retry──► pending
public enum JobState: UInt8, Sendable, Equatable, CaseIterable {
  case pending = 1
  case processing = 2
  case completed = 3
  /// Given up, and kept with its reason until it is retried, cancelled, or its retention ends: a dead letter.
  case failed = 4
  case cancelled = 5

  /// Whether it may still do something by itself.
  public var isAlive: Bool { self == .pending || self == .processing }
}

/// Why a job is not (or not yet) completed.
public struct JobError: Sendable, Equatable {
  public var code: String
  public var message: String
  public var log: String

  public init(code: String, message: String, log: String = "") {
    self.code = code
    self.message = message
    self.log = log
  }

  /// Codes that the queue itself gives.
  public static let dependencyFailed = "dependency-failed"
  public static let dependencyCancelled = "dependency-cancelled"
  public static let superseded = "superseded"
  public static let unneeded = "no-longer-needed"
  public static let outdated = "asset-changed"
  public static let workerLost = "worker-lost"
  public static let cancelledByHand = "cancelled"

  public init(_ failure: JobFailure) {
    code = failure.code
    message = JobError.cut(failure.message, to: JobFailure.maximumMessageBytes, keepsEnd: false)
    log = JobError.cut(failure.log, to: JobFailure.maximumLogBytes, keepsEnd: true)
  }

  static func cut(_ text: String, to limitBytes: Int, keepsEnd: Bool) -> String {
    guard text.utf8.count > limitBytes else { return text }
    // A character that is cut through becomes U+FFFD, three bytes of which fit in the reserve.
    return keepsEnd
      ? String(decoding: text.utf8.suffix(limitBytes - 8), as: UTF8.self)
      : String(decoding: text.utf8.prefix(limitBytes - 8), as: UTF8.self)
  }
}

/// A job as a queue holds it. Times are milliseconds since 1970.
///
/// How it changes is told in JobRecord+Transitions.swift.
public struct JobRecord: Sendable, Equatable {
  static let maximumNoteBytes = 256

  public var id: JobID
  public var site: String
  public var kind: String
  public var key: String
  public var asset: String?
  public var priority: UInt8
  public var payload: [UInt8]
  public var dependencies: [JobID]
  public var servesDependantsOnly: Bool
  /// Grows with every job that is added: the order of lists.
  public var sequence: UInt64
  public var createdMilliseconds: Int64
  public var updatedMilliseconds: Int64

  public var state: JobState
  /// 0 is at once.
  public var notBeforeMilliseconds: Int64
  /// Dependencies that have not completed.
  public var unmetDependencies: UInt32
  /// How often it was begun, but for the times that do not count.
  public var attempt: UInt32
  /// How many of those killed their process.
  public var crashes: UInt32
  /// Who does it: `host/process/worker`. Empty where nobody does.
  public var owner: String
  /// Grows with every claim: what an earlier owner brings late is told by it.
  public var fence: UInt64
  public var leaseUntilMilliseconds: Int64
  /// When the last attempt began; 0 before the first.
  public var startedMilliseconds: Int64
  /// 0 to 1000.
  public var progressPermille: UInt16
  /// What it is at, in a few words.
  public var note: String

  /// JSON of a completed job.
  public var result: [UInt8]
  public var keptBlobs: [BlobID]
  /// Of the last failure; also of a job that is to be tried again.
  public var error: JobError?

  private static let version: UInt8 = 1

  /// A pending job, whose dependencies nobody has looked at yet.
  public init(_ draft: JobDraft, sequence: UInt64, nowMilliseconds now: Int64) {
    id = draft.id
    site = draft.site
    kind = draft.kind
    key = draft.key
    asset = draft.asset
    priority = draft.priority
    payload = draft.payload
    dependencies = draft.dependencies
    servesDependantsOnly = draft.servesDependantsOnly
    self.sequence = sequence
    createdMilliseconds = now
    updatedMilliseconds = now
    state = .pending
    notBeforeMilliseconds = draft.notBeforeMilliseconds > now ? draft.notBeforeMilliseconds : 0
    unmetDependencies = 0
    attempt = 0
    crashes = 0
    owner = ""
    fence = 0
    leaseUntilMilliseconds = 0
    startedMilliseconds = 0
    progressPermille = 0
    note = ""
    result = []
    keptBlobs = []
    error = nil
  }

  /// The plugin whose kind it is: the part before the dot.
  public var plugin: Substring { kind.prefix { $0 != "." } }

  /// Time until the end, if it goes on as it has gone so far; nil where that cannot be told yet.
  public func remainingMilliseconds(nowMilliseconds: Int64) -> Int64? {
    guard state == .processing, progressPermille > 10 else { return nil }
    let (elapsed, overflow) = nowMilliseconds.subtractingReportingOverflow(startedMilliseconds)
    guard !overflow, elapsed > 0, elapsed < 1 << 40 else { return nil }
    let permille = Int64(min(1000, progressPermille))
    return elapsed * (1000 - permille) / permille
  }

  /// As stored; see RecordWriter.swift.
  public func encode() -> [UInt8] {
    var writer = RecordWriter(version: JobRecord.version)
    writer.put(id)
    writer.put(site)
    writer.put(kind)
    writer.put(key)
    writer.put(optional: asset) { $0.put($1) }
    writer.put(byte: priority)
    writer.put(bytes: payload)
    writer.put(list: dependencies) { $0.put($1) }
    writer.put(byte: servesDependantsOnly ? 1 : 0)
    writer.put(sequence)
    writer.put(signed: createdMilliseconds)
    writer.put(signed: updatedMilliseconds)
    writer.put(byte: state.rawValue)
    writer.put(signed: notBeforeMilliseconds)
    writer.put(UInt64(unmetDependencies))
    writer.put(UInt64(attempt))
    writer.put(UInt64(crashes))
    writer.put(owner)
    writer.put(fence)
    writer.put(signed: leaseUntilMilliseconds)
    writer.put(signed: startedMilliseconds)
    writer.put(UInt64(progressPermille))
    writer.put(note)
    writer.put(bytes: result)
    writer.put(list: keptBlobs) { $0.put($1) }
    writer.put(optional: error) {
      $0.put($1.code)
      $0.put($1.message)
      $0.put($1.log)
    }
    return writer.bytes
  }

  /// Throws `.damaged` for anything but what `encode` has made.
  public init(decoding bytes: UnsafeRawBufferPointer) throws(StoreError) {
    var reader = try RecordReader(bytes, "job", newest: JobRecord.version)
    id = try reader.job()
    site = try reader.text()
    kind = try reader.text()
    key = try reader.text()
    asset = try reader.optional { (reader) throws(StoreError) in try reader.text() }
    priority = try reader.byte()
    payload = try reader.byteArray()
    dependencies = try reader.list { (reader) throws(StoreError) in try reader.job() }
    servesDependantsOnly = try reader.flag()
    sequence = try reader.number()
    createdMilliseconds = try reader.signed()
    updatedMilliseconds = try reader.signed()
    state = try reader.value(of: JobState.self)
    notBeforeMilliseconds = try reader.signed()
    unmetDependencies = try reader.number(as: UInt32.self)
    attempt = try reader.number(as: UInt32.self)
    crashes = try reader.number(as: UInt32.self)
    owner = try reader.text()
    fence = try reader.number()
    leaseUntilMilliseconds = try reader.signed()
    startedMilliseconds = try reader.signed()
    progressPermille = try reader.number(as: UInt16.self)
    note = try reader.text()
    result = try reader.byteArray()
    keptBlobs = try reader.list { (reader) throws(StoreError) in try reader.blob() }
    error = try reader.optional { (reader) throws(StoreError) in
      JobError(code: try reader.text(), message: try reader.text(), log: try reader.text())
    }
    try reader.end()
  }
}

extension RecordWriter {
  mutating func put(_ id: JobID) {
    for byte in id.bytes { put(byte: byte) }
  }
}

extension RecordReader {
  mutating func job() throws(StoreError) -> JobID {
    guard let id = JobID(bytes: try take(JobID.sizeBytes)) else { throw .damagedRecord("job") }
    return id
  }

  /// A number of bytes and then those.
  mutating func byteArray() throws(StoreError) -> [UInt8] { Array(try take(try number(as: Int.self))) }
}
