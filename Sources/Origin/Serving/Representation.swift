public import Store

/// A run of body bytes: owned, a part of a blob that is sent without passing through the program, or made when it is sent.
public struct BodySlice: Sendable {
  public enum Source: Sendable {
    case bytes([UInt8])
    case blob(BlobFile)
    case deferred(any DeferredBody)
  }
  public var source: Source
  /// Where the run begins in the source.
  public var offset: UInt64
  public var count: UInt64

  public static func bytes(_ bytes: [UInt8]) -> BodySlice {
    BodySlice(source: .bytes(bytes), offset: 0, count: UInt64(bytes.count))
  }

  public static func deferred(_ body: any DeferredBody) -> BodySlice {
    BodySlice(source: .deferred(body), offset: 0, count: body.lengthBytes)
  }

  public static func blob(_ file: BlobFile, offset: UInt64, count: UInt64) -> BodySlice {
    BodySlice(source: .blob(file), offset: offset, count: count)
  }
}

/// Body bytes of which only the length is known until they are sent: a segment inside of a file of all segments, or
/// one that must be rewritten or encrypted. HEAD and ranges elsewhere in the body never make them.
public protocol DeferredBody: Sendable {
  /// The exact length of what `slices` adds up to.
  var lengthBytes: UInt64 { get }
  /// The bytes, as slices that are not deferred themselves. May read from the disk: runs on a worker.
  func slices() throws(Problem) -> [BodySlice]
}

/// The whole answer to a path: its rendered header fields, its validators and its body as slices.
///
/// Immutable and shared. GET, HEAD, conditional and range requests are all answered from the same
/// value; ranges, HEAD and multipart work on `slices` alone, so a made segment behaves like a file.
public final class Representation: Sendable {
  public let info: AnswerInfo
  /// Field lines as they go on the wire: all but Content-Length, Content-Range, Date, Connection and
  /// X-Request-Id, which belong to a request.
  let fieldLines: [UInt8]
  /// The same without Content-Type, for the parts of a `multipart/byteranges` answer.
  let untypedFieldLines: [UInt8]
  let contentType: [UInt8]
  /// Strong entity tag, quotes included.
  let etag: [UInt8]
  let lastModifiedSeconds: Int64
  let slices: [BodySlice]
  let lengthBytes: UInt64
  /// Wall clock second after which the answer must be made anew; nil: when the catalog changes.
  let validUntilSeconds: Int64?
  /// Only requests with a valid token are answered with this.
  let needsToken: Bool
  /// How the manifest becomes one viewer's; nil for what names no children, and for sites that do not sign.
  let signed: SignedManifest?

  /// - Parameters:
  ///   - fields: everything a request does not change, without Content-Type and validators.
  ///   - etag: the tag without its quotes.
  ///   - slices: in order; empty ones are left out, so that every slice that is sent makes progress.
  init(
    info: AnswerInfo, fields: HeaderFields, contentType: [UInt8], etag: [UInt8],
    lastModifiedSeconds: Int64, slices: [BodySlice], validUntilSeconds: Int64? = nil,
    needsToken: Bool = false, signed: SignedManifest? = nil
  ) {
    self.needsToken = needsToken
    self.signed = signed
    self.info = info
    self.contentType = contentType
    self.etag = [0x22] + etag + [0x22]
    self.lastModifiedSeconds = lastModifiedSeconds
    self.slices = slices.filter { $0.count > 0 }
    self.validUntilSeconds = validUntilSeconds
    lengthBytes = slices.reduce(0) { $0 + $1.count }
    untypedFieldLines = fields.lines()
    fieldLines = Array("Content-Type: ".utf8) + contentType + [0x0D, 0x0A] + untypedFieldLines
  }

  /// Whether part of the body is made when it is sent.
  var isDeferred: Bool {
    slices.contains { if case .deferred = $0.source { true } else { false } }
  }

  /// The same answer with another body: the same bytes in other slices, or the bytes that were not there yet.
  init(_ other: Representation, slices: [BodySlice]) {
    info = other.info
    fieldLines = other.fieldLines
    untypedFieldLines = other.untypedFieldLines
    contentType = other.contentType
    etag = other.etag
    lastModifiedSeconds = other.lastModifiedSeconds
    lengthBytes = slices.reduce(0) { $0 + $1.count }
    validUntilSeconds = other.validUntilSeconds
    needsToken = other.needsToken
    signed = other.signed
    self.slices = slices
  }

  /// The same answer with other field lines, which say nothing of Content-Type.
  init(_ other: Representation, untypedFieldLines lines: [UInt8]) {
    info = other.info
    untypedFieldLines = lines
    fieldLines = Array("Content-Type: ".utf8) + other.contentType + [0x0D, 0x0A] + lines
    contentType = other.contentType
    etag = other.etag
    lastModifiedSeconds = other.lastModifiedSeconds
    slices = other.slices
    lengthBytes = other.lengthBytes
    validUntilSeconds = other.validUntilSeconds
    needsToken = other.needsToken
    signed = nil
  }

  /// What this value keeps in memory, in bytes, for the hot table's budget.
  var costBytes: Int {
    var cost = 512 + fieldLines.count + untypedFieldLines.count + slices.count * 40
    if let signed { cost += signed.costBytes }
    for case .bytes(let bytes) in slices.lazy.map(\.source) { cost += bytes.count }
    return cost
  }
}

extension [BodySlice] {
  /// The slices that make up the bytes `lower..<upper` of the whole.
  ///
  /// - Precondition: the range lies inside the body.
  func cut(_ lower: UInt64, _ upper: UInt64) -> [BodySlice] {
    var result: [BodySlice] = []
    var position: UInt64 = 0
    for slice in self {
      let end = position + slice.count
      if end > lower && position < upper {
        let from = Swift.max(lower, position)
        let to = Swift.min(upper, end)
        result.append(
          BodySlice(source: slice.source, offset: slice.offset + (from - position), count: to - from))
      }
      position = end
      if position >= upper { break }
    }
    return result
  }
}
