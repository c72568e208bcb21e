// The header block of an HTTP/2 request, and how it becomes a `RequestHead`
//
// HPACK gives names and values one by one. They are laid one behind the other in one buffer, with a list of their lengths: what a
// parsed HTTP/1.1 head is too, so that the same `RequestHead`, which is offsets into bytes, is read from them without a text
// between. What RFC 9113 §8 says about a request's fields is held here whatever the frame layer checks by itself.

/// The decoded fields of one request, pseudo-header fields included, in their order.
public struct FieldBlock: Sendable {
  struct Line: Sendable {
    var nameCount: UInt32
    var valueCount: UInt32
  }

  /// Names and values, one behind the other.
  public private(set) var bytes: [UInt8] = []
  private(set) var lines: [Line] = []
  /// Set once a limit is passed; nothing is kept from then on.
  private(set) var error: RequestError?
  /// Bytes of all names and values, kept or not, each line counted with four more, as `: ` and CRLF would be.
  public private(set) var totalBytes = 0
  private let limits: HTTPLimits

  public init(limits: HTTPLimits) { self.limits = limits }

  /// Adds a line, or notes that there are too many. O(bytes).
  public mutating func append(name: UnsafeBufferPointer<UInt8>, value: UnsafeBufferPointer<UInt8>) {
    totalBytes += name.count + value.count + 4
    // Pseudo-header fields are the request line's; where each limit is passed exactly, `read` tells.
    if totalBytes > limits.headerBlockBytes + limits.requestLineBytes + 512 {
      error = error ?? RequestError(.headerBlockTooLarge)
    } else if lines.count >= limits.fieldCount + 4 {
      error = error ?? RequestError(.tooManyFields)
    }
    guard error == nil else {
      bytes = []
      return
    }
    if bytes.isEmpty { bytes.reserveCapacity(512) }
    bytes.append(contentsOf: name)
    bytes.append(contentsOf: value)
    lines.append(Line(nameCount: UInt32(name.count), valueCount: UInt32(value.count)))
  }
}

extension RequestHead {
  /// Where the pseudo-header fields of a request are (RFC 9113 §8.3.1).
  private struct PseudoFields {
    var method: Range<Int>?
    var scheme: Range<Int>?
    var authority: Range<Int>?
    var path: Range<Int>?
  }

  /// Reads a head from a block.
  ///
  /// - Parameters:
  ///   - block: the request's.
  ///   - raw: the block's `bytes`, in place and unchanged until the next head is read, because this head points into them.
  /// - Throws: why the request can't be taken. As after `parse`, what has been read so far remains.
  public mutating func read(_ block: FieldBlock, in raw: UnsafeRawBufferPointer) throws(RequestError) {
    clear()
    versionMajor = 2
    versionMinor = 0
    keepAlive = true
    if let error = block.error { throw error }
    base = raw.baseAddress?.assumingMemoryBound(to: UInt8.self)
    let bytes = unsafe Span<UInt8>(
      _unsafeElements: UnsafeBufferPointer(start: base, count: raw.count))
    var pseudo = PseudoFields()
    var position = 0
    var headerBytes = 2
    for line in block.lines {
      let name = position..<(position + Int(line.nameCount))
      let value = name.upperBound..<(name.upperBound + Int(line.valueCount))
      position = value.upperBound
      guard bytes.indexOfControl(in: value, onlyVisible: false) == value.upperBound else {
        throw RequestError(.controlCharacter)
      }
      if !name.isEmpty, bytes[name.lowerBound] == ASCII.colon {
        guard entryCount == 0 else { throw RequestError(.malformedFieldName) }
        try readPseudoField(bytes, name, value, &pseudo)
      } else {
        headerBytes += name.count + value.count + 4
        guard headerBytes <= limits.headerBlockBytes else { throw RequestError(.headerBlockTooLarge) }
        try readField(bytes, name, value)
      }
    }
    try readTarget(bytes, pseudo)
    try readAuthority(bytes, pseudo)
    try readFraming()
    try readExpectation()
  }

