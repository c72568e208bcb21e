// Which call a request is, and whether it may be made: decided from the head alone.
//
//     no route has the path           404; without tokens in the site's file every path is as unknown
//     no token, or none of the site's 401
//     the path has other methods      405 with Allow
//     OPTIONS                         204 with Allow; for browsers a preflight, which brings no token
//     no body where one belongs       411; too long 413; of another type 415
//
// Signed URLs open nothing here, and the access handlers of plugins are not asked.

import HTTP
import Loop
import Store

/// The calls of one site.
final class APIRouter: Sendable {
  static let builtIn = VideosAPI.routes + JobsAPI.routes + EventsAPI.routes + BlobUpload.routes

  /// What a request to the API comes to.
  enum Verdict {
    case call(APICall)
    case refusal(Problem)
  }

  let routes: [APIRoute]
  let facts = MediaFacts()
  private let tokens: [SiteConfiguration.Credential]

  init(_ configuration: SiteConfiguration, plugins: [any Plugin]) {
    tokens = configuration.apiTokens
    routes =
      Self.builtIn + plugins.flatMap { plugin in (plugin as? any APIProvider).map(\.apiRoutes) ?? [] }
  }

  /// Whether a path is the API's.
  @inline(__always)
  static func owns(_ path: Span<UInt8>) -> Bool {
    guard path.count >= 5, path[1] == UInt8(ascii: "a") else { return false }
    return path[2] == UInt8(ascii: "p") && path[3] == UInt8(ascii: "i") && path[4] == UInt8(ascii: "/")
  }

  /// Whether OPTIONS of a path is about its calls; else the site's own answer, the same for all paths, does.
  func answersOptions(of path: Span<UInt8>) -> Bool {
    let path = [UInt8](copying: path)
    if Self.owns(path.span) { return true }
    let parts = path.dropFirst().split(separator: 0x2F, omittingEmptySubsequences: false)
    return routes.contains { $0.match(parts) != nil }
  }

  /// - Parameters:
  ///   - request: any with a path of the API, and any that writes.
  ///   - hasBody: whether a body follows though no field says so, as in HTTP/2.
  func verdict(
    on request: borrowing RequestHead, from client: () -> SocketAddress?, in site: Site,
    _ server: ServerState
  ) -> Verdict {
    let path = [UInt8](copying: request.path)
    let parts = path.dropFirst().split(separator: 0x2F, omittingEmptySubsequences: false)
    var matching: [(route: APIRoute, parameters: [String: String])] = []
    for route in routes {
      if let parameters = route.match(parts) { matching.append((route, parameters)) }
    }
    guard let first = matching.first else {
      // Elsewhere it is no matter of the path.
      if request.method == .other { return .refusal(.methodUnknown) }
      return .refusal(Self.owns(path.span) ? .noSuchCall : .methodNotAllowed)
    }
    let methods = Self.allowed(matching.map(\.route.method), path)
    if request.method == .options { return .call(preflight(methods, request, client, site, server)) }
    let asked = request.method == .head ? Method.get : request.method
    let found = matching.first { $0.route.method == asked }
    var tokenID: String?
    let access = (found ?? first).route.access
    if access != .anyone {
      let known = access == .worker ? [] : tokens
      let worker = access == .token ? nil : site.workerToken
      if known.isEmpty, worker == nil, Self.owns(path.span) { return .refusal(.noSuchCall) }
      switch BearerToken.verdict(request, known, worker: worker) {
      case .absent: return .refusal(.tokenRequired(site.name))
      case .unknown: return .refusal(.tokenUnknown(site.name))
      case .known(let id): tokenID = id
      }
    }
    guard let (route, parameters) = found else { return .refusal(.methodNotAllowed(methods)) }
    let made = APIRequest(
      request, parameters, client: client(), tokenID: tokenID, site: site, server)
    do throws(Problem) {
      try check(request, made, route)
      try route.admit(made)
    } catch {
      return .refusal(error)
    }
    return .call(APICall(route: route, request: made))
  }

