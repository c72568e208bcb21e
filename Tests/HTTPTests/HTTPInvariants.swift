// What must hold for every input whatsoever. The unit tests run these checks on tables, on the corpus and on
// seeded mutations; the fuzzer (Tests/Fuzz/HTTP) runs them on whatever it thinks of. A violation traps.

#if canImport(HTTP)
@testable import HTTP
#endif

/// All that a parsed head says, copied out so that two parses can be compared.
struct HeadSnapshot: Equatable {
  var result: ParseResult
  var method = Method.other
  var versionMinor: UInt8 = 0
  var keepAlive = false
  var body = RequestHead.BodyFraming.none
  var expectsContinue = false
  var isAsteriskForm = false
  var path: [UInt8] = []
  var rawTarget: [UInt8] = []
  var query: [UInt8]?
  var host: [UInt8] = []
  var hostPort: UInt16?
  var fields: [[UInt8]] = []

  init(_ head: borrowing RequestHead, _ result: ParseResult) {
    self.result = result
    guard case .complete = result else { return }
    method = head.method
    versionMinor = head.versionMinor
    keepAlive = head.keepAlive
    body = head.body
    expectsContinue = head.expectsContinue
    isAsteriskForm = head.isAsteriskForm
    path = bytes(head.path)
    rawTarget = bytes(head.rawTarget)
    if let value = head.query { query = bytes(value) }
    host = bytes(head.host)
    hostPort = head.hostPort
    for index in 0..<head.fieldCount {
      fields.append(bytes(head.fieldName(at: index)))
      fields.append(bytes(head.fieldValue(at: index)))
    }
  }
}

func bytes(_ span: Span<UInt8>) -> [UInt8] { span.withUnsafeBufferPointer { [UInt8]($0) } }

func copied(_ span: Span<UInt8>?) -> [UInt8]? {
  guard let span else { return nil }
  return bytes(span)
}

enum HTTPInvariants {
  /// Parses in one go.
  static func parse(_ input: UnsafeRawBufferPointer, _ head: inout RequestHead) -> HeadSnapshot {
    var progress = ParseProgress()
    let result = head.parse(input, resuming: &progress)
    return HeadSnapshot(head, result)
  }

  /// Parses with the input arriving in pieces whose sizes `next` gives, until there is a verdict.
  static func parse(
    _ input: UnsafeRawBufferPointer, _ head: inout RequestHead, inPieces next: () -> Int
  ) -> HeadSnapshot {
    var progress = ParseProgress()
    var arrived = 0
    while arrived < input.count {
      arrived = min(input.count, arrived + max(1, next()))
      let result = head.parse(
        UnsafeRawBufferPointer(rebasing: input[0..<arrived]), resuming: &progress)
      if result != .incomplete { return HeadSnapshot(head, result) }
    }
    return HeadSnapshot(head, .incomplete)
  }

  /// A header that is complete or malformed is so whatever follows, and one that is cut is never taken for another.
  static func checkProxyHeader(_ input: UnsafeRawBufferPointer, inPieces next: () -> Int) {
    let whole = ProxyHeader.parse(input)
    if case .complete(let count, _) = whole {
      precondition(
        count > 0 && count <= min(input.count, ProxyHeader.mostBytes), "header longer than the input")
    }
    var arrived = 0
    while arrived < input.count {
      arrived = min(input.count, arrived + max(1, next()))
      let result = ProxyHeader.parse(UnsafeRawBufferPointer(rebasing: input[..<arrived]))
      precondition(result == .incomplete || result == whole, "the verdict depends on the cuts")
    }
    precondition(whole != .incomplete || input.count < ProxyHeader.mostBytes, "a header without an end")
  }

  /// Whatever is read is within its bounds and of its key's type, and taking it out of a query leaves none.
  static func checkCMCD(_ text: Span<UInt8>) {
    let text = bytes(text)
    if let read = CMCD(dictionary: text) {
      precondition(read.values.count <= CMCD.mostValues, "more values than may be")
      precondition(Set(read.values.map(\.key)).count == read.values.count, "a key is there twice")
      for (_, value) in read.values {
        if case .list(let members) = value {
          precondition(members.count <= CMCD.mostListed, "a list that is too long")
        }
      }
    }
    let rest = CMCD.strip(from: text)
    precondition(
      CMCD(query: rest) == nil && CMCD.strip(from: rest) == rest, "some of it is left in the query")
    precondition(rest.count <= text.count, "a query grew")
    precondition(CMCD.events(text, limit: 8).count <= 8, "more events than may be")
  }

