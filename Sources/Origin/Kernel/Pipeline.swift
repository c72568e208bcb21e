import HTTP

/// Where plugins and the built-in handlers take their places; flattened into a `Pipeline` when the
/// configuration is loaded.
public struct PipelineBuilder {
  var access: [any AccessHandler] = []
  var parameters: [any ParameterHandler] = []
  var locate: [any LocateHandler] = []
  var content: [any ContentHandler] = []
  var headerFilters: [any HeaderFilter] = []
  var imageSets: [any ImageSetProvider] = []
  var metadata: (any MetadataProvider)?
  var logs: [any AccessLogger] = []

  public init() {}

  public mutating func add(_ handler: any AccessHandler) { access.append(handler) }
  public mutating func add(_ handler: any ParameterHandler) { parameters.append(handler) }
  public mutating func add(_ provider: any ImageSetProvider) { imageSets.append(provider) }
  public mutating func add(_ provider: any MetadataProvider) { metadata = metadata ?? provider }
  public mutating func add(_ handler: any LocateHandler) { locate.append(handler) }
  public mutating func add(_ handler: any ContentHandler) { content.append(handler) }
  public mutating func add(_ handler: any HeaderFilter) { headerFilters.append(handler) }
  public mutating func add(_ handler: any AccessLogger) { logs.append(handler) }
}

/// The handlers of one site, phase by phase, in the order in which they run.
///
/// Plugins come in registry order and before the built-in handlers, so that a plugin may answer a path
/// (a poster, a key) that the built-in ones would refuse.
public struct Pipeline: Sendable {
  public let access: [any AccessHandler]
  public let parameters: [any ParameterHandler]
  public let locate: [any LocateHandler]
  public let content: [any ContentHandler]
  public let headerFilters: [any HeaderFilter]
  public let imageSets: [any ImageSetProvider]
  /// What is known of videos beside the catalog; nil where nothing is.
  public let metadata: (any MetadataProvider)?
  public let logs: [any AccessLogger]

  /// For a site without settings of its own.
  public init(plugins: [any Plugin]) {
    self.init(.defaults, plugins: plugins)
  }

  init(_ configuration: SiteConfiguration, plugins: [any Plugin]) {
    var builder = PipelineBuilder()
    if let signed = SignedAccess(configuration.signing) { builder.add(signed) }
    for plugin in plugins { plugin.join(&builder) }
    builder.add(BlobAccess())
    builder.add(PathLocator())
    builder.add(AssetContent())
    builder.add(VideoContent())
    builder.add(FileContent())
    builder.add(BlobContent())
    access = builder.access
    parameters = builder.parameters
    locate = builder.locate
    content = builder.content
    headerFilters = builder.headerFilters
    imageSets = builder.imageSets
    metadata = builder.metadata
    logs = builder.logs
  }

  /// Whether a log handler wants a record of an exchange.
  func wantsRecord(of request: borrowing RequestHead) -> Bool {
    for handler in logs where handler.wants(request) { return true }
    return false
  }

  /// Writes the name of the answer to a request: its path, and the parameters that choose between answers under it.
  ///
  /// - Parameter name: whose storage is used again.
  /// - Returns: false, with `name` left empty, where that is the path alone.
  func writeName(of request: borrowing RequestHead, to name: inout [UInt8]) -> Bool {
    name.removeAll(keepingCapacity: true)
    guard !parameters.isEmpty, let query = request.query else { return false }
    let path = request.path
    for index in path.indices { name.append(path[index]) }
    name.append(UInt8(ascii: "?"))
    for handler in parameters where handler.writeParameters(in: query, of: path, to: &name) { return true }
    name.removeAll(keepingCapacity: true)
    return false
  }
}
