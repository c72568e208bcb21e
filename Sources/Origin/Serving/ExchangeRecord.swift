// What the log phase needs of a request, copied while its head is still in the read buffer. Made only
// where an access log or a log handler wants it.

import Glibc
import HTTP
import Loop

final class ExchangeRecord {
  private let site: Site?
  private let startedNanoseconds: UInt64
  private var record: AccessRecord

  /// - Parameters:
  ///   - connection: what the request came on.
  ///   - major: the version of HTTP that is spoken there.
  init(
    _ connection: any AnsweringConnection, speaking major: UInt8, _ site: Site?, status: UInt16,
    kind: AnswerKind,
    startedNanoseconds: UInt64
  ) {
    let owner = connection.owner
    self.site = site
    // A head that could not be parsed was never dispatched.
    self.startedNanoseconds = startedNanoseconds == 0 ? Self.monotonicNanoseconds() : startedNanoseconds
    // The head of a request that could not be parsed is not shown: its parts are not what they seem.
    let isParsed = Self.knowsHead(status: status, site)
    let client = isParsed ? connection.clientAddress : connection.peerAddress
    record = AccessRecord(
      site: site?.name, startedMilliseconds: Self.wallMilliseconds(), durationMicroseconds: 0,
      remoteAddress: client?.host ?? "-", method: isParsed ? "\(owner.head.method.name)" : "-",
      target: isParsed ? Self.redacted([UInt8](copying: owner.head.rawTarget), site) : [0x2D],
      host: isParsed ? [UInt8](copying: owner.head.host) : [],
      versionMajor: isParsed ? owner.head.versionMajor : major,
      versionMinor: isParsed ? owner.head.versionMinor : major == 1 ? 1 : 0,
      tls: (connection.socket.layer as? TLSSession)?.version,
      status: status, sentBytes: 0, kind: kind, requestID: owner.requestID,
      range: isParsed ? Self.copy(owner.head, .range) : nil,
      referer: isParsed ? Self.copy(owner.head, .referer).map { Self.redacted($0, site) } : nil,
      userAgent: isParsed ? Self.copy(owner.head, .userAgent) : nil,
      traceparent: isParsed ? Self.traceparent(owner.head) : nil,
      cmcd: isParsed ? CMCD(owner.head) : nil)
  }

  /// Whether the loop's parsed head is that of the request being answered.
  private static func knowsHead(status: UInt16, _ site: Site?) -> Bool {
    status != 400 && status != 414 && status != 431 && status != 408 || site != nil
  }

  /// - Parameter isComplete: false when the connection ended before the last byte.
  func finish(_ owner: OriginLoop, sentBytes: UInt64, isComplete: Bool) {
    record.durationMicroseconds = (Self.monotonicNanoseconds() - startedNanoseconds) / 1000
    record.sentBytes = sentBytes
    record.isComplete = isComplete
    owner.snapshot.accessLog?.append(record)
    if let site {
      for handler in site.pipeline.logs { handler.log(record) }
    }
  }

  private static func copy(_ head: borrowing RequestHead, _ field: KnownField) -> [UInt8]? {
    guard let value = head.field(field) else { return nil }
    return [UInt8](copying: value)
  }

  private static func traceparent(_ head: borrowing RequestHead) -> [UInt8]? {
    guard let value = head.field(.traceparent), TraceContext.isValid(value) else { return nil }
    return [UInt8](copying: value)
  }

  static func monotonicNanoseconds() -> UInt64 {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
  }

  private static func wallMilliseconds() -> Int64 {
    var time = timespec()
    clock_gettime(CLOCK_REALTIME, &time)
    return Int64(time.tv_sec) * 1000 + Int64(time.tv_nsec) / 1_000_000
  }

  /// Parameters of tokens that may be on their way to another site, or come from one.
  private static let secretParameters = [
    "sig", "md5", "Signature", "Policy", "hdnts", "hdnea", "__token__", "CTA-Common-Access-Token",
  ]

  /// Whether CMCD names a URL with a query: the next object, which may carry a token as this one does.
  private static func holdsQuery(_ pair: ArraySlice<UInt8>, _ name: ArraySlice<UInt8>) -> Bool {
    guard name.elementsEqual("CMCD".utf8) else { return false }
    let text = String(decoding: pair, as: UTF8.self).uppercased()
    return text.contains("%3F") || text.contains("%253F") || text.contains("?")
  }

  /// The target with the value of each signature parameter replaced by `***`: whoever reads a log must
  /// not get a working URL out of it.
  static func redacted(_ target: [UInt8], _ site: Site? = nil) -> [UInt8] {
    guard let question = target.firstIndex(of: UInt8(ascii: "?")) else { return target }
    let secret = secretParameters + (site?.secretParameters ?? [])
    var result = Array(target[...question])
    let pairs = target[(question + 1)...].split(
      separator: UInt8(ascii: "&"), omittingEmptySubsequences: false)
    for (index, pair) in pairs.enumerated() {
      if index > 0 { result.append(UInt8(ascii: "&")) }
      let name = pair.prefix { $0 != UInt8(ascii: "=") }
      let isSecret = secret.contains { $0.utf8.elementsEqual(name) } || holdsQuery(pair, name)
      if name.count < pair.count, isSecret {
        result += name
        result += "=***".utf8
      } else {
        result += pair
      }
    }
    return result
  }
}