  /// Whoever is not trusted is the client itself; otherwise the client is the peer or an address that stands in the field.
  private static func checkForwarded(_ head: borrowing RequestHead) {
    let peer = NetworkAddress(bits: 0x0A00_0001, isIPv6: false)
    precondition(head.clientAddress(peer: peer, trusted: []) == peer, "an untrusted peer was believed")
    guard let all = NetworkPrefix("10.0.0.0/8") else { preconditionFailure("a network") }
    _ = head.clientAddress(peer: peer, trusted: [all])
    if let value = head.field(.traceparent) { _ = TraceContext.isValid(value) }
  }

  /// The verdict does not depend on the cuts, and a complete head has the promised shape.
  static func checkHead(
    _ input: UnsafeRawBufferPointer, _ head: inout RequestHead, inPieces next: () -> Int
  ) {
    let whole = parse(input, &head)
    checkShape(head, whole, inputCount: input.count)
    let pieces = parse(input, &head, inPieces: next)
    precondition(whole == pieces, "the verdict depends on the cuts: \(whole) or \(pieces)")
  }

  /// Whatever fields a client of HTTP/2 sends, they are refused or make a head of the promised shape, and one that HTTP/1.1
  /// would have read in the same way.
  ///
  /// - Parameter input: lines, each of a byte for the length of its name, one for that of its value, name and value.
  static func checkFields(_ input: UnsafeRawBufferPointer, _ head: inout RequestHead) {
    let names: [StaticString] = [
      ":method", ":scheme", ":path", ":authority", "host", "content-length", "range", "te",
    ]
    var block = FieldBlock(limits: head.limits)
    var position = 0
    while position + 2 <= input.count {
      // Small numbers stand for names that are worth having.
      let known = Int(input[position]) < names.count ? names[Int(input[position])] : nil
      let nameCount = known == nil ? Int(input[position]) - names.count : 0
      let nameEnd = min(input.count, position + 2 + nameCount)
      let valueEnd = min(input.count, nameEnd + Int(input[position + 1]))
      let name =
        known.map { Array(UnsafeBufferPointer(start: $0.utf8Start, count: $0.utf8CodeUnitCount)) }
        ?? Array(input[(position + 2)..<nameEnd])
      let value = Array(input[nameEnd..<valueEnd])
      name.withUnsafeBufferPointer { name in
        value.withUnsafeBufferPointer { block.append(name: name, value: $0) }
      }
      position = valueEnd
    }
    block.bytes.withUnsafeBytes { raw in
      do throws(RequestError) { try head.read(block, in: raw) } catch { return }
      precondition(head.versionMajor == 2 && head.fieldCount <= head.limits.fieldCount)
      for index in 0..<head.fieldCount {
        let name = bytes(head.fieldName(at: index))
        precondition(HeaderName.isValid(name) && !name.contains { $0 >= 0x41 && $0 <= 0x5A }, "field name")
        precondition(HeaderValue.isValid(bytes(head.fieldValue(at: index))), "field value is not valid")
      }
      guard head.method != .connect else { return }
      precondition(head.isAsteriskForm || bytes(head.path).first == 0x2F, "path form")
      precondition(head.host.count > 0, "a request without a host")
      checkAgreement(head)
    }
  }

  /// The head as HTTP/1.1 has the same target, host and range, or none at all.
  private static func checkAgreement(_ head: borrowing RequestHead) {
    let text =
      Array("\(head.method == .other ? "OTHER" : "\(head.method.name)") ".utf8) + bytes(head.rawTarget)
      + Array(" HTTP/1.1\r\nhost: ".utf8) + bytes(head.host) + Array("\r\n\r\n".utf8)
    var other = RequestHead(limits: HTTPLimits())
    text.withUnsafeBytes { raw in
      let seen = parse(raw, &other)
      precondition(
        seen.path == bytes(head.path) && seen.host == bytes(head.host), "HTTP/1.1 reads it otherwise")
      precondition(seen.query == copied(head.query), "HTTP/1.1 reads the query otherwise")
    }
  }

  private static func checkShape(_ head: borrowing RequestHead, _ seen: HeadSnapshot, inputCount: Int) {
    guard case .complete(let headBytes) = seen.result else { return }
    precondition(headBytes > 0 && headBytes <= inputCount, "head longer than the input")
    for index in 0..<head.fieldCount {
      precondition(HeaderName.isValid(bytes(head.fieldName(at: index))), "field name is not a token")
      precondition(HeaderValue.isValid(bytes(head.fieldValue(at: index))), "field value is not valid")
    }
    checkForwarded(head)
    precondition(head.method == .connect || head.isAsteriskForm || seen.path.first == 0x2F, "path form")
    precondition(!seen.rawTarget.contains(0x20) && !seen.rawTarget.contains(0x23), "target form")
    guard !head.isAsteriskForm, head.method != .connect else { return }
    for segment in seen.path.split(separator: 0x2F) {
      precondition(segment != [0x2E] && segment != [0x2E, 0x2E], "dot segment left in a path")
    }
    // The normal form is its own normal form, and survives decoding and encoding.
    checkNormalForm(seen.path)
    if let key = PercentDecoding.decode(seen.path.span) {
      precondition(!key.contains(0) && !key.contains(0x5C), "forbidden byte in a decoded path")
      let slashes = { (text: [UInt8]) in text.count { $0 == 0x2F } }
      precondition(slashes(key) == slashes(seen.path), "decoding made a segment")
      let again = PercentEncoding.encode(path: key.span)
      precondition(PercentDecoding.decode(again.span) == key, "encode and decode differ")
      checkNormalForm(again)
    }
    _ = Precondition.evaluate(
      head: head, etag: Array("\"a\"".utf8).span, lastModifiedSeconds: 784_111_777,
      nowSeconds: 1_700_000_000)
  }

