// The four forms of a request target (RFC 9112 §3.2) and the normal form of a path.
//
// Order matters, and is fixed: cut off the query, refuse malformed escapes, undo escapes of unreserved
// characters, refuse %00, %2F, %5C and a raw backslash, then remove dot segments. Access rules, signatures
// and routing all see the result, so no other spelling of a path can pass a rule that the path itself would
// not. An encoded dot is undone before segments are judged; a doubly encoded one stays an encoded
// percent sign and is an ordinary file name. `//` is kept: it is another path, not another spelling.

extension RequestHead {
  mutating func readTarget(_ bytes: Span<UInt8>, _ range: Range<Int>) throws(RequestError) {
    target = Slice(offset: range.lowerBound, count: range.count)
    if bytes[range.lowerBound] == ASCII.slash, method != .connect {
      return try readPathAndQuery(bytes, range)
    }
    if method == .connect {
      // authority-form; the port is not optional here.
      hostSlice = try readAuthority(bytes, range)
      guard hostPort != nil else { throw RequestError(.malformedTarget) }
      return
    }
    if range.count == 1, bytes[range.lowerBound] == ASCII.asterisk {
      guard method == .options else { throw RequestError(.malformedTarget) }
      isAsteriskForm = true
      pathSlice = target
      return
    }
    try readAbsoluteForm(bytes, range)
  }

  private mutating func readAbsoluteForm(_ bytes: Span<UInt8>, _ range: Range<Int>) throws(RequestError) {
    let text = bytes.extracting(range)
    var start = range.lowerBound
    if text.count > 7, text.extracting(first: 7).equalsIgnoringCase("http://") {
      start += 7
    } else if text.count > 8, text.extracting(first: 8).equalsIgnoringCase("https://") {
      start += 8
    } else {
      throw RequestError(
        text.index(of: ASCII.space, in: 0..<text.count) < text.count
          ? .malformedRequestLine : .malformedTarget)
    }
    var end = start
    while end < range.upperBound, bytes[end] != ASCII.slash, bytes[end] != ASCII.questionMark { end += 1 }
    hostSlice = try readAuthority(bytes, start..<end)
    if end < range.upperBound, bytes[end] == ASCII.slash {
      return try readPathAndQuery(bytes, end..<range.upperBound)
    }
    // No path: "*" for OPTIONS without a query (RFC 9112 §3.2.4), else "/".
    if end < range.upperBound {
      try readQuery(bytes, end + 1..<range.upperBound)
    } else if method == .options {
      isAsteriskForm = true
    }
    scratch[0] = isAsteriskForm ? ASCII.asterisk : ASCII.slash
    pathSlice = Slice(offset: 0, count: 1)
    pathIsInScratch = true
  }

  private mutating func readPathAndQuery(_ bytes: Span<UInt8>, _ range: Range<Int>) throws(RequestError) {
    var index = range.lowerBound
    var previous: UInt8 = 0
    var isNormal = true
    while index < range.upperBound {
      let byte = bytes[index]
      if !ByteSet.path.contains(byte) {
        if byte == ASCII.questionMark { break }
        isNormal = false
      }
      // A segment that begins with a dot may be a dot segment.
      if byte == ASCII.period, previous == ASCII.slash { isNormal = false }
      previous = byte
      index += 1
    }
    pathSlice = Slice(offset: range.lowerBound, count: index - range.lowerBound)
    if !isNormal { try normalise(bytes.extracting(range.lowerBound..<index)) }
    if index < range.upperBound { try readQuery(bytes, index + 1..<range.upperBound) }
  }

  private mutating func readQuery(_ bytes: Span<UInt8>, _ range: Range<Int>) throws(RequestError) {
    guard bytes.index(of: ASCII.space, in: range) == range.upperBound else {
      throw RequestError(.malformedRequestLine)
    }
    // A fragment never travels; a receiver that cut here would see another query than one that did not.
    guard bytes.index(of: ASCII.numberSign, in: range) == range.upperBound else {
      throw RequestError(.malformedTarget)
    }
    querySlice = Slice(offset: range.lowerBound, count: range.count)
  }

  /// Writes the normal form of `path`, which begins with a slash, into the scratch buffer.
  ///
  /// Each byte becomes at most three, so that the buffer, three times the longest request line, cannot overflow.
  private mutating func normalise(_ path: Span<UInt8>) throws(RequestError) {
    scratch[0] = ASCII.slash
    var count = 1
    var segmentStart = 1
    var index = 1
    while true {
      guard index < path.count, path[index] != ASCII.slash else {
        try endSegment(&count, from: segmentStart, addingSlash: index < path.count)
        segmentStart = count
        if index >= path.count { break }
        index += 1
        continue
      }
      var byte = path[index]
      var isLiteral = ByteSet.path.contains(byte)
      index += 1
      switch byte {
      case ASCII.percent:
        guard index + 1 < path.count, let high = ASCII.hexValue(path[index]),
          let low = ASCII.hexValue(path[index + 1])
        else { throw RequestError(.malformedEscape) }
        index += 2
        byte = high &<< 4 | low
        if byte == 0 || byte == ASCII.slash || byte == ASCII.backslash {
          throw RequestError(.forbiddenEscape)
        }
        isLiteral = ByteSet.unreserved.contains(byte)
      case ASCII.backslash: throw RequestError(.backslashInPath)
      case ASCII.space: throw RequestError(.malformedRequestLine)
      case ASCII.numberSign: throw RequestError(.malformedTarget)
      default: break
      }
      if isLiteral {
        scratch[count] = byte
        count += 1
      } else {
        scratch[count] = ASCII.percent
        scratch[count + 1] = ASCII.hexDigit(byte &>> 4)
        scratch[count + 2] = ASCII.hexDigit(byte & 0x0F)
        count += 3
      }
    }
    pathSlice = Slice(offset: 0, count: count)
    pathIsInScratch = true
  }

  /// Ends the segment at `scratch[start..<count]`: a dot segment is taken back, with the segment before it if
  /// there are two dots (RFC 3986 §5.2.4); any other keeps the slash that follows it.
  private func endSegment(_ count: inout Int, from start: Int, addingSlash: Bool) throws(RequestError) {
    let isDots = count > start && scratch[start] == ASCII.period && scratch[count - 1] == ASCII.period
    if isDots, count - start == 1 {
      count = start
    } else if isDots, count - start == 2 {
      guard start > 1 else { throw RequestError(.pathAboveRoot) }
      count = start - 1
      while scratch[count - 1] != ASCII.slash { count -= 1 }
    } else if addingSlash {
      scratch[count] = ASCII.slash
      count += 1
    }
  }
}
