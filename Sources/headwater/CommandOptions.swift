import ArgumentParser
import Foundation
import Logging
import Origin
import Store

/// What every command takes.
struct CommandOptions: ParsableArguments {
  @Option(
    name: .long,
    help: "The server's configuration file. Default: $HEADWATER_CONFIG, or etc/headwater.toml.")
  var config: String?

  /// The configuration, or an exit with every problem on standard error.
  func load() throws -> Configuration {
    let result = Configuration.load(
      path: config, plugins: builtinPlugins.declarations, environment: ProcessInfo.processInfo.environment)
    for problem in result.problems { Terminal.error("\(problem)") }
    guard let configuration = result.configuration else { throw ExitCode.failure }
    return configuration
  }

  /// The store the configuration names, open.
  ///
  /// - Parameters:
  ///   - path: of another storage folder than the configuration names.
  ///   - checksWholeIndex: however large it is; for what runs long or is there to find damage.
  func openStore(
    _ configuration: Configuration, path: String? = nil, checksWholeIndex: Bool = false
  ) throws -> Store {
    var storeOptions = StoreOptions(configuration.server.store)
    if checksWholeIndex { storeOptions.indexCheckLimitBytes = .max }
    do throws(StoreError) {
      return try Store(path: path ?? configuration.server.storage, options: storeOptions)
    } catch {
      Terminal.error("\(error)")
      throw ExitCode.failure
    }
  }
}

extension CommandOptions {
  /// The job queue that the configuration names; the store is opened only where the queue is in it.
  func openQueue(_ configuration: Configuration, _ store: Store? = nil) throws -> JobQueueAccess {
    try JobQueueAccess(configuration.server.jobs) { try store ?? openStore(configuration) }
  }
}

/// Picks the site a command works on.
struct SiteOption: ParsableArguments {
  @Option(name: .long, help: "The site, by the name of its file. May be left out where there is one site.")
  var site: String?

  func pick(_ configuration: Configuration) throws -> SiteConfiguration {
    if let site {
      guard let found = configuration.sites.first(where: { $0.name == site }) else {
        let names = configuration.sites.map(\.name).joined(separator: ", ")
        throw ValidationError("there is no site \"\(site)\"; the configuration has: \(names)")
      }
      return found
    }
    guard configuration.sites.count == 1, let only = configuration.sites.first else {
      let names = configuration.sites.map(\.name).joined(separator: ", ")
      throw ValidationError("there are several sites, so say --site NAME; the configuration has: \(names)")
    }
    return only
  }
}

extension StoreOptions {
  init(_ settings: ServerConfiguration.Store) {
    self.init(
      graceSeconds: settings.generationGraceMilliseconds / 1000,
      indexMapSizeBytes: settings.indexMapSizeBytes,
      verifiesReads: settings.verifiesReads)
  }
}
