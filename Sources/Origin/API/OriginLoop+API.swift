import HTTP
import Loop
import Store

extension OriginLoop {
  /// The answer to a request with a path of the API, or with a method that reads nothing.
  func callAnswer(
    _ request: borrowing RequestHead, _ client: () -> SocketAddress?, _ site: Site, _ mayWait: Bool
  ) -> Answer {
    switch site.api.verdict(on: request, from: client, in: site, server) {
    case .refusal(let problem):
      return .problem(APIRouter.owns(request.path) ? problem.unstored : problem, site)
    case .call(let call):
      guard let media = call.route.media else { return .call(call) }
      do throws(Problem) {
        return try mediaAnswer(to: call.request, at: media, mayWait)
      } catch {
        return .problem(error.unstored, site)
      }
    }
  }

  /// The answer of another path, to somebody who has shown a bearer token.
  private func mediaAnswer(
    to request: APIRequest, at media: APIRoute.Media, _ mayWait: Bool
  ) throws(Problem) -> Answer {
    let site = request.site
    let path: String
    do {
      do throws(StoreError) { try context.reader.renew() } catch { throw Problem(error) }
      defer { context.reader.end() }
      context.begin(site, nowSeconds: loop.wallSeconds, mayWait: mayWait, hasToken: true)
      path = try media(request, context)
    }
    let answer = mediaAnswer(Array(path.utf8).span, site, grant: nil, hasToken: true, mayWait: mayWait)
    switch answer {
    // What the API itself makes is for nobody's cache from the start.
    case .representation(let made, _) where made.info.kind == .api: return answer
    case .representation(let shared, let site): return .representation(shared.forBearer, site)
    case .problem(let problem, let site): return .problem(problem.unstored, site)
    case .suspended(let site, let work):
      return .suspended(site) { () async throws(Problem) -> Representation in
        do throws(Problem) { return try await work().forBearer } catch { throw error.unstored }
      }
    case .cold, .awaiting, .preflight, .call: return answer
    }
  }

  /// Runs a call on this loop, and hands over what came of it.
  func run(
    _ call: APICall, _ body: APIRequest.Body, then next: @escaping (Result<APIReply, Problem>) -> Void
  ) {
    let loop = loop
    let next = LoopBound(next, loop: loop)
    loop.beginWork()
    Task.immediate(executorPreference: loop) {
      let result: Result<APIReply, Problem>
      do throws(Problem) { result = .success(try await call.run(body)) } catch { result = .failure(error) }
      next.value(result)
      loop.endWork()
    }
  }
}
