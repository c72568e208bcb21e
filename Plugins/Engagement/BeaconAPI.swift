// What players send: by whoever plays, without a token, without a body, answered by 204
//
//     POST /api/v1/videos/{id}/view?watched=31&viewer=…        a view, once enough was watched
//     POST /api/v1/videos/{id}/progress?position=31.2&viewer=… where he is; becomes a view by itself
//     POST /api/v1/videos/{id}/heartbeat?viewer=…              he is there
//     POST /api/v1/videos/{id}/reports?reason=spam&viewer=…    he objects; a text body may say why
//     POST /api/v1/cmcd                                        reports of a player (application/cmcd)
//
// `navigator.sendBeacon(url)` is all that a page needs. 204 says that it is kept, and nothing else: not whether it counted. 503 says
// that it may be sent again.

import HTTP
import Origin
import Store
import Synchronization

struct BeaconAPI: Sendable {
  /// A view's threshold is never more than this part of a video.
  private static let leastShare: UInt64 = 2
  private static let mostSeconds: Int64 = 10_000_000
  static let noteBytes = 1000

  let limit: RateLimit
  let collector: RealtimeCollector
  let service: @Sendable () throws(Problem) -> EngagementService

  var routes: [APIRoute] {
    let path = "/api/v1/videos/{id}"
    return [
      beacon("\(path)/view") { request throws(Problem) in try await view(request) },
      beacon("\(path)/progress") { request throws(Problem) in try await progress(request) },
      beacon("\(path)/heartbeat") { request throws(Problem) in try await heartbeat(request) },
      beacon("\(path)/reports", body: .optionalText(mediaTypes: ["text/plain"], mostBytes: Self.noteBytes)) {
        request throws(Problem) in try await report(request)
      },
      beacon(
        "/api/v1/cmcd",
        body: .optionalText(mediaTypes: ["application/cmcd", "text/plain"], mostBytes: 64 << 10)
      ) { request throws(Problem) in try await cmcd(request) },
      APIRoute(.get, "\(path)/progress", access: .anyone, admit: admit) { request throws(Problem) in
        try await session(request)
      },
    ]
  }

  private var admit: APIRoute.Admission {
    { [limit] request throws(Problem) in try limit.admit(request.client) }
  }

  private func beacon(
    _ path: String, body: APIRoute.Body = .none, _ handle: @escaping APIRoute.Handler
  ) -> APIRoute {
    APIRoute(.post, path, access: .anyone, body: body, admit: admit) { request throws(Problem) in
      try service().counters.beacons.add(1, ordering: .relaxed)
      return try await handle(request)
    }
  }

  // MARK: Calls

  private func view(_ request: APIRequest) async throws(Problem) -> APIReply {
    let (service, video, viewer, values) = try act(request, with: "watched")
    guard let text = values["watched"] else {
      throw .invalidParameter("\"watched\" is missing: the seconds that were watched.")
    }
    let watched = try Self.milliseconds(text, "watched")
    let threshold = try await threshold(of: video, service, request)
    if watched >= threshold {
      do throws(EngagementError) { try await service.count(video: video, viewer: viewer) } catch {
        service.counters.unavailable.add(1, ordering: .relaxed)
        throw .engagementUnavailable
      }
    }
    return .noContent
  }

  private func progress(_ request: APIRequest) async throws(Problem) -> APIReply {
    let (service, video, viewer, values) = try act(request, with: "position")
    guard let text = values["position"] else {
      throw .invalidParameter("\"position\" is missing: the second of the video that is played.")
    }
    let position = try Self.milliseconds(text, "position")
    let threshold = try await threshold(of: video, service, request)
    let weight = service.sampling.weight(video: video, viewer: viewer)
    let report = ProgressReport(
      video: video, viewer: viewer, positionMilliseconds: position, thresholdMilliseconds: threshold,
      weight: weight)
    let outcome = try await service.ask { store throws(EngagementError) in try await store.progress(report) }
    if outcome.isCounted {
      if weight == 0 { service.note(video: video, viewer: viewer) }
      service.counters.views.add(weight, ordering: .relaxed)
    }
    return .noContent
  }

