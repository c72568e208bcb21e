// `/api/v1/jobs`: a site's background work. Its member names are part of the interface: docs/openapi.yaml, `Job`.

import FoundationEssentials
import HTTP
import Store

enum JobsAPI {
  private static let path = "/api/v1/jobs"

  static let routes = [
    APIRoute(.get, path) { request throws(Problem) in try await list(request) },
    APIRoute(.get, "\(path)/{id}") { request throws(Problem) in
      _ = try request.queryParameters([])
      return .json(json(try await job(request)))
    },
    APIRoute(.post, "\(path)/{id}/retry") { request throws(Problem) in
      try await change(request, from: [.failed, .cancelled]) { queue, id throws(JobQueueError) in
        try await queue.retry(id)
      }
    },
    APIRoute(.post, "\(path)/{id}/cancel") { request throws(Problem) in
      try await change(request, from: [.pending, .processing, .failed]) { queue, id throws(JobQueueError) in
        try await queue.cancel(id)
      }
    },
    // Many follow-ups, each with a payload.
    APIRoute(
      .post, "\(path)/{id}/finish", access: .worker,
      body: .text(mediaTypes: ["application/json"], mostBytes: 64 << 20)
    ) { request throws(Problem) in try await finish(request) },
  ]

  // MARK: Reading

  private static func list(_ request: APIRequest) async throws(Problem) -> APIReply {
    let values = try request.queryParameters(["state", "kind", "asset", "cursor", "limit"])
    let limit = try APIRequest.pageLimit(values["limit"])
    let words = JobState.allCases.map { "\($0)" }
    let state = try APIRequest.word("state", values["state"], of: words)
    let filter = JobFilter(
      site: request.site.name, asset: values["asset"], kind: values["kind"],
      states: JobState.allCases.first { "\($0)" == state }.map { [$0] })
    let cursor = ListCursor(
      list: "jobs", site: request.site.name,
      parameters: [state ?? "", values["kind"] ?? "", values["asset"] ?? ""])
    var before: UInt64?
    if let text = values["cursor"] {
      let key = try cursor.key(of: text)
      guard key.count == 8 else { throw .invalidCursor }
      before = key.reduce(0) { $0 << 8 | UInt64($1) }
    }
    let jobs: [JobRecord]
    do throws(JobQueueError) {
      jobs = try await request.jobs.jobs(filter, before: before, limit: limit + 1)
    } catch { throw Problem(error) }
    let page = jobs.prefix(limit)
    let next = jobs.count > limit ? page.last : nil
    var json = JSONWriter()
    json.object { json in
      json.key("jobs")
      json.array(Array(page)) { json, job in write(job, to: &json) }
      json.member(
        "next_cursor",
        next.map { cursor.text(after: withUnsafeBytes(of: $0.sequence.bigEndian) { Array($0) }) })
    }
    return .json(json)
  }

  private static func id(_ request: APIRequest) throws(Problem) -> JobID {
    guard let id = JobID(request.parameters["id"] ?? "") else { throw .unknown("job") }
    return id
  }

  /// One of another site is as unknown as none.
  private static func job(_ request: APIRequest) async throws(Problem) -> JobRecord {
    let id = try id(request)
    let job: JobRecord?
    do throws(JobQueueError) { job = try await request.jobs.job(id) } catch { throw Problem(error) }
    guard let job, job.site == request.site.name else { throw .unknown("job") }
    return job
  }

  // MARK: Changing

  private static func change(
    _ request: APIRequest, from states: [JobState],
    _ change: (any JobQueue, JobID) async throws(JobQueueError) -> JobRecord?
  ) async throws(Problem) -> APIReply {
    _ = try request.queryParameters([])
    let job = try await job(request)
    guard states.contains(job.state) else {
      let words = states.map { "\($0)" }.joined(separator: " or ")
      throw Problem(
        status: 409, code: "job-in-other-state", title: "Conflict",
        detail: "The job is \(job.state); this is for jobs that are \(words).")
    }
    let changed: JobRecord?
    do throws(JobQueueError) { changed = try await change(request.jobs, job.id) } catch {
      throw Problem(error)
    }
    guard let changed else { throw .unknown("job") }
    request.logChange("job is \(changed.state)", changed.id.description, [])
    return .json(json(changed))
  }

  // MARK: Ending

  /// What a worker on another machine says a job has come to. Workers are not of a site, so its job may be of any.
  private static func finish(_ request: APIRequest) async throws(Problem) -> APIReply {
    _ = try request.queryParameters([])
    let id = try id(request)
    let bytes = request.text
    // A plan may have some thousand follow-ups: too much to be taken apart on a loop.
    let (fence, result) = try await request.onWorker { _ throws(Problem) in try Self.end(in: bytes) }
    do throws(JobQueueError) {
      let ending = try await request.jobs.finish(id, fence: fence, result)
      var json = JSONWriter()
      let answer = JobResultMessage.Answer(ending)
      json.object { json in
        json.member("ending", answer.ending)
        if let code = answer.code { json.member("code", code) }
        if let message = answer.message { json.member("message", message) }
      }
      return .json(json)
    } catch {
      switch error.code {
      case .unavailable: throw Problem(error)
      case .invalid: throw .resultRefused(error.message)
      case .blobMissing:
        throw Problem(status: 409, code: "blob-missing", title: "Blob missing", detail: error.message)
      }
    }
  }

  private static func end(in bytes: [UInt8]) throws(Problem) -> (fence: UInt64, JobResult) {
    let message: JobResultMessage
    do {
      message = try JobResultMessage.decoder().decode(JobResultMessage.self, from: Data(bytes))
    } catch {
      throw .resultRefused("The body is not the end of a job as this version understands it.")
    }
    guard let result = message.jobResult else {
      throw .resultRefused("A blob, a job or a state is named in the body that can be none.")
    }
    return (message.fence, result)
  }

  // MARK: Writing

  private static func json(_ job: JobRecord) -> JSONWriter {
    var json = JSONWriter()
    write(job, to: &json)
    return json
  }

  static func write(_ job: JobRecord, to json: inout JSONWriter) {
    json.object { json in
      json.member("job_id", job.id.description)
      json.member("kind", job.kind)
      json.member("asset", job.asset)
      json.member("state", "\(job.state)")
      json.key("progress")
      json.value(thousandths: UInt64(job.progressPermille))
      json.member("note", job.note)
      json.member("attempt", job.attempt)
      json.member("priority", job.priority)
      json.member("created_at", AccessRecord.iso8601(job.createdMilliseconds))
      json.member("updated_at", AccessRecord.iso8601(job.updatedMilliseconds))
      json.member(
        "started_at", job.startedMilliseconds > 0 ? AccessRecord.iso8601(job.startedMilliseconds) : nil)
      json.member(
        "not_before", job.notBeforeMilliseconds > 0 ? AccessRecord.iso8601(job.notBeforeMilliseconds) : nil)
      json.member("worker", job.owner.isEmpty ? nil : job.owner)
      json.member("waits_for", job.dependencies.map(\.description))
      json.key("error")
      if let error = job.error {
        json.object { json in
          json.member("code", error.code)
          json.member("message", error.message)
          json.member("log", error.log)
        }
      } else {
        json.null()
      }
    }
  }
}

extension Problem {
  fileprivate static func resultRefused(_ detail: String) -> Problem {
    Problem(status: 422, code: "job-result-refused", title: "Result refused", detail: detail)
  }

  init(_ error: JobQueueError) {
    self = error.code == .unavailable ? .overloaded : .internalError
    cause = "\(error)"
  }
}
