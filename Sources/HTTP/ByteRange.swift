/// Bytes `lower` up to but not including `upper` of a representation; never empty when it comes from a request.
public struct ByteRange: Sendable, Hashable {
  public var lower: UInt64
  public var upper: UInt64

  /// - Precondition: `lower` is not above `upper`.
  public init(lower: UInt64, upper: UInt64) {
    precondition(lower <= upper, "a range ends before it begins")
    self.lower = lower
    self.upper = upper
  }

  /// Bytes in the range.
  public var count: UInt64 { upper - lower }
}

/// What a `Range` field asks of a representation whose length is known.
public enum RangeDecision: Sendable, Equatable {
  /// The field does not apply: answer 200 with everything.
  case whole
  /// Answer 206 with these bytes.
  case single(ByteRange)
  /// Answer 206 with `multipart/byteranges`: two or more ranges in the order asked, none touching another.
  case multiple([ByteRange])
  /// Answer 416 with `Content-Range: bytes */LENGTH`.
  case unsatisfiable
}
