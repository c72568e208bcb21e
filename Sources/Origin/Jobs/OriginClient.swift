// What a worker on another machine asks of the origin that has the store
//
//     GET  /blob/{sha256}               with a range: a part of a source
//     PUT  /blob/{sha256}               a file that a job has made
//     POST /api/v1/jobs/{id}/finish     the end of a job: the origin applies and completes it
//
// Each may be asked again without harm: blobs are named by their bytes, and the same end of a job changes nothing the second
// time. So whatever may be temporary (no connection, one that is cut or stalls, 429, 5xx, a full disk over there) is tried again, at
// growing intervals, while the job's lease goes on: what a job has made is not thrown away because the origin is away. For what it
// has yet to read a job waits a minute, and then gives way to others, which does not count as an attempt.

import FoundationEssentials
import Logging
import Net
import Store

/// The origin, as a worker elsewhere sees it. Safe from any task.
final class OriginClient: Sendable {
  /// Bytes of a blob, and how many it has.
  struct Part: Sendable {
    var bytes: [UInt8]
    var totalBytes: UInt64
  }

  /// Of one request for a part: held in memory.
  static let partBytes: UInt64 = 8 << 20
  /// How long a job waits for what it has yet to read.
  private static let patience = Duration.seconds(60)
  private static let stallSeconds = 30
  /// What a job waits for that the origin refuses: somebody has to change a token or a host.
  private static let refusalMilliseconds: Int64 = 60_000

  private let url: String
  private let client: HTTPClient
  private let fields: [HTTPField]
  private let logger: Logger

  /// - Parameter url: scheme and authority.
  init(url: String, token: Secret, client: HTTPClient, logger: Logger) {
    self.url = url
    self.client = client
    self.logger = logger
    fields = [HTTPField("Authorization", "Bearer \(String(decoding: token.bytes, as: UTF8.self))")]
  }

  private func request(_ method: String, _ path: String, _ more: [HTTPField] = []) -> HTTPRequest {
    var request = HTTPRequest(method, url + path, fields: fields + more)
    request.stallTimeoutSeconds = Self.stallSeconds
    return request
  }

  // MARK: Blobs

  /// The bytes of a blob from an offset on, up to `partBytes` of them.
  ///
  /// - Throws: a permanent failure where the origin has no such blob.
  func part(of blob: BlobID, from offset: UInt64) async throws(JobFailure) -> Part {
    var request = request(
      "GET", "/blob/\(blob.hex)", [HTTPField("Range", "bytes=\(offset)-\(offset + Self.partBytes - 1)")])
    request.timeoutMilliseconds = 600_000
    request.mostResponseBytes = Int(Self.partBytes)
    let response = try await answer(to: request, patience: Self.patience)
    switch response.status {
    case 206:
      guard let range = Self.range(response.field("Content-Range") ?? ""), range.first == offset,
        UInt64(response.body.count) == range.last - range.first + 1
      else { throw unexpected("a range that was not asked for") }
      return Part(bytes: response.body, totalBytes: range.total)
    case 200 where offset == 0:
      return Part(bytes: response.body, totalBytes: UInt64(response.body.count))
    case 416 where offset == 0: return Part(bytes: [], totalBytes: 0)
    case 404 where problem(of: response)?.code == "not-found":
      throw JobFailure(.permanent, code: "source-gone", "A blob that the job reads is not stored any more.")
    default: throw refusal(response)
    }
  }

  /// Brings a blob, and returns when it is durable over there.
  func put(_ blob: BlobID, _ file: HTTPBodyFile) async throws(JobFailure) {
    var request = request("PUT", "/blob/\(blob.hex)", [HTTPField("Content-Type", "application/octet-stream")])
    request.file = file
    // A stall ends it sooner; afterwards the origin may have to sync all of it.
    request.timeoutMilliseconds = 600_000 + file.sizeBytes / 16
    let response = try await answer(to: request, patience: nil)
    switch response.status {
    case 200, 201: return
    case 422:
      throw JobFailure(
        .retryable, code: "result-damaged", "A result did not arrive at the origin as it was made.")
    default: throw refusal(response)
    }
  }

  // MARK: Ends of jobs

