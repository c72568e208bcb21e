import HTTP

/// `/api/v1/events`
enum EventsAPI {
  static let routes = [
    APIRoute(.get, "/api/v1/events") { request throws(Problem) in try open(request) }
  ]

  private static func open(_ request: APIRequest) throws(Problem) -> APIReply {
    _ = try request.queryParameters([])
    var after: UInt64?
    if let field = request.field("last-event-id") {
      // An empty one is what a client has before the first event.
      let text = String(decoding: field, as: UTF8.self)
      after = UInt64(text)
      guard after != nil || text.isEmpty else {
        throw .invalidParameter("Last-Event-ID is the id of an event: a whole number.")
      }
    }
    var reply = APIReply(status: 200, contentType: "text/event-stream")
    // nginx gathers answers otherwise.
    reply.fields.set("X-Accel-Buffering", "no")
    reply.events = EventSubscription(site: request.site.name, after: after)
    return reply
  }
}
