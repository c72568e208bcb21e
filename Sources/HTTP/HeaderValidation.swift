/// What may stand as a field name (RFC 9110 §5.1).
public enum HeaderName {
  /// Whether the bytes are a token, and not none: what configuration may give as a field name.
  public static func isValid(_ bytes: some Sequence<UInt8>) -> Bool {
    var isEmpty = true
    for byte in bytes {
      guard ByteSet.token.contains(byte) else { return false }
      isEmpty = false
    }
    return !isEmpty
  }

  static func isToken(_ bytes: Span<UInt8>) -> Bool {
    for index in 0..<bytes.count where !ByteSet.token.contains(bytes[index]) { return false }
    return bytes.count > 0
  }
}

/// What may stand as a field value (RFC 9110 §5.5).
public enum HeaderValue {
  /// Whether the bytes may be sent as a field value: no control character but inner tabs, and no white space
  /// at either end. Bytes above 0x7F pass. An empty value is valid.
  public static func isValid(_ bytes: some Sequence<UInt8>) -> Bool {
    var last: UInt8?
    for byte in bytes {
      let isBlank = byte == ASCII.space || byte == ASCII.tab
      if byte < 0x20 && !isBlank || byte == ASCII.delete || (last == nil && isBlank) { return false }
      last = byte
    }
    return last != ASCII.space && last != ASCII.tab
  }
}