  private static func checkNormalForm(_ path: [UInt8]) {
    var limits = HTTPLimits()
    limits.requestLineBytes = path.count + 16
    limits.fieldCount = 1
    var head = RequestHead(limits: limits)
    let request = Array("GET ".utf8) + path + Array(" HTTP/1.0\r\n\r\n".utf8)
    let again = request.withUnsafeBytes { parse($0, &head) }
    precondition(again.path == path, "normalisation is not idempotent")
  }

  /// Ranges stay inside the representation, apart from each other, within the limit, and never add up to more.
  static func checkRanges(_ value: Span<UInt8>, length: UInt64) {
    let limits = HTTPLimits()
    let ranges: [ByteRange]
    switch RangeRequest.decide(fieldValue: value, length: length, limits: limits) {
    case .whole: return
    case .unsatisfiable:
      precondition(length > 0, "nothing to select is not unsatisfiable")
      return
    case .single(let range): ranges = [range]
    case .multiple(let several):
      ranges = several
      precondition(several.count > 1, "one range is not several")
    }
    precondition(ranges.count <= limits.rangeCount, "too many ranges")
    var total: UInt64 = 0
    for (index, range) in ranges.enumerated() {
      precondition(range.lower < range.upper && range.upper <= length, "range outside")
      total += range.count
      for other in ranges[..<index] {
        precondition(other.upper < range.lower || range.upper < other.lower, "ranges touch")
      }
    }
    precondition(total <= length, "ranges amplify")
  }

  /// A date that can be read is written as an equal one.
  static func checkDate(_ text: Span<UInt8>) {
    guard let seconds = HTTPDate.parse(text) else { return }
    let written = HTTPDate.bytes(seconds)
    precondition(written.count == 29, "length of a date")
    // Second 60 of the last day of year 9999 has no four-digit year.
    if seconds <= 253_402_300_799 {
      precondition(HTTPDate.parse(written.span) == seconds, "a date does not survive writing")
    }
  }

  /// The body and the end do not depend on the cuts.
  static func checkChunks(_ input: UnsafeRawBufferPointer, inPieces next: () -> Int) {
    let limits = HTTPLimits(chunkExtensionBytes: 64, trailerBytes: 64)
    let whole = decodeChunks(input, limits) { input.count }
    let pieces = decodeChunks(input, limits, inPieces: next)
    precondition(whole.body == pieces.body && whole.end == pieces.end, "the body depends on the cuts")
  }

  /// The decoded body and the last event, with `consumed` counted from the start of the input.
  static func decodeChunks(
    _ input: UnsafeRawBufferPointer, _ limits: HTTPLimits, inPieces next: () -> Int
  ) -> (body: [UInt8], end: ChunkedDecoder.Event) {
    var decoder = ChunkedDecoder(limits: limits)
    var body: [UInt8] = []
    var start = 0
    while start < input.count {
      let end = min(input.count, start + max(1, next()))
      while start < end {
        switch decoder.decode(UnsafeRawBufferPointer(rebasing: input[start..<end])) {
        case .needsMore:
          start = end
        case .data(let range):
          precondition(!range.isEmpty && range.upperBound <= end - start, "data outside the input")
          body += input[(start + range.lowerBound)..<(start + range.upperBound)]
          start += range.upperBound
        case .finished(let consumed):
          precondition(decoder.bodyBytes == UInt64(body.count), "count of body bytes")
          return (body, .finished(consumed: start + consumed))
        case .failed(let error):
          return (body, .failed(error))
        }
      }
    }
    return (body, .needsMore)
  }

  /// A JSON string holds no control character, no markup, no raw quote inside.
  static func checkJSONString(_ text: Span<UInt8>) {
    var json: [UInt8] = []
    ProblemDocument.appendString(text, to: &json)
    precondition(json.first == 0x22 && json.last == 0x22, "quotes")
    precondition(!json.contains { $0 < 0x20 || $0 == 0x3C || $0 == 0x7F }, "unescaped byte")
    precondition(String(validating: json, as: Unicode.UTF8.self) != nil, "not UTF-8")
  }
}
