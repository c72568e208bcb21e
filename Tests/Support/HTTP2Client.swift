/// A frame of HTTP/2 as it goes over the wire (RFC 9113 §4.1).
public struct HTTP2Frame: Sendable {
  public enum Kind: UInt8, Sendable {
    case data, headers, priority, reset, settings, pushPromise, ping, goAway, windowUpdate, continuation
  }

  public var type: UInt8
  public var flags: UInt8
  public var stream: UInt32
  public var payload: [UInt8]
  /// What the header says instead of the payload's length.
  public var claimedLength: Int?

  public static let endStream: UInt8 = 0x1
  public static let acknowledgement: UInt8 = 0x1
  public static let endHeaders: UInt8 = 0x4
  public static let padded: UInt8 = 0x8

  public init(_ kind: Kind, flags: UInt8 = 0, stream: UInt32 = 0, _ payload: [UInt8] = []) {
    self.init(type: kind.rawValue, flags: flags, stream: stream, payload)
  }

  public init(type: UInt8, flags: UInt8 = 0, stream: UInt32 = 0, _ payload: [UInt8] = []) {
    self.type = type
    self.flags = flags
    self.stream = stream
    self.payload = payload
  }

  public var kind: Kind? { Kind(rawValue: type) }

  public var bytes: [UInt8] {
    let length = claimedLength ?? payload.count
    let header =
      [UInt8(length >> 16 & 0xFF), UInt8(length >> 8 & 0xFF), UInt8(length & 0xFF), type, flags]
      + Self.word(stream)
    return header + payload
  }

  /// The error code of RST_STREAM and GOAWAY.
  public var errorCode: UInt32? {
    let at = kind == .reset ? 0 : kind == .goAway ? 4 : nil
    guard let at, payload.count >= at + 4 else { return nil }
    return payload[at..<(at + 4)].reduce(0) { $0 << 8 | UInt32($1) }
  }

  /// Four bytes, the highest first.
  public static func word(_ value: UInt32) -> [UInt8] {
    [UInt8(value >> 24), UInt8(value >> 16 & 0xFF), UInt8(value >> 8 & 0xFF), UInt8(value & 0xFF)]
  }

  // MARK: - Requests

  /// Fields as HPACK literals that are not indexed and not compressed (RFC 7541 §6.2.2).
  public static func block(_ fields: [(String, String)]) -> [UInt8] {
    fields.flatMap { name, value in
      [0x00] + text(name) + text(value)
    }
  }

  private static func text(_ text: String) -> [UInt8] {
    let bytes = Array(text.utf8)
    guard bytes.count >= 127 else { return [UInt8(bytes.count)] + bytes }
    var rest = bytes.count - 127
    var length: [UInt8] = [127]
    while rest >= 128 {
      length.append(UInt8(rest & 127) | 128)
      rest >>= 7
    }
    return length + [UInt8(rest)] + bytes
  }

  /// The fields of a plain GET, to be changed.
  public static func get(_ path: String = "/f/small.txt") -> [(String, String)] {
    [(":method", "GET"), (":scheme", "http"), (":path", path), (":authority", "localhost")]
  }

  public static func request(
    _ fields: [(String, String)] = get(), stream: UInt32 = 1, endStream: Bool = true
  ) -> HTTP2Frame {
    HTTP2Frame(.headers, flags: endHeaders | (endStream ? Self.endStream : 0), stream: stream, block(fields))
  }
}

/// A client that sends the frames it is given, sound or not, and reads those that come.
public final class HTTP2Client {
  private let connection: RawConnection
  private var received: [UInt8] = []
  private var hasEnded = false

  public static let preface = Array("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".utf8)

  /// - Parameter settings: pairs of identifier and value; `nil` sends no preface at all.
  public init(
    port: Int, settings: [(UInt16, UInt32)]? = [], timeout: Duration = .seconds(10),
    receiveBufferBytes: Int32? = nil
  ) throws {
    connection = try RawConnection(port: port, timeout: timeout, receiveBufferBytes: receiveBufferBytes)
    guard let settings else { return }
    try connection.send(Self.preface + Self.settings(settings).bytes)
  }

  public static func settings(_ pairs: [(UInt16, UInt32)]) -> HTTP2Frame {
    HTTP2Frame(.settings, pairs.flatMap { [UInt8($0.0 >> 8), UInt8($0.0 & 0xFF)] + HTTP2Frame.word($0.1) })
  }

  public func send(_ frames: [HTTP2Frame]) throws { try send(bytes: frames.flatMap(\.bytes)) }

  /// Bytes to a server that has closed are lost without an error.
  public func send(bytes: [UInt8]) throws {
    do { try connection.send(bytes) } catch { hasEnded = true }
  }

  /// The next frame; `nil` when the server has closed.
  public func next() throws -> HTTP2Frame? {
    while true {
      if received.count >= 9 {
        let length = Int(received[0]) << 16 | Int(received[1]) << 8 | Int(received[2])
        if received.count >= 9 + length {
          let stream = received[5..<9].reduce(0) { $0 << 8 | UInt32($1) } & 0x7FFF_FFFF
          let frame = HTTP2Frame(
            type: received[3], flags: received[4], stream: stream, Array(received[9..<(9 + length)]))
          received.removeFirst(9 + length)
          return frame
        }
      }
      let more = try connection.receive()
      if more.isEmpty { return nil }
      received += more
    }
  }

  /// The first frame that `matches`, or `nil` when the server closes before.
  public func first(where matches: (HTTP2Frame) -> Bool) throws -> HTTP2Frame? {
    while let frame = try next() { if matches(frame) { return frame } }
    return nil
  }
}