  private func session(_ request: APIRequest) async throws(Problem) -> APIReply {
    let (service, video, viewer, _) = try act(request)
    let found = try await service.ask { store throws(EngagementError) in
      try await store.session(of: viewer, video: video)
    }
    guard let found else { throw .unknown("session") }
    var json = JSONWriter()
    json.object { json in
      json.member("video_id", video)
      json.key("position_seconds")
      json.value(thousandths: UInt64(clamping: found.positionMilliseconds))
      json.key("watched_seconds")
      json.value(thousandths: UInt64(clamping: found.watchedMilliseconds))
      json.member("updated_at", AccessRecord.iso8601(found.updatedMilliseconds))
    }
    return .json(json)
  }

  private func heartbeat(_ request: APIRequest) async throws(Problem) -> APIReply {
    let (service, video, viewer, _) = try act(request)
    _ = try await service.durations.duration(of: video, request)
    try await service.ask { store throws(EngagementError) in try await store.heartbeat([video: [viewer]]) }
    return .noContent
  }

  private func report(_ request: APIRequest) async throws(Problem) -> APIReply {
    let (service, video, viewer, values) = try act(request, with: "reason")
    guard let reason = values["reason"], ViewerReport.reasons.contains(reason) else {
      throw .invalidParameter("\"reason\" is one of \(ViewerReport.reasons.joined(separator: ", ")).")
    }
    _ = try await service.durations.duration(of: video, request)
    // What people write is shown to people: a text, whatever it was.
    let note = String(decoding: request.text, as: UTF8.self).filter { $0 >= " " || $0 == "\n" }
    let made = ViewerReport(video: video, viewer: viewer, reason: reason, note: note)
    try await service.ask { store throws(EngagementError) in try await store.report(made) }
    return .noContent
  }

  private func cmcd(_ request: APIRequest) async throws(Problem) -> APIReply {
    _ = try request.queryParameters([])
    for event in CMCD.events(request.text) { collector.add(event: event) }
    return .noContent
  }

  // MARK: Values

  /// What all calls about a viewer and a video begin with.
  ///
  /// - Parameter name: of the parameter that the call has beside `viewer`.
  private func act(_ request: APIRequest, with name: String? = nil) throws(Problem) -> (
    service: EngagementService, video: String, viewer: String, values: [String: String]
  ) {
    let service = try service()
    let values = try request.queryParameters(["viewer"] + (name.map { [$0] } ?? []))
    let video = try Self.video(of: request)
    let viewer = try service.identity.viewer(of: request, given: values["viewer"])
    return (service, video, viewer, values)
  }

  /// How much must have been watched.
  private func threshold(
    of video: String, _ service: EngagementService, _ request: APIRequest
  ) async throws(Problem) -> Int64 {
    let duration = try await service.durations.duration(of: video, request)
    guard let duration, duration > 0 else { return service.config.times.watched }
    return min(service.config.times.watched, Int64(clamping: duration / Self.leastShare))
  }

  static func video(of request: APIRequest) throws(Problem) -> String {
    guard let id = request.parameters["id"], AssetID.isValid(id) else { throw .unknown("video") }
    return id
  }

  /// Seconds with up to three decimals.
  static func milliseconds(_ text: String, _ name: String) throws(Problem) -> Int64 {
    let parts = text.utf8.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
    let areDigits = parts.allSatisfy { !$0.isEmpty && $0.allSatisfy { (0x30...0x39).contains($0) } }
    guard areDigits, (1...2).contains(parts.count),
      let seconds = Int64(String(decoding: parts[0], as: UTF8.self)),
      seconds <= mostSeconds
    else { throw .invalidParameter("\"\(name)\" is a number of seconds, such as 31.25.") }
    var fraction: Int64 = 0
    if parts.count == 2 {
      let digits = parts[1].prefix(3).map { Int64($0 - 0x30) } + [0, 0, 0]
      fraction = digits[0] * 100 + digits[1] * 10 + digits[2]
    }
    return seconds * 1000 + fraction
  }
}
