import FoundationEssentials
import Store

// How a worker on another machine tells the origin what a job has come to: the body of `POST /api/v1/jobs/{id}/finish`, and
// its answer. Names are written with underscores; bytes in base64; what is nil is left out. docs/openapi.yaml has it, too.

/// The end of a job.
struct JobResultMessage: Codable {
  var fence: UInt64
  var result: Data
  var keptBlobs: [String]
  var followUps: [Draft]
  var change: Change?

  struct Draft: Codable {
    var site: String
    var kind: String
    var key: String
    var asset: String?
    var priority: UInt8
    var payload: Data
    var dependencies: [String]
    var notBeforeMilliseconds: Int64
    var supersedes: Bool
    var servesDependantsOnly: Bool
  }

  struct Change: Codable {
    var asset: String
    var ifSource: String
    var add: [Rendition]
    var remove: [String]
    var status: String?
  }

  struct Rendition: Codable {
    var name: String
    var kind: String
    var blob: String
    var trackIndex: UInt32
    var language: String?
    var label: String?
    var isForced: Bool
  }

  /// What became of it.
  struct Answer: Codable {
    /// `completed`, `cancelled` or `lost`.
    var ending: String
    /// Why it was cancelled.
    var code: String?
    var message: String?
  }

  init(_ result: JobResult, fence: UInt64) {
    self.fence = fence
    self.result = Data(result.result)
    keptBlobs = result.keptBlobs.map(\.hex)
    followUps = result.followUps.map(Draft.init)
    change = result.change.map(Change.init)
  }

  /// Nil where a name, a state or an id in it is none.
  var jobResult: JobResult? {
    let kept = keptBlobs.compactMap { BlobID(hex: $0) }
    let drafts = followUps.compactMap(\.draft)
    guard kept.count == keptBlobs.count, drafts.count == followUps.count else { return nil }
    var found = JobResult(result: Array(result), keptBlobs: kept, followUps: drafts)
    if let change {
      guard let decoded = change.change else { return nil }
      found.change = decoded
    }
    return found
  }

  static func encoder() -> JSONEncoder {
    let encoder = JSONEncoder()
    encoder.keyEncodingStrategy = .convertToSnakeCase
    encoder.outputFormatting = .sortedKeys
    return encoder
  }

  static func decoder() -> JSONDecoder {
    let decoder = JSONDecoder()
    decoder.keyDecodingStrategy = .convertFromSnakeCase
    return decoder
  }
}

extension JobResultMessage.Draft {
  init(_ draft: JobDraft) {
    self.init(
      site: draft.site, kind: draft.kind, key: draft.key, asset: draft.asset, priority: draft.priority,
      payload: Data(draft.payload), dependencies: draft.dependencies.map(\.description),
      notBeforeMilliseconds: draft.notBeforeMilliseconds, supersedes: draft.supersedes,
      servesDependantsOnly: draft.servesDependantsOnly)
  }

  var draft: JobDraft? {
    let ids = dependencies.compactMap { JobID($0) }
    guard ids.count == dependencies.count else { return nil }
    return JobDraft(
      site: site, kind: kind, key: key, asset: asset, priority: priority, payload: Array(payload),
      dependencies: ids, notBeforeMilliseconds: notBeforeMilliseconds, supersedes: supersedes,
      servesDependantsOnly: servesDependantsOnly)
  }
}

extension JobResultMessage.Change {
  init(_ change: AssetChange) {
    switch change {
    case .renditions(let asset, let source, let added, let removed, let status):
      self.init(
        asset: asset, ifSource: source.hex, add: added.map(JobResultMessage.Rendition.init), remove: removed,
        status: status.map { "\($0)" })
    }
  }

  var change: AssetChange? {
    let records = add.compactMap(\.record)
    guard let source = BlobID(hex: ifSource), records.count == add.count else { return nil }
    let known = AssetStatus.allCases.first { "\($0)" == status }
    guard known != nil || status == nil else { return nil }
    return .renditions(asset: asset, ifSource: source, add: records, remove: remove, status: known)
  }
}

extension JobResultMessage.Rendition {
  init(_ record: RenditionRecord) {
    self.init(
      name: record.name, kind: "\(record.kind)", blob: record.blob.hex, trackIndex: record.trackIndex,
      language: record.language, label: record.label, isForced: record.isForced)
  }

  var record: RenditionRecord? {
    guard let blob = BlobID(hex: blob), let kind = RenditionKind.allCases.first(where: { "\($0)" == kind })
    else { return nil }
    return RenditionRecord(
      name: name, kind: kind, blob: blob, trackIndex: trackIndex, language: language, label: label,
      isForced: isForced)
  }
}

extension JobResultMessage.Answer {
  init(_ ending: JobEnding) {
    switch ending {
    case .completed: self.init(ending: "completed")
    case .lost: self.init(ending: "lost")
    case .cancelled(let reason):
      self.init(ending: "cancelled", code: reason.code, message: reason.message)
    }
  }

  var jobEnding: JobEnding? {
    switch ending {
    case "completed": .completed
    case "lost": .lost
    case "cancelled": .cancelled(JobError(code: code ?? JobError.cancelledByHand, message: message ?? ""))
    default: nil
    }
  }
}
