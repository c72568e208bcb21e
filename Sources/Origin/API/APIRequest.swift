public import HTTP
public import Logging
public import Loop
public import Store

/// A call of the API as its handler gets it: a value, free of the connection that it came on.
public struct APIRequest: Sendable {
  /// The body that was sent.
  public enum Body: Sendable {
    case none
    case bytes([UInt8])
    case stream(any APIBodyStream, lengthBytes: UInt64)
  }

  public let site: Site
  public let store: Store
  public let workers: WorkerPool
  public let jobs: any JobQueue
  public let logger: Logger
  public let method: Method
  /// The parameters of the route's path.
  public let parameters: [String: String]
  /// The query, undecoded.
  let query: [UInt8]
  public let conditions: EntityTagConditions
  /// In lower case, without parameters.
  public let mediaType: String?
  /// The header fields, names in lower case.
  public let fields: [(name: String, value: [UInt8])]
  public let client: SocketAddress?
  /// The name of the token that was shown.
  public let tokenID: String?
  public internal(set) var body = Body.none

  /// The value of the first field of that name, which is given in lower case.
  public func field(_ name: String) -> [UInt8]? { fields.first { $0.name == name }?.value }

  /// The body as text; empty where there is none.
  public var text: [UInt8] {
    if case .bytes(let bytes) = body { return bytes }
    return []
  }

  /// The parameters of the query, decoded.
  ///
  /// - Parameter names: those that the call knows.
  /// - Throws: `invalid-parameter` for others, for those that are there twice, and for what is no text.
  public func queryParameters(_ names: [String]) throws(Problem) -> [String: String] {
    var values: [String: String] = [:]
    for parameter in QueryParameters(query).parameters where !parameter.name.isEmpty {
      guard let name = Self.decoded(parameter.name), names.contains(name) else {
        let known = names.isEmpty ? "this call has none" : "known are: \(names.joined(separator: ", "))"
        throw .invalidParameter("A parameter of the query is unknown; \(known).")
      }
      guard values[name] == nil else { throw .invalidParameter("\"\(name)\" is there twice.") }
      guard let text = Self.decoded(parameter.value ?? []) else {
        throw .invalidParameter("\"\(name)\" is no text: an escape or its UTF-8 is malformed.")
      }
      values[name] = text
    }
    return values
  }

  private static func decoded(_ text: ArraySlice<UInt8>) -> String? {
    // As forms write it.
    let spaced = text.map { $0 == UInt8(ascii: "+") ? 0x20 : $0 }
    return PercentText.decoded(spaced).flatMap { String(validating: $0, as: UTF8.self) }
  }

  /// Runs what blocks on a worker.
  ///
  /// - Throws: what `work` throws; 503 where too much waits for workers.
  public nonisolated(nonsending) func onWorker<Value: Sendable>(
    _ work: @escaping @Sendable (Store) throws(Problem) -> Value
  ) async throws(Problem) -> Value {
    let store = store
    do {
      return try await workers.run { try work(store) }
    } catch let problem as Problem {
      throw problem
    } catch {
      throw .overloaded
    }
  }

  /// What becomes of a change of a resource that exists, by its If-Match and If-None-Match. A change needs one of them.
  ///
  /// - Throws: 428 without a condition, 412 where it does not hold.
  func checkChange(of asset: AssetRecord) throws(Problem) {
    guard conditions.ifMatch != nil else { throw .preconditionRequired }
    let etag = VideoResource.etag(of: asset)
    // What the site's metadata add to the tag is not what a change is made from.
    let named = EntityTagConditions(
      ifMatch: conditions.ifMatch.map(VideoResource.withoutMetadata), ifNoneMatch: conditions.ifNoneMatch)
    if named.verdict(etag: etag.span, isRead: false) == .preconditionFailed {
      throw .changedMeanwhile(etag: etag)
    }
  }

  /// Tells the operator who changed what.
  public func logChange(_ what: String, _ subject: String, _ members: [String]) {
    var metadata: Logger.Metadata = [
      "site": "\(site.name)", "token": "\(tokenID ?? "-")", "subject": "\(subject)",
      "client": "\(client.map { "\($0)" } ?? "-")",
    ]
    if !members.isEmpty { metadata["members"] = "\(members.joined(separator: ","))" }
    logger.notice("api: \(what)", metadata: metadata)
  }
}
