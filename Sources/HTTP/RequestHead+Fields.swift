// What the fields of a complete head say about the message itself: whose host, how long the body, what happens
// to the connection (RFC 9112 §3.2, §6, §9.3; RFC 9110 §10.1.1).

extension RequestHead {
  mutating func interpretFields(_ bytes: Span<UInt8>) throws(RequestError) {
    try readHost(bytes)
    try readFraming()
    try readExpectation()
    readConnection()
  }

  // MARK: Host

  private mutating func readHost(_ bytes: Span<UInt8>) throws(RequestError) {
    switch fieldCount(of: .host) {
    case 0:
      if versionMinor > 0 { throw RequestError(.missingHost) }
    case 1:
      let entry = entries[Int(known[Int(KnownField.host.rawValue)].first)]
      let port = hostPort
      let value = Int(entry.valueOffset)..<Int(entry.valueOffset) + Int(entry.valueCount)
      let slice = try readAuthority(bytes, value)
      // The target's own authority wins (RFC 9112 §3.2.2), but the field has to be well-formed all the same.
      if hostSlice.count == 0 { hostSlice = slice } else { hostPort = port }
    default:
      throw RequestError(.duplicateHost)
    }
  }

  /// Checks `host[:port]`, sets `hostPort`, and returns where the host is.
  mutating func readAuthority(_ bytes: Span<UInt8>, _ range: Range<Int>) throws(RequestError) -> Slice {
    hostPort = nil
    guard !range.isEmpty else { throw RequestError(.malformedHost) }
    var end = range.lowerBound
    if bytes[end] == 0x5B {  // "["
      while end < range.upperBound, bytes[end] != 0x5D { end += 1 }
      guard end < range.upperBound,
        Self.isIPv6Address(bytes.extracting(range.lowerBound + 1..<end))
      else { throw RequestError(.malformedHost) }
      end += 1
    } else {
      var previous = ASCII.period
      while end < range.upperBound, bytes[end] != ASCII.colon {
        let byte = bytes[end]
        // No empty label, so that a name has one spelling; one final dot is the root's.
        guard ByteSet.unreserved.contains(byte), byte != ASCII.period || previous != ASCII.period else {
          throw RequestError(.malformedHost)
        }
        previous = byte
        end += 1
      }
    }
    let host = Slice(offset: range.lowerBound, count: end - range.lowerBound)
    guard host.count > 0 else { throw RequestError(.malformedHost) }
    guard end < range.upperBound else { return host }
    guard bytes[end] == ASCII.colon else { throw RequestError(.malformedHost) }

    var port: UInt32 = 0
    for index in end + 1..<range.upperBound {
      guard ASCII.isDigit(bytes[index]) else { throw RequestError(.malformedHost) }
      port = port * 10 + UInt32(bytes[index] - ASCII.zero)
      guard port <= 65535 else { throw RequestError(.malformedHost) }
    }
    // "host:" is valid and names no port.
    if end + 1 < range.upperBound { hostPort = UInt16(truncatingIfNeeded: port) }
    return host
  }

  /// Whether `text` is an IPv6 address (RFC 3986 §3.2.2): eight groups, or fewer around one `::`, of which the
  /// last two may be written as an IPv4 address. Zone identifiers have no meaning for a server and are refused.
  private static func isIPv6Address(_ text: Span<UInt8>) -> Bool {
    var groups = 0
    var hasGap = false
    var index = 0
    if text.count >= 2, text[0] == ASCII.colon {
      guard text[1] == ASCII.colon else { return false }
      hasGap = true
      index = 2
    }
    while index < text.count {
      let start = index
      while index < text.count, ASCII.hexValue(text[index]) != nil { index += 1 }
      if index < text.count, text[index] == ASCII.period {
        guard isIPv4Address(text.extracting(start..<text.count)) else { return false }
        groups += 2
        index = text.count
        break
      }
      guard index > start, index - start <= 4 else { return false }
      groups += 1
      guard groups <= 8 else { return false }
      if index == text.count { break }
      guard text[index] == ASCII.colon else { return false }
      index += 1
      guard index < text.count else { return false }
      if text[index] == ASCII.colon {
        guard !hasGap else { return false }
        hasGap = true
        index += 1
      }
    }
    return hasGap ? groups < 8 : groups == 8
  }