  private static func allowed(_ methods: [Method], _ path: [UInt8]) -> String {
    var names: [String] = []
    // Blobs are read by the media side.
    for method in (owns(path.span) ? [] : [Method.get]) + methods where !names.contains("\(method.name)") {
      names.append("\(method.name)")
      if method == .get { names.append("HEAD") }
    }
    return (names + ["OPTIONS"]).joined(separator: ", ")
  }

  /// Refuses a body that can't be taken, as far as the head tells.
  private func check(
    _ request: borrowing RequestHead, _ made: APIRequest, _ route: APIRoute
  ) throws(Problem) {
    var declared: UInt64?
    if case .length(let length) = request.body { declared = length }
    // In HTTP/2 the end of the stream says it.
    let isAbsent = request.versionMajor == 1 && request.body == .none
    switch route.body {
    case .none: return
    case .text(let types, let most), .optionalText(let types, let most):
      if let declared, declared > UInt64(most) { throw .bodyTooLong(UInt64(most)) }
      if case .optionalText = route.body, isAbsent || declared == 0 { return }
      if isAbsent { throw .lengthRequired }
      guard let type = made.mediaType, types.contains(type) else {
        throw .mediaTypeNotTaken(
          types, fields: route.method == .patch ? [.init("Accept-Patch", types.joined(separator: ", "))] : [])
      }
    case .stream(let most, _):
      if let declared, declared > most { throw .bodyTooLong(most) }
      if isAbsent { throw .lengthRequired }
    }
  }

  private func preflight(
    _ methods: String, _ request: borrowing RequestHead, _ client: () -> SocketAddress?, _ site: Site,
    _ server: ServerState
  ) -> APICall {
    let cors = site.configuration.cors
    var reply = APIReply.noContent
    reply.fields.set("Allow", methods)
    if cors.allowOrigin != nil {
      reply.fields.set("Access-Control-Allow-Methods", methods)
      reply.fields.set(
        "Access-Control-Allow-Headers",
        "Authorization, Content-Type, If-Match, If-None-Match, Range, If-Range, Last-Event-ID")
      reply.fields.set("Access-Control-Max-Age", "\(cors.maxAgeSeconds)")
    }
    let answer = reply
    let route = APIRoute(.options, "/") { _ in answer }
    return APICall(
      route: route,
      request: APIRequest(request, [:], client: client(), tokenID: nil, site: site, server))
  }
}

/// A request that a route has taken.
struct APICall: Sendable {
  let route: APIRoute
  let request: APIRequest

  /// - Parameter body: what came, whole.
  func run(_ body: APIRequest.Body) async throws(Problem) -> APIReply {
    var request = request
    request.body = body
    do throws(Problem) { return try await route.handle(request) } catch { throw error.unstored }
  }
}

extension APIRequest {
  init(
    _ head: borrowing RequestHead, _ parameters: [String: String], client: SocketAddress?, tokenID: String?,
    site: Site, _ server: ServerState
  ) {
    self.site = site
    store = server.store
    workers = server.workers
    jobs = server.jobs
    logger = server.logger
    method = head.method
    self.parameters = parameters
    if let asked = head.query { query = [UInt8](copying: asked) } else { query = [] }
    conditions = EntityTagConditions(head)
    var fields: [(name: String, value: [UInt8])] = []
    for index in 0..<head.fieldCount {
      let name = [UInt8](copying: head.fieldName(at: index)).map { lowerCased($0) }
      // Whoever answers has no use for the secret itself.
      if name.elementsEqual("authorization".utf8) { continue }
      fields.append((String(decoding: name, as: UTF8.self), [UInt8](copying: head.fieldValue(at: index))))
    }
    self.fields = fields
    if let value = head.field(.contentType) {
      let type = [UInt8](copying: value).prefix { $0 != UInt8(ascii: ";") && $0 != 0x20 && $0 != 0x09 }
      mediaType = String(decoding: type.map { lowerCased($0) }, as: UTF8.self)
    } else {
      mediaType = nil
    }
    self.client = client
    self.tokenID = tokenID
  }
}
