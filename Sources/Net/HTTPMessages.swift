// What goes to an HTTP server and what comes back, as values.

/// One header field. Names are compared without regard to case.
public struct HTTPField: Sendable, Hashable {
  public var name: String
  public var value: String

  public init(_ name: String, _ value: String) {
    self.name = name
    self.value = value
  }
}

/// A request to a server, with the limits under which it is made.
public struct HTTPRequest: Sendable, Hashable {
  /// A token of RFC 9110 §9, in capitals.
  public var method: String
  /// Absolute, `http` or `https`, of visible ASCII.
  public var url: String
  /// Besides those that say where the message goes and how long it is.
  public var fields: [HTTPField]
  /// `nil`: none. An empty one has a length of 0.
  public var body: [UInt8]?
  /// The body of a PUT, in the place of `body`.
  public var file: HTTPBodyFile?
  /// Until the connection stands, TLS included.
  public var connectTimeoutMilliseconds: UInt64 = 5_000
  /// For all of it, from the call to the last byte, the wait in the client's queue included.
  public var timeoutMilliseconds: UInt64 = 30_000
  /// How long nothing may come or go before the request has timed out, in seconds; 0: that does not matter.
  public var stallTimeoutSeconds = 0
  /// A longer body ends the request with ``HTTPClientError/Code/responseTooLarge``.
  public var mostResponseBytes = 1 << 20
  /// False: the body is read to its end and counted, but not kept. For requests that are made for their effect.
  public var keepsBody = true
  /// How many redirections are followed; each goes through the client's ``AddressPolicy``, and none leads from `https` to
  /// `http`. Beyond, the request fails; with 0 a redirection is an answer like any other.
  public var mostRedirects = 0

  public init(_ method: String = "GET", _ url: String, fields: [HTTPField] = [], body: [UInt8]? = nil) {
    self.method = method
    self.url = url
    self.fields = fields
    self.body = body
  }

  /// What of it can't be sent; nil where all of it can.
  var complaint: String? {
    guard !method.isEmpty, method.utf8.allSatisfy(Self.isToken) else { return "the method is not a token" }
    guard method != "HEAD" || body == nil else { return "HEAD has no body" }
    guard file == nil || method == "PUT" && body == nil && mostRedirects == 0 else {
      return "a file is the only body of a PUT that is not redirected"
    }
    guard url.utf8.allSatisfy({ (0x21...0x7E).contains($0) }) else {
      return "the URL has characters that must be percent-encoded"
    }
    let scheme = url.prefix { $0 != ":" }.lowercased()
    guard scheme == "http" || scheme == "https" else { return "the URL is neither http nor https" }
    for field in fields {
      guard !field.name.isEmpty, field.name.utf8.allSatisfy(Self.isToken) else {
        return "the name of a field is not a token"
      }
      guard field.value.utf8.allSatisfy({ $0 >= 0x20 && $0 != 0x7F || $0 == 0x09 }) else {
        return "the field \(field.name) has control characters"
      }
    }
    return nil
  }

  private static func isToken(_ byte: UInt8) -> Bool {
    switch byte {
    case 0x30...0x39, 0x41...0x5A, 0x61...0x7A: true
    default: "!#$%&'*+-.^_`|~".utf8.contains(byte)
    }
  }
}

/// The first bytes of an open file as a body of any length: read on the client's loop as they are sent, so from a disk that
/// does not keep the loop waiting, or on a loop that nothing else waits for.
public final class HTTPBodyFile: Sendable, Hashable {
  public let descriptor: Int32
  public let sizeBytes: UInt64
  private let owner: any Sendable

  /// - Parameter owner: what keeps the descriptor open.
  public init(descriptor: Int32, sizeBytes: UInt64, owner: any Sendable) {
    self.descriptor = descriptor
    self.sizeBytes = sizeBytes
    self.owner = owner
  }

  public static func == (left: HTTPBodyFile, right: HTTPBodyFile) -> Bool { left === right }
  public func hash(into hasher: inout Hasher) { hasher.combine(ObjectIdentifier(self)) }
}

/// The final answer of a server; any status is an answer.
public struct HTTPResponse: Sendable, Hashable {
  public var status: Int
  /// In the order of the wire, without the status line.
  public var fields: [HTTPField]
  /// As it came: content codings are neither asked for nor undone.
  public var body: [UInt8]
  /// Length of the body, kept or not.
  public var bodyBytes: Int
  /// The protocol that it came by: 1 or 2.
  public var majorVersion: Int
  /// What `Retry-After` asks for, be it seconds or a date (RFC 9110 §10.2.3); nil without the field.
  public var retryAfterMilliseconds: UInt64?

  /// The value of the first field of that name.
  public func field(_ name: String) -> String? {
    let name = name.lowercased()
    return fields.first { $0.name.lowercased() == name }?.value
  }
}
