// The body of a 206 with several ranges (RFC 9110 §14.6, RFC 2046 §5.1.1):
//
//     --BOUNDARY CRLF
//     Content-Type: TYPE CRLF
//     Content-Range: bytes FIRST-LAST/LENGTH CRLF
//     CRLF
//     bytes of the first range
//     CRLF --BOUNDARY CRLF  … and so on for each further range …
//     CRLF --BOUNDARY-- CRLF
//
// Everything but the ranges' own bytes is made here, so that the length is known before the first byte is sent.

/// The frame around the parts of a `multipart/byteranges` body, and its exact length.
public struct MultipartByteRanges: Sendable {
  public let ranges: [ByteRange]
  /// Value of the response's `Content-Type`.
  public let contentType: [UInt8]
  /// Bytes of the whole body, for `Content-Length`.
  public let contentLength: UInt64
  /// What follows the last part.
  public let closing: [UInt8]

  private let partStart: [UInt8]
  private let totalLength: UInt64

  /// - Parameters:
  ///   - contentType: media type of the representation.
  ///   - boundary: a token of 1 to 70 characters, such as `boundary(etag:ranges:)` makes.
  ///   - totalLength: bytes of the whole representation.
  ///   - ranges: as decided by `RangeRequest`; none empty.
  public init(contentType: Span<UInt8>, boundary: Span<UInt8>, totalLength: UInt64, ranges: [ByteRange]) {
    self.ranges = ranges
    self.totalLength = totalLength
    var type: [UInt8] = []
    Self.append("multipart/byteranges; boundary=", to: &type)
    Self.append(boundary, to: &type)
    self.contentType = type

    var start: [UInt8] = []
    Self.append("\r\n--", to: &start)
    Self.append(boundary, to: &start)
    var closing = start
    Self.append("--\r\n", to: &closing)
    self.closing = closing
    Self.append("\r\nContent-Type: ", to: &start)
    Self.append(contentType, to: &start)
    Self.append("\r\nContent-Range: bytes ", to: &start)
    partStart = start

    var length = UInt64(closing.count)
    for (index, range) in ranges.enumerated() {
      let header = Self.partHeader(start, range, totalLength, isFirst: index == 0)
      for piece in [UInt64(header.count), range.count] { length += min(piece, .max - length) }
    }
    contentLength = length
  }

  /// What precedes the bytes of a part: delimiter, fields, empty line.
  /// - Parameter index: below `ranges.count`.
  public func partHeader(at index: Int) -> [UInt8] {
    Self.partHeader(partStart, ranges[index], totalLength, isFirst: index == 0)
  }

  /// A boundary of 40 characters that depends on nothing but its arguments, so that equal requests get equal
  /// bytes from every node and after every restart.
  ///
  /// It is a 128-bit digest. An uploader could only place it in the data by knowing the tag, and a tag that is a
  /// digest of the data changes with every attempt; so it occurs there by chance alone, once in 2^128.
  public static func boundary(etag: Span<UInt8>, ranges: [ByteRange]) -> [UInt8] {
    var high = Digest(seed: 0xCBF2_9CE4_8422_2325)
    var low = Digest(seed: 0x9E37_79B9_7F4A_7C15)
    for index in 0..<etag.count {
      high.add(UInt64(etag[index]))
      low.add(UInt64(etag[index]))
    }
    for range in ranges {
      for word in [range.lower, range.upper] {
        high.add(word)
        low.add(word)
      }
    }
    var text: [UInt8] = []
    append("hw-part-", to: &text)
    for word in [high.value, low.value] {
      for shift in stride(from: 60, through: 0, by: -4) {
        text.append(ASCII.hexDigit(UInt8(truncatingIfNeeded: word &>> UInt64(shift)) & 0x0F))
      }
    }
    return text
  }

  private static func partHeader(_ start: [UInt8], _ range: ByteRange, _ length: UInt64, isFirst: Bool)
    -> [UInt8]
  {
    // RFC 2046: the CRLF before a delimiter belongs to it, and the first needs none.
    var header = isFirst ? [UInt8](start.dropFirst(2)) : start
    header += String(range.lower).utf8
    header.append(ASCII.hyphen)
    header += String(range.upper - min(1, range.count)).utf8
    header.append(ASCII.slash)
    header += String(length).utf8
    append("\r\n\r\n", to: &header)
    return header
  }

  private static func append(_ text: StaticString, to bytes: inout [UInt8]) {
    text.withUTF8Buffer { bytes.append(contentsOf: $0) }
  }

  private static func append(_ span: Span<UInt8>, to bytes: inout [UInt8]) {
    for index in 0..<span.count { bytes.append(span[index]) }
  }
}

/// A 64-bit mixing digest (the finaliser of MurmurHash3 over each word); not for secrets.
private struct Digest {
  private var state: UInt64

  init(seed: UInt64) { state = seed }

  mutating func add(_ word: UInt64) { state = Self.mixed(state ^ word) &+ 0x9E37_79B9_7F4A_7C15 }

  var value: UInt64 { Self.mixed(state) }

  private static func mixed(_ word: UInt64) -> UInt64 {
    var word = word
    word ^= word &>> 33
    word &*= 0xFF51_AFD7_ED55_8CCD
    word ^= word &>> 33
    word &*= 0xC4CE_B9FE_1A85_EC53
    return word ^ (word &>> 33)
  }
}
