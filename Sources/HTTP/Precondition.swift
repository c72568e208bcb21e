// Conditional requests in the order of RFC 9110 §13.2.2. A malformed list of tags matches nothing: a write under
// a broken If-Match is refused, a read under a broken If-None-Match is answered in full. A malformed date, or two
// lines where one is allowed, is as if the field were not there.

/// Evaluates the conditional fields of a request.
public enum Precondition {
  public enum Verdict: Sendable, Equatable {
    /// Carry the method out. `rangeAllowed` is true only for a `GET` with exactly one `Range` field whose
    /// `If-Range`, if there is one, holds; then ask `RangeRequest`.
    case proceed(rangeAllowed: Bool)
    /// Answer 304 without body.
    case notModified
    /// Answer 412.
    case preconditionFailed
  }

  /// To be asked when the answer without conditions would be 2xx, for a representation that exists.
  ///
  /// - Parameters:
  ///   - head: a complete head.
  ///   - etag: the strong tag of the representation with its quotes; empty if it has none.
  ///   - lastModifiedSeconds: Unix time of the last change; `Int64.min` if unknown.
  ///   - nowSeconds: the server's clock, Unix time. A date beyond it in `If-Modified-Since` is ignored.
  /// - Returns: the verdict. `CONNECT`, `OPTIONS` and `TRACE` have no preconditions (§13.2.1). O(field bytes), no
  ///   allocation.
  public static func evaluate(
    head: borrowing RequestHead, etag: Span<UInt8>, lastModifiedSeconds: Int64, nowSeconds: Int64
  ) -> Verdict {
    switch head.method {
    case .connect, .options, .trace: return .proceed(rangeAllowed: false)
    default: break
    }
    let isRead = head.method == .get || head.method == .head
    let isDateKnown = lastModifiedSeconds != .min

    if head.fieldCount(of: .ifMatch) > 0 {
      if !matches(head, .ifMatch, etag, strongly: true) { return .preconditionFailed }
    } else if isDateKnown, let date = date(head, .ifUnmodifiedSince, nowSeconds),
      lastModifiedSeconds > date
    {
      return .preconditionFailed
    }

    if head.fieldCount(of: .ifNoneMatch) > 0 {
      if matches(head, .ifNoneMatch, etag, strongly: false) {
        return isRead ? .notModified : .preconditionFailed
      }
    } else if isRead, isDateKnown, let date = date(head, .ifModifiedSince, nowSeconds),
      date <= nowSeconds, lastModifiedSeconds <= date
    {
      return .notModified
    }

    let hasRange = head.method == .get && head.fieldCount(of: .range) == 1
    return .proceed(
      rangeAllowed: hasRange && ifRangeHolds(head, etag, lastModifiedSeconds, nowSeconds))
  }

  /// Whether any line of a tag list names the current tag; `*` must be the whole field and names any.
  private static func matches(
    _ head: borrowing RequestHead, _ field: KnownField, _ etag: Span<UInt8>, strongly: Bool
  ) -> Bool {
    if head.fieldCount(of: field) == 1, let value = head.field(field), value.equals("*") { return true }
    var found = false
    var index = 0
    while let line = head.nextIndex(of: field, from: index) {
      switch EntityTagMatch(head.fieldValue(at: line), current: etag, strongly: strongly) {
      case .matches: found = true
      case .differs: break
      case .malformed: return false
      }
      index = line + 1
    }
    return found
  }

  private static func date(_ head: borrowing RequestHead, _ field: KnownField, _ nowSeconds: Int64) -> Int64?
  {
    guard head.fieldCount(of: field) == 1, let value = head.field(field) else { return nil }
    return HTTPDate.parse(value, nowSeconds: nowSeconds)
  }

  /// §13.1.5: a strong tag that is the current one, or the exact date if that is a strong validator, which it is
  /// once its second has passed.
  private static func ifRangeHolds(
    _ head: borrowing RequestHead, _ etag: Span<UInt8>, _ lastModifiedSeconds: Int64, _ nowSeconds: Int64
  ) -> Bool {
    guard let value = head.field(.ifRange) else { return true }
    guard head.fieldCount(of: .ifRange) == 1 else { return false }
    var position = 0
    if let tag = EntityTag(value, &position) {
      return position == value.count && tag.matches(etag, strongly: true)
    }
    guard lastModifiedSeconds != .min, lastModifiedSeconds < nowSeconds else { return false }
    return HTTPDate.parse(value, nowSeconds: nowSeconds) == lastModifiedSeconds
  }
}
