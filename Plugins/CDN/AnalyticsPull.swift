import Logging
import Loop
import Net
import Origin
import Store

/// Asks a vendor what an edge has delivered, again and again, and writes it down.
///
/// What fails is counted, told, and tried again after 1 s, later and later up to a minute or the interval, not before `Retry-After`.
/// Purges do not wait for it: it has a task of its own, and calls of its own.
struct AnalyticsPull: Sendable {
  private static let longestRetryMilliseconds: UInt64 = 60_000

  let edge: Edge
  let analytics: Edge.Analytics
  let client: HTTPClient
  let queue: EdgeQueue
  let host: PluginHost
  let measures: EdgeMeasures

  /// Ends when its task is cancelled.
  func run() async {
    if let known = try? await host.workers.run({ [queue, edge] in try queue.traffic(edge.name) }) {
      measures.update(edge.name) { $0.traffic = known }
    }
    var backoff = Backoff(
      firstMilliseconds: 1000,
      longestMilliseconds: max(1000, min(Self.longestRetryMilliseconds, analytics.intervalMilliseconds)))
    while !Task.isCancelled {
      var wait = analytics.intervalMilliseconds
      do throws(AnalyticsError) {
        let report = try await fetch()
        backoff.reset()
        await keep(report)
      } catch {
        if Task.isCancelled { return }
        await note(error)
        wait = backoff.next(
          atLeastMilliseconds: min(error.retryAfterMilliseconds, EdgeSender.longestAfterMilliseconds))
      }
      try? await Task.sleep(for: .milliseconds(wait))
    }
  }

  private func fetch() async throws(AnalyticsError) -> TrafficReport {
    let now = host.store.options.nowMilliseconds()
    let window = analytics.vendor.window(ofSeconds: analytics.periodSeconds, before: now / 1000)
    var request = analytics.vendor.request(
      window, at: CallMoment(seconds: Store.wallClockMilliseconds() / 1000, nonce: PurgePass.uuid()))
    request.timeoutMilliseconds = edge.timeoutMilliseconds
    request.connectTimeoutMilliseconds = min(5000, edge.timeoutMilliseconds)
    let response: HTTPResponse
    do throws(HTTPClientError) { response = try await client.response(to: request) } catch {
      throw AnalyticsError(
        description: "\(error)",
        retryAfterMilliseconds: error.isTransient ? 0 : PurgeVerdict.mistakeMilliseconds)
    }
    switch PurgeVerdict.of(response) {
    case .done: break
    case .refused(let reason):
      throw AnalyticsError(description: reason, retryAfterMilliseconds: PurgeVerdict.mistakeMilliseconds)
    case .later(let reason, let milliseconds):
      throw AnalyticsError(description: reason, retryAfterMilliseconds: milliseconds)
    }
    let answer: JSONValue
    do throws(JSONError) { answer = try JSONValue(response.body) } catch {
      throw AnalyticsError(description: "its answer is no JSON: \(error.message) at byte \(error.offset)")
    }
    return TrafficReport(try analytics.vendor.figures(in: answer), window, fetchedMilliseconds: now)
  }

  private func keep(_ report: TrafficReport) async {
    let wasTroubled = !measures.figures(edge.name).trafficTrouble.isEmpty
    measures.update(edge.name) {
      $0.traffic = report
      $0.trafficTrouble = ""
    }
    if wasTroubled {
      host.logger.notice("the edge tells its traffic again", metadata: ["edge": "\(edge.name)"])
    }
    try? await host.workers.run { [queue, edge] in try queue.setTraffic(edge.name, report, trouble: "") }
  }

  /// What was known stays, with its age.
  private func note(_ error: AnalyticsError) async {
    let isNew = measures.figures(edge.name).trafficTrouble != error.description
    measures.update(edge.name) {
      $0.trafficFailures += 1
      $0.trafficTrouble = error.description
    }
    guard isNew else { return }
    host.logger.warning("traffic is not known: \(error)", metadata: ["edge": "\(edge.name)"])
    try? await host.workers.run { [queue, edge] in
      try queue.setTraffic(edge.name, nil, trouble: error.description)
    }
  }
}
