/// `If-Match` and `If-None-Match` of a request, kept while the resource they are about is looked up elsewhere.
///
/// Conditions on dates are not kept: what is judged by these is told apart by its entity tag alone.
public struct EntityTagConditions: Sendable, Equatable {
  /// The lines of the field, joined as the list they are; nil where there is none.
  public let ifMatch: [UInt8]?
  public let ifNoneMatch: [UInt8]?

  public init(_ head: borrowing RequestHead) {
    ifMatch = Self.joined(head, .ifMatch)
    ifNoneMatch = Self.joined(head, .ifNoneMatch)
  }

  /// From the values of the fields, each with all of its lines.
  public init(ifMatch: [UInt8]? = nil, ifNoneMatch: [UInt8]? = nil) {
    self.ifMatch = ifMatch
    self.ifNoneMatch = ifNoneMatch
  }

  /// What becomes of the request (RFC 9110 §13.2.2), for a resource that exists.
  ///
  /// - Parameters:
  ///   - etag: its strong tag with the quotes.
  ///   - isRead: whether the method is GET or HEAD.
  public func verdict(etag: Span<UInt8>, isRead: Bool) -> Precondition.Verdict {
    if let ifMatch, !Self.names(etag, ifMatch, strongly: true) { return .preconditionFailed }
    if let ifNoneMatch, Self.names(etag, ifNoneMatch, strongly: false) {
      return isRead ? .notModified : .preconditionFailed
    }
    return .proceed(rangeAllowed: false)
  }

  private static func names(_ etag: Span<UInt8>, _ list: [UInt8], strongly: Bool) -> Bool {
    if list == [0x2A] { return true }
    return EntityTagMatch(list.span, current: etag, strongly: strongly) == .matches
  }

  private static func joined(_ head: borrowing RequestHead, _ field: KnownField) -> [UInt8]? {
    var value: [UInt8]?
    var index = 0
    while let line = head.nextIndex(of: field, from: index) {
      let bytes = head.fieldValue(at: line).withUnsafeBytes { [UInt8]($0) }
      value = value.map { $0 + [0x2C, 0x20] + bytes } ?? bytes
      index = line + 1
    }
    return value
  }
}
