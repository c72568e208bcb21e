import HTTP

/// The answer to a call.
public struct APIReply: Sendable {
  public var status: UInt16
  /// Beyond what all answers of the API have: Content-Type, lengths, `Cache-Control: no-store`, and what the site adds.
  public var fields: HeaderFields
  public var contentType: String?
  public var body: [UInt8]
  /// In the place of a body: what happens from now on.
  var events: EventSubscription?

  public init(
    status: UInt16, fields: HeaderFields = HeaderFields(), contentType: String? = nil, body: [UInt8] = []
  ) {
    self.status = status
    self.fields = fields
    self.contentType = contentType
    self.body = body
  }

  /// Nothing to say.
  public static let noContent = APIReply(status: 204)

  public static func json(_ json: JSONWriter, status: UInt16 = 200) -> APIReply {
    APIReply(status: status, contentType: "application/json", body: json.bytes + [0x0A])
  }

  /// A resource with an entity tag, or 304 where the client has it already.
  ///
  /// - Parameter etag: strong, with its quotes.
  public static func resource(_ json: JSONWriter, etag: [UInt8], to request: APIRequest) -> APIReply {
    var reply = APIReply.json(json)
    reply.fields.set("ETag", etag)
    let isRead = request.method == .get || request.method == .head
    if isRead, request.conditions.verdict(etag: etag.span, isRead: true) == .notModified {
      reply.status = 304
      reply.contentType = nil
      reply.body = []
    }
    return reply
  }
}

extension ResponseWriter {
  /// The head of a reply. Nil where its fields do not fit.
  func write(_ reply: APIReply, site: Site) -> Int? {
    var fields = HeaderFields()
    if let contentType = reply.contentType { fields.set("Content-Type", contentType) }
    site.addFields(to: &fields, for: AnswerInfo(site: site.name, kind: .api, status: Int(reply.status)))
    for field in reply.fields.fields { fields.set(field.name, field.value) }
    // Neither has a body, and neither says how long it would be (RFC 9110 §8.6).
    let hasLength = reply.status != 204 && reply.status != 304 && reply.events == nil
    let lengthBytes = hasLength ? UInt64(reply.body.count) : nil
    return write(status: reply.status, fields, lengthBytes: lengthBytes)
  }
}

extension Representation {
  /// The same answer to somebody who has shown a bearer token: no cache may give it to others (RFC 9111 §3.5).
  var forBearer: Representation {
    var lines: [UInt8] = []
    for line in String(decoding: untypedFieldLines, as: UTF8.self).split(separator: "\r\n") {
      let name = line.prefix { $0 != ":" }.lowercased()
      if name.hasSuffix("cache-control") || name == "surrogate-control" { continue }
      lines += line.utf8
      lines += "\r\n".utf8
    }
    lines += "Cache-Control: no-store\r\n".utf8
    return Representation(self, untypedFieldLines: lines)
  }
}
