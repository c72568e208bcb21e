/// Everything the server runs by: the server's own file and the file of each site.
public struct Configuration: Sendable, Equatable {
  public var server: ServerConfiguration
  /// In the order of their names; never empty.
  public var sites: [SiteConfiguration]
  /// The files that were read, the server's first.
  public var sources: [String]

  /// Where the server's file is looked for when nothing else is said.
  public static let defaultPath = "etc/headwater.toml"
  /// The environment variable that names another file.
  public static let pathVariable = "HEADWATER_CONFIG"

  /// Reads and validates the server's file and all site files.
  ///
  /// Every problem of every file is collected, not only the first. May block on the file system; it is called
  /// at start, at reload and by `headwater check`, never on an event loop.
  ///
  /// - Parameters:
  ///   - path: the server's file; it must exist. `nil`: the file that `$HEADWATER_CONFIG` names, which must
  ///     exist too, or else `etc/headwater.toml`, without which the defaults serve.
  ///   - plugins: what is compiled in, in its order.
  ///   - environment: the process's variables, for `$HEADWATER_CONFIG` and for secrets.
  public static func load(
    path: String?, plugins: [PluginDeclaration], environment: [String: String]
  ) -> ConfigurationResult {
    var loader = ConfigurationLoader(plugins: plugins, environment: environment)
    let named = path ?? environment[pathVariable].flatMap { $0.isEmpty ? nil : $0 }
    return loader.load(path: named ?? defaultPath, mustExist: named != nil)
  }
}

/// What loading a configuration gave.
public struct ConfigurationResult: Sendable {
  /// `nil` if there is any error.
  public let configuration: Configuration?
  /// By file in reading order, then by line and column.
  public let problems: [ConfigProblem]

  public var errors: [ConfigProblem] { problems.filter { $0.severity == .error } }
  public var warnings: [ConfigProblem] { problems.filter { $0.severity == .warning } }
}

/// One run over all files.
struct ConfigurationLoader {
  let plugins: [PluginDeclaration]
  let environment: [String: String]
  private var problems: [ConfigProblem] = []
  private var sources: [String] = []
  /// Which site has which host, to find hosts that two sites want.
  private var owners: [String: String] = [:]

  init(plugins: [PluginDeclaration], environment: [String: String]) {
    self.plugins = plugins
    self.environment = environment
  }

  /// - Parameter mustExist: whether the lack of the server's file is an error.
  mutating func load(path: String, mustExist: Bool) -> ConfigurationResult {
    let base = ConfigPathText.base(ofConfiguration: path, workingFolder: ConfigFile.workingFolder())
    var table = ServerConfiguration.schema.defaults
    var hasFile = false
    var locator: ConfigLocator?
    do throws(ConfigFile.Failure) {
      let content = try ConfigFile.read(path)
      hasFile = true
      (table, locator) = decode(content.bytes, path, ServerConfiguration.schema)
    } catch {
      if mustExist || !error.isMissing {
        problems.append(unreadable(path, "the configuration cannot be read: \(error.reason)"))
      }
    }
    let server = ServerConfiguration(table, base: base)
    let sites = loadSites(server.sites, besides: path, isExpected: hasFile)
    if server.listen.contains(where: \.isTLS), server.tls.isEmpty,
      sites.allSatisfy(\.tls.certificates.isEmpty),
      problems.allSatisfy({ $0.severity == .warning })
    {
      let place = locator?.position(ofValue: ["server", "listen"])
      problems.append(
        ConfigProblem(
          file: path, line: place?.line ?? 1, column: place?.column ?? 1, key: "server.listen",
          code: .missingKey,
          message: "an address with \" tls\" needs a certificate: [tls] here or in a site file"))
    }
    guard problems.allSatisfy({ $0.severity == .warning }) else {
      return ConfigurationResult(configuration: nil, problems: problems)
    }
    return ConfigurationResult(
      configuration: Configuration(server: server, sites: sites, sources: sources), problems: problems)
  }

