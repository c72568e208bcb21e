// The calls of the API: what a path and a method mean, who may ask, what body belongs to it
//
//     head ──► APIRouter.answer: route, token, body's type and length ──► the body is read, bounded ──► APIRoute.handle
//
// All of the first half is decided from the head alone, before a byte of the body is taken. A handler runs as a task on the
// loop of its connection; what blocks it gives to `APIRequest.onWorker`.

public import HTTP
import Loop
import Store

/// One call: a method on a path.
public struct APIRoute: Sendable {
  /// What a handler is.
  public typealias Handler = @Sendable (APIRequest) async throws(Problem) -> APIReply

  /// Looks at the head before a byte of the body is taken; throws to refuse it. Must not block.
  public typealias Admission = @Sendable (APIRequest) throws(Problem) -> Void

  /// Who may call it.
  public enum Access: Sendable {
    /// Whoever holds one of the site's API tokens.
    case token
    /// The same, and workers on other machines.
    case tokenOrWorker
    /// Workers on other machines alone.
    case worker
    /// Everybody: for what players send.
    case anyone
  }

  /// The body that belongs to the call.
  public enum Body: Sendable {
    /// None; one that is sent is thrown away.
    case none
    /// A text of one of these media types, read whole.
    case text(mediaTypes: [String], mostBytes: Int = 1 << 20)
    /// The same, where a request without one is as good.
    case optionalText(mediaTypes: [String], mostBytes: Int = 1 << 20)
    /// Any number of bytes up to `mostBytes`, handed over as they come.
    case stream(mostBytes: UInt64, open: @Sendable (APIRequest) -> any APIBodyStream)

    /// A JSON text.
    public static let json = Body.text(mediaTypes: ["application/json"])
  }

  /// The path of the media side that answers in the place of a handler. May read the catalog.
  typealias Media = (APIRequest, ContentContext) throws(Problem) -> String

  public let method: Method
  /// Such as `/api/v1/videos/{id}`: a name in braces takes one segment. The last may be `{name*}`: one segment or more.
  public let path: String
  public let access: Access
  public let body: Body
  let admit: Admission
  let handle: Handler
  let media: (@Sendable (APIRequest, ContentContext) throws(Problem) -> String)?
  let segments: [Segment]

  enum Segment: Equatable, Sendable {
    case word([UInt8])
    case parameter(String)
    case rest(String)
  }

  /// - Precondition: the path begins with a slash.
  public init(
    _ method: Method, _ path: String, access: Access = .token, body: Body = .none,
    admit: @escaping Admission = { _ throws(Problem) in }, _ handle: @escaping Handler
  ) {
    precondition(path.hasPrefix("/"), "a route's path begins with a slash: \(path)")
    self.method = method
    self.path = path
    self.access = access
    self.body = body
    self.admit = admit
    self.handle = handle
    media = nil
    segments = Self.segments(path)
  }

  /// A GET that the media side answers: with ranges, conditions and without a copy.
  init(
    media path: String,
    _ target: @escaping @Sendable (APIRequest, ContentContext) throws(Problem) -> String
  ) {
    method = .get
    self.path = path
    access = .token
    body = .none
    admit = { _ throws(Problem) in }
    handle = { _ throws(Problem) in throw .notFound }
    media = target
    segments = Self.segments(path)
  }

  private static func segments(_ path: String) -> [Segment] {
    path.dropFirst().split(separator: "/", omittingEmptySubsequences: false).map { part in
      guard part.hasPrefix("{"), part.hasSuffix("}") else { return .word(Array(part.utf8)) }
      let name = part.dropFirst().dropLast()
      return name.hasSuffix("*") ? .rest(String(name.dropLast())) : .parameter(String(name))
    }
  }

  /// The values of the parameters, percent-decoded; nil where the path is another. `*` keeps its escapes and slashes.
  func match(_ parts: [ArraySlice<UInt8>]) -> [String: String]? {
    var values: [String: String] = [:]
    for (index, segment) in segments.enumerated() {
      guard index < parts.count else { return nil }
      switch segment {
      case .word(let word):
        guard parts[index].elementsEqual(word) else { return nil }
      case .parameter(let name):
        guard let bytes = PercentDecoding.decode(Array(parts[index]).span), !bytes.isEmpty,
          let text = String(validating: bytes, as: UTF8.self)
        else { return nil }
        values[name] = text
      case .rest(let name):
        values[name] = String(decoding: Array(parts[index...].joined(separator: [0x2F])), as: UTF8.self)
        return values
      }
    }
    return parts.count == segments.count ? values : nil
  }
}

/// Takes a body as it comes. Calls come one after the other, on workers, and may block.
public protocol APIBodyStream: Sendable {
  /// - Throws: the problem to answer with; no further call comes then.
  func write(_ bytes: [UInt8]) throws(Problem)
}

/// A plugin with calls of its own below `/api/v1/`.
public protocol APIProvider: Plugin {
  /// The same each time. Built-in calls go before these, and plugins in the order of their list.
  var apiRoutes: [APIRoute] { get }
}
