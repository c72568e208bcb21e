import Foundation
import Store

/// A job as the commands print it.
struct JobRow: Encodable {
  struct Failure: Encodable {
    var code: String
    var message: String
    var log: String?
  }

  var id: String
  var site: String
  var kind: String
  var key: String
  var asset: String?
  var state: String
  var priority: UInt8
  var attempt: UInt32
  /// 0 to 1000.
  var progress: UInt16
  var note: String?
  /// Seconds until the end, if it goes on as it has gone so far.
  var remaining: Int64?
  var owner: String?
  var waitsFor: UInt32?
  var notBefore: String?
  var created: String
  var started: String?
  var updated: String
  var error: Failure?
  var payload: String?
  var result: String?
  var dependencies: [String]?
  var kept: [String]?

  /// - Parameter isWhole: with payload, result, log and dependencies.
  init(_ job: JobRecord, isWhole: Bool = false, nowMilliseconds: Int64 = Store.wallClockMilliseconds()) {
    id = "\(job.id)"
    site = job.site
    kind = job.kind
    key = job.key
    asset = job.asset
    state = "\(job.state)"
    priority = job.priority
    attempt = job.attempt
    progress = job.progressPermille
    note = job.note.isEmpty ? nil : job.note
    remaining = job.remainingMilliseconds(nowMilliseconds: nowMilliseconds).map { $0 / 1000 }
    owner = job.owner.isEmpty ? nil : job.owner
    waitsFor = job.state == .pending && job.unmetDependencies > 0 ? job.unmetDependencies : nil
    notBefore =
      job.state == .pending && job.notBeforeMilliseconds > 0 ? Terminal.time(job.notBeforeMilliseconds) : nil
    created = Terminal.time(job.createdMilliseconds)
    started = job.startedMilliseconds > 0 ? Terminal.time(job.startedMilliseconds) : nil
    updated = Terminal.time(job.updatedMilliseconds)
    error = job.error.map {
      Failure(code: $0.code, message: $0.message, log: isWhole && !$0.log.isEmpty ? $0.log : nil)
    }
    guard isWhole else { return }
    if !job.payload.isEmpty { payload = String(decoding: job.payload, as: UTF8.self) }
    if !job.result.isEmpty { result = String(decoding: job.result, as: UTF8.self) }
    if !job.dependencies.isEmpty { dependencies = job.dependencies.map(\.description) }
    if !job.keptBlobs.isEmpty { kept = job.keptBlobs.map(\.hex) }
  }

  /// How far it is, in words.
  var standing: String {
    switch state {
    case "processing": "\(progress / 10) %" + (remaining.map { ", about \(Self.duration($0)) left" } ?? "")
    case "pending":
      if let waitsFor {
        "waits for \(waitsFor) jobs"
      } else if let notBefore {
        "waits until \(notBefore)"
      } else {
        "next"
      }
    default: error?.message ?? ""
    }
  }

  /// Id, state, kind, asset and how far it is.
  var line: String { "\(id)\t\(state)\t\(kind)\t\(site)\t\(asset ?? "-")\t\(standing)" }

  static func duration(_ seconds: Int64) -> String {
    switch seconds {
    case ..<90: "\(seconds) s"
    case ..<5400: "\((seconds + 30) / 60) min"
    default: "\((seconds + 1800) / 3600) h"
    }
  }
}
