// From a representation and a request to what is sent: conditions first, then ranges
// (RFC 9110 §13.2.2, §14). Works on lengths and slices alone, so made segments, playlists and files
// behave alike, and HEAD reads nothing.

import HTTP

struct ResponsePlan {
  enum Outcome {
    /// Only a head: 304, or the answer to HEAD.
    case head
    case body(ResponseBody)
    case problem(Problem)
  }

  var status: UInt16
  var outcome: Outcome
  /// The one range of a 206.
  var range: ByteRange?
  /// Content type and length of a `multipart/byteranges` answer.
  var multipart: (contentType: [UInt8], lengthBytes: UInt64)?

  init(
    _ representation: Representation, _ request: borrowing RequestHead, nowSeconds: Int64, limits: HTTPLimits
  ) {
    let etag = representation.etag
    let verdict = Precondition.evaluate(
      head: request, etag: etag.span,
      lastModifiedSeconds: representation.lastModifiedSeconds, nowSeconds: nowSeconds)
    let isHead = request.method == .head
    switch verdict {
    case .notModified:
      status = 304
      outcome = .head
    case .preconditionFailed:
      status = 412
      outcome = .problem(.preconditionFailed)
    case .proceed(let rangeAllowed):
      guard rangeAllowed, !isHead, request.fieldCount(of: .range) == 1, let field = request.field(.range)
      else {
        status = 200
        outcome = isHead ? .head : .body(ResponseBody(representation))
        return
      }
      switch RangeRequest.decide(fieldValue: field, length: representation.lengthBytes, limits: limits) {
      case .whole:
        status = 200
        outcome = .body(ResponseBody(representation))
      case .unsatisfiable:
        status = 416
        outcome = .problem(.rangeNotSatisfiable(lengthBytes: representation.lengthBytes))
      case .single(let range):
        status = 206
        self.range = range
        outcome = .body(ResponseBody(representation, range))
      case .multiple(let ranges):
        status = 206
        let (parts, body) = Self.multipart(representation, ranges)
        multipart = parts
        outcome = .body(body)
      }
    }
  }

  private static func multipart(
    _ representation: Representation, _ ranges: [ByteRange]
  ) -> ((contentType: [UInt8], lengthBytes: UInt64), ResponseBody) {
    let etag = representation.etag
    let contentType = representation.contentType
    let boundary = MultipartByteRanges.boundary(etag: etag.span, ranges: ranges)
    let parts = MultipartByteRanges(
      contentType: contentType.span, boundary: boundary.span,
      totalLength: representation.lengthBytes, ranges: ranges)
    var slices: [BodySlice] = []
    for (index, range) in ranges.enumerated() {
      slices.append(.bytes(parts.partHeader(at: index)))
      slices.append(contentsOf: representation.slices.cut(range.lower, range.upper))
    }
    slices.append(.bytes(parts.closing))
    return ((parts.contentType, parts.contentLength), ResponseBody(slices: slices))
  }
}

/// The bytes of an answer's body, as slices.
struct ResponseBody {
  var slices: [BodySlice]
  var lengthBytes: UInt64

  /// Up to this many bytes a body leaves in one write with its head.
  static let smallBytes = 8 << 10

  init(slices: [BodySlice]) {
    self.slices = slices
    lengthBytes = slices.reduce(0) { $0 + $1.count }
  }

  init(bytes: [UInt8]) {
    slices = bytes.isEmpty ? [] : [.bytes(bytes)]
    lengthBytes = UInt64(bytes.count)
  }

  init(_ representation: Representation) {
    slices = representation.slices
    lengthBytes = representation.lengthBytes
  }

  init(_ representation: Representation, _ range: ByteRange) {
    lengthBytes = range.upper - range.lower
    slices =
      lengthBytes == representation.lengthBytes
      ? representation.slices : representation.slices.cut(range.lower, range.upper)
  }

  /// Copies the whole body behind a head; nil when part of it is missing, not in the page cache, or yet to be made.
  func copySmall(into output: UnsafeMutableRawBufferPointer, after headBytes: Int) -> Int? {
    guard headBytes + Int(lengthBytes) <= output.count else { return nil }
    var position = headBytes
    for slice in slices {
      let count = Int(slice.count)
      let target = UnsafeMutableRawBufferPointer(rebasing: output[position..<(position + count)])
      switch slice.source {
      case .bytes(let bytes):
        bytes.withUnsafeBytes {
          target.copyMemory(
            from: UnsafeRawBufferPointer(rebasing: $0[Int(slice.offset)..<(Int(slice.offset) + count)]))
        }
      case .blob(let file):
        guard file.readCached(offset: slice.offset, into: target) == count else { return nil }
      case .deferred:
        return nil
      }
      position += count
    }
    return position - headBytes
  }
}
