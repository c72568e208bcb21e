import Testing

@testable import Origin

/// The shipped files, the reference and the declarations say the same.
@Suite struct ConfigReferenceTests {
  static let plugins = [ConfigFixture.headers]

  @Test func theCommittedReferenceIsDerived() throws {
    let path = ConfigFixture.packageFolder + "/docs/CONFIG.md"
    let derived = ConfigReference.markdown()
    if ConfigFixture.rewrites { try ConfigFixture.write(derived, to: path) }
    #expect(
      String(decoding: try ConfigFixture.read(path), as: UTF8.self) == derived,
      "run HEADWATER_REWRITE=1 swift test --filter ConfigReference and read the difference")
  }

  @Test func theReferenceNamesEveryKey() {
    let text = ConfigReference.markdown(plugins: ConfigFixture.plugins)
    for (path, key) in Self.keys(of: ServerConfiguration.schema) + Self.keys(of: Self.site) {
      for name in key.writtenNames { #expect(text.contains("`\(name)`"), "\(path.text)") }
      #expect(key.documentation.hasSuffix("."), "\(path.text): \(key.documentation)")
    }
    #expect(text.contains("### `[plugins.headers]`"))
    #expect(text.contains("### `[plugins.relay.pace]`"))
    #expect(text.hasSuffix("|\n"))
  }

  @Test func theShippedFilesLoadWithoutAProblem() throws {
    let path = ConfigFixture.packageFolder + "/etc/headwater.toml"
    let result = Configuration.load(path: path, plugins: Self.plugins, environment: [:])
    #expect(result.problems.isEmpty)
    let configuration = try #require(result.configuration)
    #expect(configuration.sites.map(\.name).contains("demo"))
  }

  /// What the shipped files show as the default is the default.
  @Test func theShippedFilesShowTheDefaults() throws {
    let folder = ConfigFixture.packageFolder + "/etc/"
    let server = try ConfigFixture.read(folder + "headwater.toml")
    let serverResult = ServerConfiguration.schema.decode(text: String(decoding: server, as: UTF8.self))
    #expect(serverResult.table == ServerConfiguration.schema.defaults)
    let site = try ConfigFixture.read(folder + "sites/demo.toml")
    let siteResult = Self.shippedSite.decode(text: String(decoding: site, as: UTF8.self))
    #expect(siteResult.table == Self.shippedSite.defaults)
  }

  @Test func theShippedFilesShowEveryKey() throws {
    for (file, schema) in [
      ("headwater.toml", ServerConfiguration.schema), ("sites/demo.toml", Self.shippedSite),
    ] {
      let text = String(
        decoding: try ConfigFixture.read(ConfigFixture.packageFolder + "/etc/" + file), as: UTF8.self)
      let shown = Self.shownKeys(of: text)
      for (path, key) in Self.keys(of: schema) {
        // What a plugin's lists hold is for the plugin to show.
        if path.first == "plugins", path.count > 3 { continue }
        for name in key.writtenNames {
          // Keys of tables in lists stand inside braces on the line of their list or below it.
          let isInList = path.contains { if case .index = $0 { true } else { false } }
          let section = path.dropLast().prefix { if case .key = $0 { true } else { false } }
          let wanted = ConfigPath(section + [.key(name)]).text
          #expect(isInList ? text.contains("\(name) =") : shown.contains(wanted), "\(file): \(path.text)")
        }
      }
    }
  }

  @Test func pluginsAreListedWithTheirSites() throws {
    var on = SiteConfiguration.defaults
    on.name = "on"
    on.plugins = [.init(name: "relay", settings: ConfigFixture.relay.settings.defaults)]
    let reports = ConfigReference.plugins(ConfigFixture.plugins, sites: [.defaults, on])
    #expect(reports.map(\.name) == ["headers", "relay"])
    #expect(reports.map(\.sites) == [[], ["on"]])
    #expect(
      reports[1].settings.map(\.key) == [
        "enabled", "url", "password_file|password_env", "buffer", "retries", "pace.interval", "pace.jitter",
      ])
    #expect(reports[1].settings[3].default == "\"1MiB\"")
    #expect(
      reports[1].description.contains(
        "  buffer: a size, 1KiB to 1GiB (default \"1MiB\"). Held back at most.\n"))
    #expect(reports[0].description.contains("on for: no site\n"))
  }

  // MARK: - Declarations

  /// Every example is valid, differs from the default, and reaches the configuration: a key that is declared
  /// and then forgotten would be caught here.
  @Test func everyKeyHasAnEffect() throws {
    let environment = ["K": "secret"]
    for (path, key) in Self.keys(of: ServerConfiguration.schema) where path.first != "tls" {
      // Secrets stand in files: `JobsConfigurationTests`.
      if case .secret = key.kind { continue }
      let result = ServerConfiguration.schema.decode(text: "\(path.text) = \(key.example)")
      #expect(result.problems.isEmpty, "\(path.text) = \(key.example)")
      #expect(ServerConfiguration(result.table, base: "") != ServerConfiguration.defaults, "\(path.text)")
    }
    let folder = try ConfigFolder()
    for name in ["ops.token", "k1.key", "secret.key", "cdn.secret", "secure-link.key", "akamai.key"] {
      try folder.write("secrets/\(name)", "secret")
    }
    for (path, key) in Self.keys(of: Self.site) where path.count <= 2 {
      // It needs keys, which a case of its own holds.
      if path.text == "signing.required" { continue }
      // Certificates and keys need each other: the TLS tests of EndToEnd.
      if path.first == "tls" { continue }
      // These need each other: `EncryptionConfigurationTests`.
      if ["encryption.method", "encryption.key", "encryption.key_token"].contains(path.text) { continue }
      func site(_ text: String) -> SiteConfiguration {
        let result = Self.site.decode(
          text: text, file: folder.path + "/site.toml", environment: environment)
        #expect(result.problems.isEmpty, "\(text)")
        return SiteConfiguration(result.table, name: "default", file: nil, plugins: ConfigFixture.plugins)
      }
      // These say how a key service is asked, and nothing without one.
      let asksHow = ["encryption.key_timeout", "encryption.key_allow_private", "encryption.key_ca_file"]
      let base = asksHow.contains(path.text) ? "encryption.key_url = \"https://k.example/{id}\"\n" : ""
      #expect(site("\(base)\(path.text) = \(key.example)") != site(base), "\(path.text)")
    }
  }

  /// A default that its own check refuses could never be written down.
  @Test func everyDefaultCanBeWritten() throws {
    for (schema, name) in [(ServerConfiguration.schema, "server"), (Self.site, "site")] {
      for (path, key) in Self.keys(of: schema) where path.count <= 2 {
        // The default of an optional secret is that there is none.
        if case .secret = key.kind, !key.isRequired { continue }
        if case .file = key.kind { continue }
        let text = try #require(key.defaultText, "\(path.text)")
        let result = schema.decode(text: "\(path.text) = \(text)")
        #expect(result.problems.isEmpty, "\(name): \(path.text)")
        #expect(result.table == schema.defaults, "\(name): \(path.text)")
      }
    }
  }

  private static let site = SiteConfiguration.schema(plugins: ConfigFixture.plugins)
  private static let shippedSite = SiteConfiguration.schema(plugins: plugins)

  /// All keys below a section with their paths; those of tables in lists under number 0.
  private static func keys(of section: ConfigSection, at path: ConfigPath = []) -> [(ConfigPath, ConfigKey)] {
    var all: [(ConfigPath, ConfigKey)] = []
    for key in section.keys {
      let keyPath = path + [.key(key.name)]
      all.append((keyPath, key))
      if case .tables(let entry, _) = key.kind { all += keys(of: entry, at: keyPath + [.index(0)]) }
    }
    for inner in section.sections { all += keys(of: inner, at: path + [.key(inner.name)]) }
    return all
  }

  /// The keys of a commented file by section, commented-out ones too.
  private static func shownKeys(of text: String) -> Set<String> {
    var section = ""
    var shown: Set<String> = []
    for line in text.split(separator: "\n") {
      let bare = line.drop { $0 == "#" || $0 == " " }
      if bare.hasPrefix("["), bare.hasSuffix("]") {
        section = String(bare.dropFirst().dropLast()) + "."
      } else if let equals = bare.firstRange(of: " =") {
        shown.insert(section + bare[..<equals.lowerBound])
      }
    }
    return shown
  }
}