  private mutating func loadSites(
    _ pattern: String, besides path: String, isExpected: Bool
  ) -> [SiteConfiguration] {
    let whole = ConfigPathText.join(ConfigPathText.folder(of: path), pattern)
    let folder = ConfigPathText.folder(of: whole)
    var names: [String] = []
    do throws(ConfigFile.Failure) {
      names = try ConfigFile.names(in: folder, matching: ConfigPathText.name(of: whole))
    } catch  where error.isMissing {
      // No folder and an empty folder mean the same: no site files.
    } catch {
      problems.append(unreadable(folder, "the site files cannot be listed: \(error.reason)"))
    }
    if names.isEmpty, isExpected {
      problems.append(
        ConfigProblem(
          severity: .warning, file: path, key: "server.sites", code: .noSites,
          message: "no file matches \(TOMLText.quoted(whole)): one site called \"default\" serves every host")
      )
    }
    let sites = names.compactMap { loadSite(ConfigPathText.join(folder, $0)) }
    return names.isEmpty ? [.defaults] : sites
  }

  private mutating func loadSite(_ path: String) -> SiteConfiguration? {
    var name = ConfigPathText.name(of: path)
    if name.hasSuffix(".toml") { name.removeLast(5) }
    guard case .accepted = ConfigText.identifier.check(name) else {
      problems.append(
        ConfigProblem(
          file: path, code: .invalidValue,
          message: "the file's name is the site's name, and \(TOMLText.quoted(name)) is not "
            + ConfigText.identifier.summary))
      return nil
    }
    do throws(ConfigFile.Failure) {
      let content = try ConfigFile.read(path)
      let problemsBefore = problems.count
      let (table, locator) = decode(content.bytes, path, SiteConfiguration.schema(plugins: plugins))
      let site = SiteConfiguration(table, name: name, file: path, plugins: plugins)
      // Positions in the list are those of the file only while every entry is good.
      if !problems[problemsBefore...].contains(where: { $0.key.hasPrefix("hosts") }) {
        claimHosts(of: site, path, locator)
      }
      return site
    } catch {
      problems.append(unreadable(path, "the site file cannot be read: \(error.reason)"))
      return nil
    }
  }

  private mutating func claimHosts(of site: SiteConfiguration, _ path: String, _ locator: ConfigLocator?) {
    // A file that could not be parsed has the default hosts only because there are no others.
    guard let locator else { return }
    for (number, host) in site.hosts.enumerated() {
      guard let owner = owners[host] else {
        owners[host] = site.name
        continue
      }
      guard owner != site.name else { continue }
      let place = locator.position(ofValue: ["hosts", .index(number)])
      problems.append(
        ConfigProblem(
          file: path, line: place.line, column: place.column, key: "hosts[\(number)]", code: .duplicate,
          message: "host \(TOMLText.quoted(host)) already belongs to the site \(TOMLText.quoted(owner))"))
    }
  }

  /// The locator is `nil` when the text is not TOML.
  private mutating func decode(
    _ bytes: [UInt8], _ path: String, _ schema: ConfigSection
  ) -> (table: ConfigTable, locator: ConfigLocator?) {
    sources.append(path)
    let (document, syntaxProblems) = ConfigDocument.parse(bytes: bytes, file: path)
    var decoder = ConfigDecoder(
      document: document, secrets: SecretSource(folder: ConfigPathText.folder(of: path), environment))
    let table = decoder.decodeRoot(schema)
    // Nothing can be missing from a file that could not be parsed.
    guard syntaxProblems.isEmpty else {
      problems += syntaxProblems
      return (table, nil)
    }
    problems += decoder.sortedProblems
    return (table, document.locator)
  }

  private func unreadable(_ path: String, _ message: String) -> ConfigProblem {
    ConfigProblem(file: path, code: .unreadable, message: message)
  }
}