  private static func isIPv4Address(_ text: Span<UInt8>) -> Bool {
    var octets = 0
    var index = 0
    while true {
      let start = index
      var value = 0
      while index < text.count, index - start < 3, ASCII.isDigit(text[index]) {
        value = value * 10 + Int(text[index] - ASCII.zero)
        index += 1
      }
      guard index > start, value <= 255, index - start == 1 || text[start] != ASCII.zero else {
        return false
      }
      octets += 1
      if index == text.count { return octets == 4 }
      guard octets < 4, text[index] == ASCII.period else { return false }
      index += 1
    }
  }

  // MARK: Framing

  mutating func readFraming() throws(RequestError) {
    let lengths = fieldCount(of: .contentLength)
    if fieldCount(of: .transferEncoding) > 0 {
      guard versionMinor > 0 else { throw RequestError(.transferEncodingInOldVersion) }
      guard lengths == 0 else { throw RequestError(.transferEncodingWithLength) }
      try checkTransferEncoding()
      body = .chunked
    } else if lengths > 0 {
      guard lengths == 1 else { throw RequestError(.duplicateContentLength) }
      body = .length(try contentLength())
    }
  }

  private func checkTransferEncoding() throws(RequestError) {
    var isLastChunked = false
    var hasOther = false
    var index = 0
    while let line = nextIndex(of: .transferEncoding, from: index) {
      let value = fieldValue(at: line)
      var position = 0
      while let coding = value.nextListElement(&position) {
        // Chunked has been applied already and more follows, or a list has a hole.
        guard !isLastChunked, coding.count > 0 else { throw RequestError(.malformedTransferEncoding) }
        isLastChunked = coding.equalsIgnoringCase("chunked")
        if !isLastChunked { hasOther = true }
      }
      index = line + 1
    }
    guard isLastChunked else { throw RequestError(.malformedTransferEncoding) }
    if hasOther { throw RequestError(.unsupportedTransferCoding) }
  }

  private func contentLength() throws(RequestError) -> UInt64 {
    guard let value = field(.contentLength), value.count > 0 else {
      throw RequestError(.malformedContentLength)
    }
    var length: UInt64 = 0
    for index in 0..<value.count {
      guard ASCII.isDigit(value[index]) else { throw RequestError(.malformedContentLength) }
      let (product, overflow) = length.multipliedReportingOverflow(by: 10)
      let (sum, carry) = product.addingReportingOverflow(UInt64(value[index] - ASCII.zero))
      guard !overflow, !carry else { throw RequestError(.malformedContentLength) }
      length = sum
    }
    return length
  }

  // MARK: Expect, Connection

  mutating func readExpectation() throws(RequestError) {
    var index = 0
    while let line = nextIndex(of: .expect, from: index) {
      guard fieldValue(at: line).equalsIgnoringCase("100-continue") else {
        throw RequestError(.unsupportedExpectation)
      }
      // An HTTP/1.0 client cannot understand 100, and without a body there is nothing to continue.
      expectsContinue = versionMinor > 0 && body != .none && body != .length(0)
      index = line + 1
    }
  }

  private mutating func readConnection() {
    var hasClose = false
    var hasKeepAlive = false
    var index = 0
    while let line = nextIndex(of: .connection, from: index) {
      let value = fieldValue(at: line)
      var position = 0
      while let option = value.nextListElement(&position) {
        if option.equalsIgnoringCase("close") { hasClose = true }
        if option.equalsIgnoringCase("keep-alive") { hasKeepAlive = true }
      }
      index = line + 1
    }
    keepAlive = !hasClose && (versionMinor > 0 || hasKeepAlive)
  }
}
