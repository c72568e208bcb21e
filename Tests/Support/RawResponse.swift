/// One HTTP/1.1 response as it came over the wire.
public struct RawResponse: Sendable {
  public let version: String
  public let status: Int
  /// Fields in order, names as sent.
  public let fields: [(name: String, value: String)]
  public let body: [UInt8]
  /// Bytes of the whole message, chunk framing included.
  let wireBytes: Int

  public var text: String { String(decoding: body, as: UTF8.self) }

  /// The values of a field, in order.
  public func values(_ name: String) -> [String] {
    fields.filter { $0.name.lowercased() == name.lowercased() }.map(\.value)
  }

  /// The value of a field that occurs exactly once, else `nil`.
  public subscript(name: String) -> String? {
    let found = values(name)
    return found.count == 1 ? found[0] : nil
  }

  /// A whole response that is already in memory, such as the output of `curl -i --raw`.
  public static func parse(_ bytes: [UInt8], toHead: Bool = false) throws -> RawResponse {
    try RawResponse(toHead: toHead) { _ in bytes }
  }

  /// - Parameter bytes: given how many bytes are wanted, all received so far: fewer only at the end of stream.
  /// - Throws: `SupportError` on anything that is not a complete, well-framed response (RFC 9112).
  init(toHead: Bool, bytes: (_ wanted: Int) throws -> [UInt8]) throws {
    var wanted = 1
    var data = try bytes(wanted)
    var headEnd = Self.endOfHead(data)
    while headEnd == nil {
      wanted = data.count + 1
      data = try bytes(wanted)
      guard data.count >= wanted else {
        throw SupportError(
          "connection ended inside a response head: \(String(decoding: data, as: UTF8.self))")
      }
      headEnd = Self.endOfHead(data)
    }
    let bodyStart = headEnd ?? 0
    (version, status, fields) = try Self.parseHead(data[..<(bodyStart - 4)])

    let lengths = fields.filter { $0.name.lowercased() == "content-length" }.map(\.value)
    let codings = fields.filter { $0.name.lowercased() == "transfer-encoding" }.map(\.value)
    if toHead || status == 204 || status == 304 || (100..<200).contains(status) {
      body = []
      wireBytes = bodyStart
    } else if codings == ["chunked"] && lengths.isEmpty {
      (body, wireBytes) = try Self.chunked(from: bodyStart, bytes: bytes)
    } else if let text = lengths.first, let length = Int(text), lengths.count == 1, codings.isEmpty {
      data = try bytes(bodyStart + length)
      guard data.count >= bodyStart + length else {
        throw SupportError("body of \(length) bytes ended after \(data.count - bodyStart)")
      }
      body = Array(data[bodyStart..<(bodyStart + length)])
      wireBytes = bodyStart + length
    } else {
      throw SupportError("response \(status) without one framing: \(lengths) \(codings)")
    }
  }

  private static func endOfHead(_ data: [UInt8]) -> Int? {
    guard data.count >= 4 else { return nil }
    for start in 0...(data.count - 4)
    where data[start] == 13 && data[start + 1] == 10 && data[start + 2] == 13 && data[start + 3] == 10 {
      return start + 4
    }
    return nil
  }

  private static func parseHead(_ head: ArraySlice<UInt8>) throws -> (String, Int, [(String, String)]) {
    // Split on bytes: CR LF is one Character.
    let lines = head.split(separator: 10, omittingEmptySubsequences: false).map {
      String(decoding: $0.last == 13 ? $0.dropLast() : $0, as: UTF8.self)
    }
    let parts = lines[0].split(separator: " ", maxSplits: 2)
    guard parts.count >= 2, parts[0].hasPrefix("HTTP/1."), parts[1].utf8.count == 3,
      let status = Int(parts[1])
    else {
      throw SupportError("not a status line: \(lines[0])")
    }
    let fields = try lines.dropFirst().map { line in
      guard let colon = line.firstIndex(of: ":"), colon != line.startIndex else {
        throw SupportError("not a field line: \(line)")
      }
      let value = line[line.index(after: colon)...]
      return (
        String(line[..<colon]), String(value.drop { $0 == " " }.reversed().drop { $0 == " " }.reversed())
      )
    }
    return (String(parts[0]), status, fields)
  }

  private static func chunked(from start: Int, bytes: (Int) throws -> [UInt8]) throws -> ([UInt8], Int) {
    var body: [UInt8] = []
    var at = start
    func line() throws -> String {
      var data = try bytes(at + 2)
      var end = at
      while true {
        while end + 1 < data.count {
          if data[end] == 13 && data[end + 1] == 10 {
            defer { at = end + 2 }
            return String(decoding: data[at..<end], as: UTF8.self)
          }
          end += 1
        }
        let before = data.count
        data = try bytes(before + 1)
        guard data.count > before else { throw SupportError("connection ended inside a chunk header") }
      }
    }
    while true {
      let header = try line()
      guard let size = Int(header.prefix { $0 != ";" }, radix: 16) else {
        throw SupportError("not a chunk size: \(header)")
      }
      if size == 0 {
        while try !line().isEmpty {}
        return (body, at)
      }
      let data = try bytes(at + size + 2)
      guard data.count >= at + size + 2 else { throw SupportError("connection ended inside a chunk") }
      body += data[at..<(at + size)]
      at += size + 2
    }
  }
}
