/// What one request may cost before it is refused.
///
/// Each limit is inclusive: a request at the limit passes, one byte or item more fails with the status given.
/// Values above 2^24 are treated as 2^24, and `fieldCount` above 65,535 as 65,535; below zero as zero.
public struct HTTPLimits: Sendable, Equatable {
  /// Bytes of the request line without its CRLF; beyond it 414.
  public var requestLineBytes: Int
  /// Bytes from the first field line to the CRLF of the empty line, both included; beyond it 431.
  public var headerBlockBytes: Int
  /// Field lines of one head; beyond it 431.
  public var fieldCount: Int
  /// Ranges of one `Range` field; beyond it the field is ignored and the answer is the whole representation.
  public var rangeCount: Int
  /// Body bytes that are read and thrown away before an answer, to keep the connection; beyond it the
  /// connection is closed.
  public var discardedBodyBytes: Int
  /// Bytes of all chunk extensions of one body; beyond it 413.
  public var chunkExtensionBytes: Int
  /// Bytes of the trailer section of one body; beyond it 431.
  public var trailerBytes: Int

  public init(
    requestLineBytes: Int = 8192, headerBlockBytes: Int = 32768, fieldCount: Int = 100,
    rangeCount: Int = 16, discardedBodyBytes: Int = 65536, chunkExtensionBytes: Int = 16384,
    trailerBytes: Int = 8192
  ) {
    self.requestLineBytes = requestLineBytes
    self.headerBlockBytes = headerBlockBytes
    self.fieldCount = fieldCount
    self.rangeCount = rangeCount
    self.discardedBodyBytes = discardedBodyBytes
    self.chunkExtensionBytes = chunkExtensionBytes
    self.trailerBytes = trailerBytes
  }

  /// The same limits inside the bounds that offsets of 32 bits and counts of 16 bits can hold.
  var clamped: HTTPLimits {
    func bound(_ value: Int, _ most: Int = 1 << 24) -> Int { max(0, min(value, most)) }
    return HTTPLimits(
      requestLineBytes: bound(requestLineBytes), headerBlockBytes: bound(headerBlockBytes),
      fieldCount: bound(fieldCount, 65535), rangeCount: bound(rangeCount),
      discardedBodyBytes: bound(discardedBodyBytes), chunkExtensionBytes: bound(chunkExtensionBytes),
      trailerBytes: bound(trailerBytes))
  }
}
