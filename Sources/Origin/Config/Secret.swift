/// Key material that came from a file or the environment.
///
/// It prints as `<secret>` in every way Swift prints a value, and is compared in time that depends on
/// lengths alone, so neither a log line nor a stopwatch tells what it is.
public struct Secret: Sendable, Equatable, CustomStringConvertible, CustomDebugStringConvertible,
  CustomReflectable
{
  /// The key itself. For signing and comparing only.
  public let bytes: [UInt8]

  public init(bytes: [UInt8]) { self.bytes = bytes }

  /// Whether these bytes are the secret. Time depends on the length of `candidate`, not on its content.
  public func matches(_ candidate: RawSpan) -> Bool {
    guard !bytes.isEmpty else { return candidate.byteCount == 0 }
    var difference: UInt = bytes.count == candidate.byteCount ? 0 : 1
    for offset in 0..<candidate.byteCount {
      let given = candidate.unsafeLoad(fromByteOffset: offset, as: UInt8.self)
      difference |= UInt(given ^ bytes[offset % bytes.count])
    }
    return difference == 0
  }

  public static func == (left: Secret, right: Secret) -> Bool {
    left.matches(right.bytes.span.bytes)
  }

  public var description: String { "<secret>" }
  public var debugDescription: String { "<secret>" }
  public var customMirror: Mirror { Mirror(self, children: []) }
}
