import Net
import Store

/// A job as the hash of its row, and a draft as arguments of the scripts that add one.
enum RedisJobRow {
  /// In the order that `add` of ``RedisJobScripts`` takes.
  static func arguments(of draft: JobDraft) -> [RedisArgument] {
    [
      RedisArgument(draft.id.description), RedisArgument(draft.site), RedisArgument(draft.kind),
      RedisArgument(draft.key), RedisArgument(draft.asset == nil ? 0 : 1), RedisArgument(draft.asset ?? ""),
      RedisArgument(draft.priority), RedisArgument(draft.payload),
      RedisArgument(draft.dependencies.map(\.description).joined(separator: " ")),
      RedisArgument(draft.servesDependantsOnly ? 1 : 0), RedisArgument(draft.supersedes ? 1 : 0),
      RedisArgument(draft.notBeforeMilliseconds),
    ]
  }

  /// - Returns: nil where there is no such row.
  /// - Throws: ``RedisError/Code/protocolViolated`` for a row that no script of ours has written.
  static func record(_ value: RedisValue) throws(RedisError) -> JobRecord? {
    guard let flat = value.array, !flat.isEmpty else { return nil }
    var fields: [String: [UInt8]] = [:]
    for index in stride(from: 0, to: flat.count - 1, by: 2) {
      if let name = flat[index].text, let bytes = flat[index + 1].bytes { fields[name] = bytes }
    }
    func text(_ name: String) -> String { String(decoding: fields[name] ?? [], as: UTF8.self) }
    func number<Number: FixedWidthInteger>(_ name: String, as _: Number.Type = Number.self) throws(RedisError)
      -> Number
    {
      guard let number = Number(text(name)) else {
        throw RedisError(.protocolViolated, detail: "the row of a job has no \(name)")
      }
      return number
    }
    guard let state = JobState(rawValue: try number("state")) else {
      throw RedisError(.protocolViolated, detail: "the row of a job has no state")
    }
    let draft = JobDraft(
      site: text("site"), kind: text("kind"), key: text("key"),
      asset: text("has_asset") == "1" ? text("asset") : nil, priority: try number("priority"),
      payload: fields["payload"] ?? [],
      dependencies: text("dependencies").split(separator: " ").compactMap { JobID($0) },
      servesDependantsOnly: text("serves") == "1")
    let code = text("error_code")
    return JobRecord(
      draft, sequence: try number("seq"), createdMilliseconds: try number("created"),
      updatedMilliseconds: try number("updated"), state: state,
      notBeforeMilliseconds: try number("not_before"), unmetDependencies: try number("unmet"),
      attempt: try number("attempt"), crashes: try number("crashes"), owner: text("owner"),
      fence: try number("fence"), leaseUntilMilliseconds: try number("lease_until"),
      startedMilliseconds: try number("started"), progressPermille: try number("permille"),
      note: text("note"), result: fields["result"] ?? [],
      keptBlobs: text("kept").split(separator: " ").compactMap { BlobID(hex: $0) },
      error: code.isEmpty ? nil : JobError(code: code, message: text("error_message"), log: text("error_log"))
    )
  }
}
