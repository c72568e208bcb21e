/// A `traceparent` (W3C Trace Context §3.2): which trace a request is part of.
///
///     00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01
///     version, trace id, parent id, flags; lower-case hexadecimal
public enum TraceContext {
  /// Whether a field value is one that may be written to a log and passed on.
  ///
  /// A higher version than 00 may have more behind the flags, after another hyphen; version ff and ids of nothing but zeros are
  /// invalid.
  public static func isValid(_ value: Span<UInt8>) -> Bool {
    guard value.count >= 55, value.count <= 128 else { return false }
    for index in 0..<55 {
      switch index {
      case 2, 35, 52: guard value[index] == ASCII.hyphen else { return false }
      default: guard isHex(value[index]) else { return false }
      }
    }
    if value[0] == UInt8(ascii: "f"), value[1] == UInt8(ascii: "f") { return false }
    guard !isZero(value, 3..<35), !isZero(value, 36..<52) else { return false }
    if value.count == 55 { return true }
    if isZero(value, 0..<2) { return false }
    guard value[55] == ASCII.hyphen else { return false }
    for index in 56..<value.count where !ByteSet.token.contains(value[index]) { return false }
    return true
  }

  private static func isHex(_ byte: UInt8) -> Bool {
    (0x30...0x39).contains(byte) || (0x61...0x66).contains(byte)
  }

  private static func isZero(_ value: Span<UInt8>, _ range: Range<Int>) -> Bool {
    for index in range where value[index] != ASCII.zero { return false }
    return true
  }
}
