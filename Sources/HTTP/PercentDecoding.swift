/// Undoes the escapes of a path, for names that are bytes: keys of static files, path parameters.
public enum PercentDecoding {
  /// Appends the decoded bytes of `path` to `output`.
  ///
  /// - Parameters:
  ///   - path: a normalised path, or a piece of one. Decoded once: `%2525` becomes `%25`.
  ///   - output: receives the bytes; left as it was when the answer is `false`.
  /// - Returns: `false` if an escape is malformed, if it stands for NUL, `/` or `\` (so that a decoded name has
  ///   the segments the path had), or if the decoded bytes are not well-formed UTF-8 (overlong forms and
  ///   surrogates included; RFC 3629 §3).
  public static func decode(_ path: Span<UInt8>, into output: inout [UInt8]) -> Bool {
    let start = output.count
    output.reserveCapacity(start + path.count)
    var index = 0
    while index < path.count {
      var byte = path[index]
      index += 1
      if byte == ASCII.percent {
        guard index + 1 < path.count, let high = ASCII.hexValue(path[index]),
          let low = ASCII.hexValue(path[index + 1])
        else { return giveUp() }
        byte = high &<< 4 | low
        index += 2
        if byte == ASCII.slash { return giveUp() }
      }
      if byte == 0 || byte == ASCII.backslash { return giveUp() }
      output.append(byte)
    }
    return UTF8.isWellFormed(output.span.extracting(start..<output.count)) || giveUp()

    func giveUp() -> Bool {
      output.removeSubrange(start...)
      return false
    }
  }

  /// The decoded bytes of `path`, or `nil`: as the form above, into a new array.
  public static func decode(_ path: Span<UInt8>) -> [UInt8]? {
    var output: [UInt8] = []
    return decode(path, into: &output) ? output : nil
  }
}

/// Escapes bytes for URLs, always with upper-case digits (RFC 3986 §2.1).
public enum PercentEncoding {
  /// A path, its slashes kept: what may stand in a path stands for itself, so that the result of encoding a
  /// decoded file key is a normalised path. A `%` is always escaped.
  public static func encode(path: Span<UInt8>) -> [UInt8] { encode(path, keeping: .path) }

  /// One path segment or one name or value of a query: all but the unreserved characters is escaped.
  public static func encode(component: Span<UInt8>) -> [UInt8] { encode(component, keeping: .unreserved) }

  private static func encode(_ bytes: Span<UInt8>, keeping literal: ByteSet) -> [UInt8] {
    var output: [UInt8] = []
    output.reserveCapacity(bytes.count)
    for index in 0..<bytes.count {
      let byte = bytes[index]
      if literal.contains(byte) {
        output.append(byte)
      } else {
        output.append(ASCII.percent)
        output.append(ASCII.hexDigit(byte &>> 4))
        output.append(ASCII.hexDigit(byte & 0x0F))
      }
    }
    return output
  }
}
