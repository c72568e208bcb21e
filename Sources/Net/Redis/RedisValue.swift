internal import CHiredis

/// What a Redis server answers, copied out of the library's memory.
public enum RedisValue: Sendable, Hashable {
  /// Nothing there (RESP2's `$-1` and `*-1`).
  case null
  case integer(Int64)
  /// A status line, `OK` for example.
  case status(String)
  /// A bulk string: any bytes, NUL included.
  case bytes([UInt8])
  case array([RedisValue])
  /// An error inside an array; a reply that is an error as a whole is thrown as ``RedisError``.
  case error(String)

  /// The bytes of a bulk string or of a status line; nil for all else.
  public var bytes: [UInt8]? {
    switch self {
    case .bytes(let bytes): bytes
    case .status(let text): Array(text.utf8)
    default: nil
    }
  }

  /// ``bytes`` as text; what is not UTF-8 is replaced.
  public var text: String? { bytes.map { String(decoding: $0, as: UTF8.self) } }

  /// The integer, also one that is written in digits, as fields of hashes are.
  public var integer: Int64? {
    switch self {
    case .integer(let value): value
    case .bytes(let bytes): Int64(String(decoding: bytes, as: UTF8.self))
    default: nil
    }
  }

  public var array: [RedisValue]? {
    if case .array(let values) = self { values } else { nil }
  }

  public var isNull: Bool { self == .null }

  /// Copies a reply. Its depth is bounded by hiredis' reader, which refuses more than seven arrays inside each other.
  init(copying reply: UnsafePointer<redisReply>) {
    let value = reply.pointee
    switch value.type {
    case REDIS_REPLY_INTEGER: self = .integer(value.integer)
    case REDIS_REPLY_STRING: self = .bytes(Self.copy(value))
    case REDIS_REPLY_STATUS: self = .status(String(decoding: Self.copy(value), as: UTF8.self))
    case REDIS_REPLY_ERROR: self = .error(String(decoding: Self.copy(value), as: UTF8.self))
    case REDIS_REPLY_ARRAY:
      self = .array(
        (0..<Int(value.elements)).map { index in
          guard let element = value.element?[index] else { return .null }
          return RedisValue(copying: element)
        })
    default: self = .null
    }
  }

  private static func copy(_ reply: redisReply) -> [UInt8] {
    Array(UnsafeRawBufferPointer(start: reply.str, count: reply.str == nil ? 0 : Int(reply.len)))
  }
}