  private func readPseudoField(
    _ bytes: Span<UInt8>, _ name: Range<Int>, _ value: Range<Int>, _ pseudo: inout PseudoFields
  ) throws(RequestError) {
    let text = bytes.extracting(name)
    if text.equals(":method") {
      try Self.set(&pseudo.method, value)
    } else if text.equals(":path") {
      try Self.set(&pseudo.path, value)
    } else if text.equals(":authority") {
      try Self.set(&pseudo.authority, value)
    } else if text.equals(":scheme") {
      try Self.set(&pseudo.scheme, value)
    } else {
      throw RequestError(.malformedFieldName)
    }
  }

  private static func set(_ field: inout Range<Int>?, _ value: Range<Int>) throws(RequestError) {
    guard field == nil else { throw RequestError(.malformedFieldName) }
    field = value
  }

  private mutating func readField(
    _ bytes: Span<UInt8>, _ name: Range<Int>, _ value: Range<Int>
  ) throws(RequestError) {
    let text = bytes.extracting(name)
    for index in text.indices where text[index] >= 0x41 && text[index] <= 0x5A {
      throw RequestError(.malformedFieldName)
    }
    let field = KnownField(name: text)
    // A known name is a token; only an unknown one has to be looked at.
    guard field != nil || HeaderName.isToken(text) else { throw RequestError(.malformedFieldName) }
    guard entryCount < limits.fieldCount else { throw RequestError(.tooManyFields) }
    addField(field, name, value)
    // Fields about the connection, of which HTTP/2 has another idea (RFC 9113 §8.2.2).
    if field == .connection || field == .transferEncoding || text.equals("keep-alive")
      || text.equals("proxy-connection") || text.equals("upgrade")
      || text.equals("te") && !bytes.extracting(value).equalsIgnoringCase("trailers")
    {
      throw RequestError(.malformedFieldName)
    }
  }

  private mutating func readTarget(_ bytes: Span<UInt8>, _ pseudo: PseudoFields) throws(RequestError) {
    guard let methodRange = pseudo.method, HeaderName.isToken(bytes.extracting(methodRange)) else {
      throw RequestError(.malformedMethod)
    }
    method = Method(token: bytes.extracting(methodRange))
    if method == .connect {
      // Names a host to be connected with, and nothing else; it is answered, and never followed.
      guard pseudo.scheme == nil, pseudo.path == nil, let authority = pseudo.authority, !authority.isEmpty
      else { throw RequestError(.malformedTarget) }
      return try readTarget(bytes, authority)
    }
    guard pseudo.scheme?.isEmpty == false, let path = pseudo.path, !path.isEmpty,
      bytes[path.lowerBound] == ASCII.slash || bytes[path.lowerBound] == ASCII.asterisk
    else { throw RequestError(.malformedTarget) }
    // What the request line of HTTP/1.1 would be.
    guard methodRange.count + path.count + 10 <= limits.requestLineBytes else {
      throw RequestError(.requestLineTooLong)
    }
    guard bytes.indexOfControl(in: path, onlyVisible: true) == path.upperBound,
      bytes.index(of: ASCII.space, in: path) == path.upperBound
    else {
      throw RequestError(.malformedTarget)
    }
    try readTarget(bytes, path)
  }

  /// The authority, or in its absence Host; where both are there they must agree (RFC 9113 §8.3.1).
  private mutating func readAuthority(_ bytes: Span<UInt8>, _ pseudo: PseudoFields) throws(RequestError) {
    guard fieldCount(of: .host) <= 1 else { throw RequestError(.duplicateHost) }
    if let authority = pseudo.authority, method != .connect {
      hostSlice = try readAuthority(bytes, authority)
      if let host = field(.host), !host.equalsIgnoringCase(bytes.extracting(authority)) {
        throw RequestError(.malformedHost)
      }
    } else if method != .connect {
      guard fieldCount(of: .host) == 1 else { throw RequestError(.missingHost) }
      let entry = entries[Int(known[Int(KnownField.host.rawValue)].first)]
      let value = Int(entry.valueOffset)..<Int(entry.valueOffset) + Int(entry.valueCount)
      hostSlice = try readAuthority(bytes, value)
    }
  }
}