  /// Tells the end of a job, once: who calls asks again where it is `.unavailable`.
  func finish(
    _ id: JobID, fence: UInt64, _ result: JobResult
  ) async throws(JobQueueError) -> JobEnding {
    var request = request(
      "POST", "/api/v1/jobs/\(id)/finish", [HTTPField("Content-Type", "application/json")])
    let response: HTTPResponse
    do {
      request.body = Array(try JobResultMessage.encoder().encode(JobResultMessage(result, fence: fence)))
      // The origin may have to make packaging indexes.
      request.timeoutMilliseconds = 120_000
      request.stallTimeoutSeconds = 0
      response = try await client.response(to: request)
    } catch {
      throw JobQueueError(.unavailable, "The origin can't be told the end of a job: \(error)")
    }
    let said = problem(of: response)?.text ?? "\(response.status)"
    switch response.status {
    case 200:
      guard
        let answer = try? JobResultMessage.decoder().decode(
          JobResultMessage.Answer.self, from: Data(response.body)),
        let ending = answer.jobEnding
      else { throw JobQueueError(.unavailable, "The origin's answer to the end of a job is not understood.") }
      return ending
    case 409: throw JobQueueError(.blobMissing, "The origin lacks a blob of a result: \(said)")
    case 422: throw JobQueueError(.invalid, "The origin refuses a result: \(said)")
    default: throw JobQueueError(.unavailable, "The origin does not take the end of a job: \(said)")
    }
  }

  // MARK: Asking

  /// Asks until there is an answer that is not a temporary one.
  /// - Parameter patience: for how long; nil: until the job is stopped.
  private func answer(
    to request: HTTPRequest, patience: Duration?
  ) async throws(JobFailure) -> HTTPResponse {
    var backoff = Backoff(firstMilliseconds: 250, longestMilliseconds: 10_000)
    let begun = ContinuousClock.now
    while true {
      if Task.isCancelled { throw .stopped }
      var reason: String
      var waitMilliseconds: UInt64 = 0
      do throws(HTTPClientError) {
        let response = try await client.response(to: request)
        guard Self.isTemporary(response.status) else {
          if backoff.tries > 0 { logger.notice("the origin answers again") }
          return response
        }
        reason = problem(of: response)?.text ?? "\(response.status)"
        waitMilliseconds = min(60_000, response.retryAfterMilliseconds ?? 0)
      } catch {
        if error.code == .cancelled || error.code == .closed { throw .stopped }
        guard error.isTransient else {
          throw JobFailure(
            .postponed(milliseconds: Self.refusalMilliseconds), code: "origin-unreachable", "\(error)")
        }
        reason = "\(error)"
      }
      if let patience, ContinuousClock.now - begun > patience {
        throw JobFailure(
          .postponed(milliseconds: 15_000), code: "origin-away", "The origin can't be asked now: \(reason)")
      }
      if backoff.tries == 0 { logger.warning("the origin can't be asked, and is asked again: \(reason)") }
      try? await Task.sleep(for: .milliseconds(backoff.next(atLeastMilliseconds: waitMilliseconds)))
    }
  }

  private static func isTemporary(_ status: Int) -> Bool {
    switch status {
    case 408, 425, 429, 500, 502, 503, 504, 507: true
    default: false
    }
  }

  private struct ProblemDocument: Decodable {
    var code: String?
    var detail: String?
    var text: String { "\(detail ?? "") [\(code ?? "")]" }
  }

  private func problem(of response: HTTPResponse) -> ProblemDocument? {
    try? JSONDecoder().decode(ProblemDocument.self, from: Data(response.body))
  }

  private func refusal(_ response: HTTPResponse) -> JobFailure {
    JobFailure(
      .postponed(milliseconds: Self.refusalMilliseconds), code: "origin-refuses",
      "The origin answers its worker with \(response.status): \(problem(of: response)?.text ?? "no reason"). "
        + "Check that [jobs] worker_token is the same on both machines, and that the host of origin is one of a site."
    )
  }

  private func unexpected(_ what: String) -> JobFailure {
    JobFailure(.retryable, code: "origin-unexpected", "The origin answered with \(what).")
  }

  /// `bytes 0-99/1234` (RFC 9110 §14.4).
  static func range(_ field: String) -> (first: UInt64, last: UInt64, total: UInt64)? {
    guard field.hasPrefix("bytes ") else { return nil }
    let sides = field.dropFirst("bytes ".count).split(separator: "/", maxSplits: 1)
    let ends = (sides.first ?? "").split(separator: "-", maxSplits: 1)
    guard sides.count == 2, ends.count == 2, let first = UInt64(ends[0]), let last = UInt64(ends[1]),
      let total = UInt64(sides[1]), first <= last, last < total
    else { return nil }
    return (first, last, total)
  }
}
