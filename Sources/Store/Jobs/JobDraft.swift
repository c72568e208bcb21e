/// Work to be done, as it is asked for.
public struct JobDraft: Sendable, Equatable {
  /// Most bytes of payload and of result.
  public static let maximumPayloadBytes = 16 << 10
  /// Most jobs that one may wait for.
  public static let maximumDependencies = 4096
  /// Most bytes of a kind's name.
  public static let maximumKindBytes = 64
  /// Most bytes of a key.
  public static let maximumKeyBytes = 512

  public var site: String
  /// `plugin.verb`: up to 64 of a-z, 0-9, `.`, `-` and `_`.
  public var kind: String
  /// What makes the work the same as other work of this kind and site: equal keys are one job. Up to 512 bytes.
  public var key: String
  /// The asset that the work is for, where it is for one.
  public var asset: String?
  /// 0 is the most urgent. A job of priority *p* yields to those of priority 0 that come within *p* minutes after it, and to
  /// none that come later: so nothing waits for ever.
  public var priority: UInt8
  /// JSON, at most 16 KiB; what the handler gets.
  public var payload: [UInt8]
  /// Jobs that must have completed first, at most 4,096. They exist already, stand earlier in the same list, or are the job
  /// whose follow-up this is.
  public var dependencies: [JobID]
  /// Not before this time, in milliseconds since 1970; 0 is at once.
  public var notBeforeMilliseconds: Int64
  /// Living jobs of the same asset and plugin are cancelled when this one is added: they were for what it replaces.
  public var supersedes: Bool
  /// Only its dependants want what it makes: it is cancelled when they have all failed or been cancelled.
  public var servesDependantsOnly: Bool

  public init(
    site: String, kind: String, key: String, asset: String? = nil, priority: UInt8 = 100,
    payload: [UInt8] = [],
    dependencies: [JobID] = [], notBeforeMilliseconds: Int64 = 0, supersedes: Bool = false,
    servesDependantsOnly: Bool = false
  ) {
    self.site = site
    self.kind = kind
    self.key = key
    self.asset = asset
    self.priority = priority
    self.payload = payload
    self.dependencies = dependencies
    self.notBeforeMilliseconds = notBeforeMilliseconds
    self.supersedes = supersedes
    self.servesDependantsOnly = servesDependantsOnly
  }

  public var id: JobID { JobID(site: site, kind: kind, key: key) }

  /// Throws `.invalid` where a documented limit is broken.
  public func check() throws(StoreError) {
    try Store.checkSite(site, operation: "enqueue job")
    let characters = kind.utf8.allSatisfy { byte in
      switch byte {
      case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "0")...UInt8(ascii: "9"): true
      case UInt8(ascii: "."), UInt8(ascii: "-"), UInt8(ascii: "_"): true
      default: false
      }
    }
    guard characters, (1...JobDraft.maximumKindBytes).contains(kind.utf8.count) else {
      throw .invalid("enqueue job", "a kind is 1 to 64 of a-z, 0-9, \".\", \"-\" and \"_\"", context: kind)
    }
    guard key.utf8.count <= JobDraft.maximumKeyBytes else {
      throw .invalid("enqueue job", "a job's key has at most 512 bytes", context: kind)
    }
    guard payload.count <= JobDraft.maximumPayloadBytes else {
      throw .invalid("enqueue job", "a payload has at most 16 KiB: bulk belongs into blobs", context: kind)
    }
    guard dependencies.count <= JobDraft.maximumDependencies else {
      throw .invalid("enqueue job", "a job waits for at most 4,096 others", context: kind)
    }
    if let asset, !AssetID.isValid(asset) {
      throw .invalid("enqueue job", "an asset id is 1 to 64 of A-Z, a-z, 0-9, _ and -", context: kind)
    }
  }
}

/// What a job has brought about. All of it happens in one transaction, or nothing of it.
public struct JobResult: Sendable, Equatable {
  /// JSON, at most 16 KiB; dependants read it.
  public var result: [UInt8]
  /// Blobs that the collector spares for as long as a dependant of this job may need them.
  public var keptBlobs: [BlobID]
  /// Further jobs, of the same site. They may depend on this one, on each other in their order, and on any that exist.
  public var followUps: [JobDraft]
  /// What becomes of the asset.
  public var change: AssetChange?

  public init(
    result: [UInt8] = [], keptBlobs: [BlobID] = [], followUps: [JobDraft] = [], change: AssetChange? = nil
  ) {
    self.result = result
    self.keptBlobs = keptBlobs
    self.followUps = followUps
    self.change = change
  }
}

/// What a job does to an asset, against its newest record. Where that no longer fits the job ends as cancelled.
public enum AssetChange: Sendable, Equatable {
  /// Adds renditions, in the place of those of the same name, and takes others away.
  ///
  /// Fits as long as the asset has the source that the work was done from. Several jobs may thus add to one asset, each in
  /// its own generation.
  /// - Parameter status: nil leaves it.
  case renditions(
    asset: String, ifSource: BlobID, add: [RenditionRecord], remove: [String] = [], status: AssetStatus? = nil
  )

  var blobs: [BlobID] {
    switch self {
    case .renditions(_, _, let added, _, _): added.map(\.blob)
    }
  }
}

/// Why a job did not do its work this time.
public struct JobFailure: Error, Sendable, Equatable, CustomStringConvertible {
  public enum Kind: Sendable, Equatable {
    /// It would fail again: the input is at fault. Ends as `failed`.
    case permanent
    /// Tried again after a while, at most five times in all.
    case retryable
    /// The process that did the work died. Tried again, at most three times: the input may be what kills it.
    case crashed
    /// Something is lacking that has nothing to do with the job, such as disk; tried again then, and not counted.
    case postponed(milliseconds: Int64)
  }

  public static let maximumLogBytes = 8 << 10
  public static let maximumMessageBytes = 1 << 10

  public var kind: Kind
  /// Stable, for machines: `media-program-failed`, `source-gone`, …
  public var code: String
  /// One sentence for people, without paths.
  public var message: String
  /// The last of what was written to standard error.
  public var log: String

  public init(_ kind: Kind, code: String, _ message: String, log: String = "") {
    self.kind = kind
    self.code = code
    self.message = message
    self.log = log
  }

  public var description: String { "\(message) [\(code)]" }
}
