// How a plugin lives
//
//   declare    `declaration`: a name, a sentence, the settings it takes. No side effects, so that
//              `headwater check` and `headwater plugins` can ask without starting anything.
//   decode     `init(site:settings:)`: turn checked settings into the plugin's own typed value, or say
//              what about them makes no sense. One instance per site that enables the plugin.
//   provision  `provision(_:)`: open what it needs. May fail; `shutDown()` is called all the same.
//   join       `join(_:)`: take places in the phases. Called once, when the site's pipeline is built.
//   serve      requests pass the handlers it joined; `run()` works in the background until cancelled;
//              catalog events reach a `CatalogConsumer`.
//   shut down  `shutDown()`: let go of everything, also after a half-done start. Called exactly once.
//
// A rolling restart has a plugin in two processes for a while, as a second node would: the new one is provisioned and runs
// before the old one shuts down, and `run()` goes on in both until the old process has answered its last request. Events
// are brought to one of them but for the moment of the change, in which a run of events may come to both.
//
// A plugin that a site does not enable is never constructed: it costs nothing, not even a branch.

/// A feature that is compiled in and switched on per site.
///
/// Instances are made per site and configuration: a reload makes new ones and shuts the old ones down
/// once no request can reach them. Everything but `run()`, `consume` and `shutDown()` is synchronous.
public protocol Plugin: AnyObject, Sendable {
  /// Name, purpose and settings. Must be free of side effects and always the same value.
  static var declaration: PluginDeclaration { get }

  /// Makes an instance for one site from settings that already passed `declaration.settings`.
  ///
  /// - Throws: `PluginError` when the values make no sense together; the configuration is then refused
  ///   as a whole and the one in force stays.
  init(site: String, settings: ConfigTable) throws(PluginError)

  /// Acquires what serving needs. Not called by `headwater check`.
  func provision(_ host: PluginHost) throws(PluginError)

  /// Takes places in the phases of the site's pipeline.
  func join(_ pipeline: inout PipelineBuilder)

  /// Background work. Returns when done, or soon after its task is cancelled.
  func run() async

  /// Releases everything. Works after a failed `provision`, and is called exactly once.
  func shutDown() async
}

extension Plugin {
  public func provision(_ host: PluginHost) throws(PluginError) {}
  public func run() async {}
  public func shutDown() async {}
}

/// Why a plugin can't start.
public struct PluginError: Error, Sendable, Equatable, CustomStringConvertible {
  /// The plugin's setting at fault, where there is one.
  public var key: String?
  /// One sentence that says what to change.
  public var message: String

  public init(key: String? = nil, _ message: String) {
    self.key = key
    self.message = message
  }

  public var description: String { key.map { "\($0): \(message)" } ?? message }
}

/// The list of what is compiled in, in the order in which plugins join the phases.
public struct PluginRegistry: Sendable {
  public let plugins: [any Plugin.Type]

  /// - Precondition: names are unique; two plugins of one name are a mistake in the program's own list.
  public init(_ plugins: [any Plugin.Type]) {
    let names = plugins.map { $0.declaration.name }
    precondition(Set(names).count == names.count, "two compiled-in plugins share a name: \(names)")
    self.plugins = plugins
  }

  public var declarations: [PluginDeclaration] { plugins.map { $0.declaration } }

  /// The plugin of that name, or nil where it is not compiled in.
  public func plugin(named name: String) -> (any Plugin.Type)? {
    plugins.first { $0.declaration.name == name }
  }
}
