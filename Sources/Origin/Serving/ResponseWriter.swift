// Response heads, written into the loop's output buffer.
//
// A representation brings its field lines ready-made; what a request adds is a status line, lengths,
// Date, Connection and X-Request-Id. Nothing here allocates on the common path.

import HTTP

struct ResponseWriter {
  let owner: OriginLoop
  let keepsAlive: Bool
  let exchange: ExchangeRecord?

  init(_ owner: OriginLoop, keepsAlive: Bool, exchange: ExchangeRecord?) {
    self.owner = owner
    self.keepsAlive = keepsAlive
    self.exchange = exchange
  }

  /// Returns the bytes written; nil where the fields do not fit the output buffer.
  func write(_ plan: ResponsePlan, _ representation: Representation) -> Int? {
    var writer = HeadWriter(into: owner.output)
    writer.appendStatusLine(plan.status)
    if let multipart = plan.multipart {
      writer.append("Content-Type: ")
      writer.append(multipart.contentType)
      writer.append("\r\n")
      writer.append(representation.untypedFieldLines)
      writer.append("Content-Length: ")
      writer.append(decimal: multipart.lengthBytes)
      writer.append("\r\n")
    } else {
      if plan.status == 304 {
        writer.append(representation.untypedFieldLines)
      } else {
        writer.append(representation.fieldLines)
        writer.append("Content-Length: ")
        if let range = plan.range {
          writer.append(decimal: range.upper - range.lower)
          writer.append("\r\n")
          writer.appendContentRange(range, length: representation.lengthBytes)
        } else {
          writer.append(decimal: representation.lengthBytes)
          writer.append("\r\n")
        }
      }
    }
    return finish(&writer)
  }

  /// The head of a problem document, with the fields its site and the representation it is about add.
  func write(_ problem: Problem, bodyBytes: [UInt8], site: Site?, _ about: Representation?) -> Int? {
    var fields = HeaderFields()
    fields.set("Content-Type", "application/problem+json")
    if let site {
      site.addFields(to: &fields, for: AnswerInfo(site: site.name, kind: .error, status: Int(problem.status)))
    } else {
      fields.set("Cache-Control", "no-store")
    }
    if problem.status == 412 || problem.status == 416, let about { fields.set("ETag", about.etag) }
    for field in problem.fields { fields.set(field.name, field.value) }
    return write(status: problem.status, fields, lengthBytes: UInt64(bodyBytes.count))
  }

  /// A head with these fields. - Parameter lengthBytes: nil for what has no body.
  func write(status: UInt16, _ fields: HeaderFields, lengthBytes: UInt64?) -> Int? {
    var writer = HeadWriter(into: owner.output)
    writer.appendStatusLine(status)
    writer.append(fields.lines())
    if let lengthBytes {
      writer.append("Content-Length: ")
      writer.append(decimal: lengthBytes)
      writer.append("\r\n")
    }
    return finish(&writer)
  }

  func writePreflight(_ site: Site) -> Int? {
    var writer = HeadWriter(into: owner.output)
    writer.appendStatusLine(204)
    writer.append(site.preflightLines)
    return finish(&writer)
  }

  private func finish(_ writer: inout HeadWriter) -> Int? {
    writer.append(owner.dateLine)
    if !keepsAlive {
      writer.append("Connection: close\r\n")
    } else if owner.head.versionMajor == 1, owner.head.versionMinor == 0 {
      writer.append("Connection: keep-alive\r\n")
    }
    writer.append("X-Request-Id: ")
    writer.append(owner.requestID)
    writer.append("\r\n\r\n")
    return writer.overflowed ? nil : writer.count
  }
}

extension HeadWriter {
  fileprivate mutating func append(_ bytes: [UInt8]) { append(bytes.span) }
}
