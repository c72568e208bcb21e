// The phases of a request, in order: access, locate, content, header filter, log.
//
// Access runs for every request, before anything is read from disk. Locate, content and the header
// filters run only when the answer is not in the loop's hot table: what they make is a
// `Representation`, a pure function of site, path and catalog, which then answers GET, HEAD,
// conditional and range requests alike until the catalog changes. A header filter therefore never
// sees the viewer: it can't split a CDN's cache. Log runs after the last byte.
//
// All handlers run on a loop thread and must not block; what has to wait returns `.cold`, `.awaiting` or `.suspended`.

public import HTTP
public import Loop
public import Packaging
public import Store

/// Decides whether a request may be answered. Runs for every request of the site, GET or not.
public protocol AccessHandler: Sendable {
  /// - Parameter client: looks up the client's address; nil where the connection has just ended. Ask only when it matters.
  func check(
    _ request: borrowing RequestHead, from client: () -> SocketAddress?, in site: Site
  ) -> AccessVerdict
}

public enum AccessVerdict: Sendable {
  case pass
  /// Passes with a valid token, which also opens private assets and may travel on in manifests.
  case grant(AccessGrant)
  case refuse(Problem)
  /// What the verdict needs is elsewhere: await the closure, which runs on the loop's executor, then ask all handlers again.
  case awaiting(@Sendable () async -> Void)
}

/// Says what a path means. The first handler that answers decides; the built-in one comes last.
public protocol LocateHandler: Sendable {
  /// - Parameter path: the normalised path, from its leading slash, without the query.
  /// - Returns: nil when the path is not this handler's.
  func locate(_ path: [UInt8], in site: Site) -> Target?
}

/// Says which parameters of a query choose an answer, such as a width. Without one, a query never does.
///
/// What they choose becomes part of the answer's name: locate and content handlers get `path?parameters`.
public protocol ParameterHandler: Sendable {
  /// Writes the parameters behind `name`, in one fixed spelling, so that equal wishes have one name (`w=320`).
  ///
  /// Runs for every request with a query, so it looks at the path first, and allocates nothing.
  /// - Returns: false, with nothing written, for paths that are not this handler's, and for queries that say nothing to it.
  func writeParameters(in query: Span<UInt8>, of path: Span<UInt8>, to name: inout [UInt8]) -> Bool
}

/// Says what pictures for seeking an asset's manifests name.
public protocol ImageSetProvider: Sendable {
  /// Changes whenever its answers do for equal presentations: part of the manifests' entity tags.
  var identity: String { get }
  func imageSet(for presentation: Presentation) -> ImageSet?
}

/// Makes the answer for a target. The first handler that does not decline decides.
public protocol ContentHandler: Sendable {
  /// - Throws: the problem document to answer with.
  func content(for target: Target, in context: ContentContext) throws(Problem) -> ContentOutcome
}

public enum ContentOutcome {
  case representation(Representation)
  /// Not mine: ask the next handler.
  case declined
  /// The bytes needed are not in memory: read them in on a worker, then ask again. `UInt64` is the
  /// offset in the file, `Int` how many bytes.
  case cold(BlobFile, UInt64, Int)
  /// What the answer needs is elsewhere: await the closure, which runs on the loop's executor, then ask again.
  case awaiting(@Sendable () async -> Void)
  /// The answer needs other work; the closure runs on the loop's executor and may await.
  case suspended(@Sendable () async throws(Problem) -> Representation)
}

/// Changes the header fields of an answer while its head is rendered, once per representation.
public protocol HeaderFilter: Sendable {
  func filter(_ fields: inout HeaderFields, of answer: AnswerInfo)
}

/// Hears of every finished exchange of the site, after its last byte was handed to the kernel.
public protocol AccessLogger: Sendable {
  /// Whether it wants to hear of this exchange. Asked for every one, when its answer begins: what nobody wants is not recorded,
  /// which costs more than most answers.
  func wants(_ request: borrowing RequestHead) -> Bool
  func log(_ record: AccessRecord)
}

extension AccessLogger {
  public func wants(_ request: borrowing RequestHead) -> Bool { true }
}

/// Follows the catalog's event log with a durable cursor: at least once, in order, across crashes.
public protocol CatalogConsumer: Plugin {
  /// Handles a run of events of this plugin's site, oldest first. The cursor moves past them only
  /// when this returns; after an error the same events come again, later and later up to a minute.
  func consume(_ events: [Event]) async throws
}
