import Glibc
import Testing

@testable import Origin

@Suite struct ConfigurationTests {
  private func load(_ folder: ConfigFolder, _ environment: [String: String] = [:]) -> ConfigurationResult {
    Configuration.load(
      path: folder.path + "/etc/headwater.toml", plugins: ConfigFixture.plugins, environment: environment)
  }

  /// Problems without the temporary folder's name.
  private func lines(_ problems: [ConfigProblem], _ folder: ConfigFolder) -> [String] {
    problems.map { problem in
      var text = problem.description
      while let range = text.firstRange(of: folder.path + "/") { text.removeSubrange(range) }
      return text
    }
  }

  // MARK: - Files

  @Test func aFileThatIsNamedMustExist() throws {
    let folder = try ConfigFolder()
    let result = load(folder)
    #expect(result.configuration == nil)
    #expect(
      lines(result.problems, folder) == [
        "etc/headwater.toml:1:1: the configuration cannot be read: No such file or directory"
      ])
    let path = folder.path + "/etc/headwater.toml"
    let named = Configuration.load(path: nil, plugins: [], environment: ["HEADWATER_CONFIG": path])
    #expect(named.errors.map(\.file) == [path])
  }

  @Test func withoutAFileTheDefaultsServe() throws {
    let folder = try ConfigFolder()
    var loader = ConfigurationLoader(plugins: ConfigFixture.plugins, environment: [:])
    let bare = loader.load(path: folder.path + "/etc/headwater.toml", mustExist: false)
    #expect(bare.problems.isEmpty)
    #expect(bare.configuration?.sites == [.defaults])
    #expect(bare.configuration?.sources == [])
    // An empty file is a sign that sites are wanted.
    try folder.write("etc/headwater.toml", "")
    let result = load(folder)
    let configuration = try #require(result.configuration)
    #expect(result.warnings.map(\.code) == [.noSites])
    #expect(bare.configuration?.server == configuration.server)
    var expected = ServerConfiguration.defaults
    expected.storage = folder.path + "/storage"
    #expect(configuration.server == expected)
    #expect(configuration.sites == [.defaults])
    #expect(configuration.sites[0].hosts == ["*"])
    #expect(configuration.server.listen == [ListenAddress(host: "0.0.0.0", port: 8080)])
    #expect(configuration.server.admin == ListenAddress(host: "127.0.0.1", port: 9090))
    #expect(configuration.server.limits.idleTimeoutMilliseconds == 190_000)
    #expect(configuration.server.store.indexMapSizeBytes == 64 << 30)
    #expect(configuration.sources == [folder.path + "/etc/headwater.toml"])
  }

  @Test func sitesAreReadInTheOrderOfTheirNames() throws {
    let folder = try ConfigFolder()
    try folder.write("etc/headwater.toml", "[server]\nsites = 'tenants/*.site.toml'")
    try folder.write("etc/tenants/b.site.toml", "hosts = ['B.Example.com']")
    try folder.write("etc/tenants/ignored.toml", "nonsense = 1")
    try folder.write("etc/tenants/.hidden.site.toml", "nonsense = 1")
    let result = load(folder)
    #expect(
      lines(result.problems, folder) == [
        "etc/tenants/b.site.toml:1:1: the file's name is the site's name, and \"b.site\" is not a name of 1 to 64 letters, digits, \"-\" and \"_\""
      ])

    try folder.write("etc/headwater.toml", "[server]\nsites = 'sites/*.toml'")
    try folder.write("etc/sites/b.toml", "hosts = ['B.Example.com', '[2001:DB8::0:1]']")
    try folder.write("etc/sites/a.toml", "")
    try folder.write("etc/sites/notes.txt", "")
    let configuration = try #require(load(folder).configuration)
    #expect(configuration.sites.map(\.name) == ["a", "b"])
    #expect(configuration.sites[1].hosts == ["b.example.com", "[2001:db8::1]"])
    #expect(configuration.sites[1].file == folder.path + "/etc/sites/b.toml")
    #expect(
      configuration.sources
        == ["headwater.toml", "sites/a.toml", "sites/b.toml"].map { folder.path + "/etc/" + $0 })
  }

  @Test func everyProblemOfEveryFileIsCollected() throws {
    let folder = try ConfigFolder()
    try folder.write("etc/headwater.toml", "[server]\nthreads = -1\n[limit]\nfields = 1\n")
    try folder.write("etc/sites/a.toml", "hosts = ['x', 'y']\n[packaging]\nsegmnt = '6s'\n")
    try folder.write("etc/sites/b.toml", "hosts = ['Y', 'z', 'X']\n")
    try folder.write("etc/sites/c.toml", "hosts = [\n")
    try folder.write("etc/sites/d.toml", "hosts = ['bad host', 'x']\n")
    let result = load(folder)
    #expect(result.configuration == nil)
    let found = lines(result.problems, folder)
    #expect(
      found.filter { !$0.hasPrefix("etc/sites/c.toml") } == [
        "etc/headwater.toml:2:11: \"threads\" must be from 0 to 1024, not -1",
        "etc/headwater.toml:3:2: unknown section [limit]; did you mean \"[limits]\"?",
        "etc/sites/a.toml:3:1: unknown key \"segmnt\" in [packaging]; did you mean \"segment\"?",
        "etc/sites/b.toml:1:10: host \"y\" already belongs to the site \"a\"",
        "etc/sites/b.toml:1:20: host \"x\" already belongs to the site \"a\"",
        "etc/sites/d.toml:1:10: \"bad host\" is not a host name; did you mean \"badhost\"?",
      ])
    #expect(found.contains { $0.hasPrefix("etc/sites/c.toml:") })
  }

  @Test func twoSitesWithoutHostsWantTheSame() throws {
    let folder = try ConfigFolder()
    try folder.write("etc/headwater.toml", "")
    try folder.write("etc/sites/a.toml", "")
    try folder.write("etc/sites/b.toml", "[packaging]\nsegment = '4s'")
    #expect(
      lines(load(folder).problems, folder) == [
        "etc/sites/b.toml:1:1: host \"*\" already belongs to the site \"a\""
      ])
  }

  @Test func whatCannotBeReadIsSaid() throws {
    let folder = try ConfigFolder()
    try folder.write("etc/headwater.toml", "")
    try folder.write("etc/sites", "not a folder")
    #expect(load(folder).warnings.map(\.code) == [.noSites])
    let inside = Configuration.load(path: folder.path, plugins: [], environment: [:])
    #expect(inside.errors.map(\.message) == ["the configuration cannot be read: it is not a regular file"])
    try folder.write("large.toml", String(repeating: "#\n", count: 600_000))
    let large = Configuration.load(path: folder.path + "/large.toml", plugins: [], environment: [:])
    #expect(large.errors.map(\.message) == ["the configuration cannot be read: it is larger than 1MiB"])
  }

  @Test(arguments: [
    ("a = \"\u{1}\"", 1, 6), ("[server]\nlisten = [\"a\",,]", 2, 15), ("a = 1\na = 2", 2, 5),
    ("a = \"\\u0000\"", 1, 6),
    ("é = \"\\U00000000\"", 1, 6),
  ]) func syntaxErrorsHaveTheirPlace(_ text: String, _ line: Int, _ column: Int) {
    let problems = ServerConfiguration.schema.decode(text: text, file: "x.toml").problems.filter {
      $0.code == .syntax
    }
    #expect(problems.count == 1)
    #expect(problems.first?.line == line)
    #expect(problems.first?.column == column)
  }

  @Test func bytesThatAreNotTextHaveTheirPlace() {
    let invalid = ConfigDocument.parse(bytes: Array("a = 1\né = \"".utf8) + [0xFF, 0x22], file: "x.toml")
    #expect(invalid.problems.map(\.description) == ["x.toml:2:6: the file is not UTF-8"])
    let zero = ConfigDocument.parse(bytes: Array("a = 1\né\0b".utf8), file: "x.toml")
    #expect(zero.problems.map(\.description) == ["x.toml:2:2: a NUL character cannot be used here"])
  }

  // MARK: - Paths

  @Test(arguments: [
    ("etc/headwater.toml", "/srv", ""), ("/srv/hw/etc/headwater.toml", "/", "/srv/hw"),
    ("/etc/headwater.toml", "/", "/"),
    ("headwater.toml", "/srv", ""), ("headwater.toml", "/srv/etc", ".."),
    ("./headwater.toml", "/srv/etc", "./.."),
    ("/etc/headwater/main.toml", "/", "/etc/headwater"), ("conf/hw.toml", "/srv", "conf"),
    ("a/etc/hw.toml", "/srv", "a"),
    ("../etc/hw.toml", "/srv/x", "../etc/.."), ("etc/../hw.toml", "/srv", "etc/.."),
  ]) func relativePathsStartBesideEtc(_ path: String, _ workingFolder: String, _ base: String) {
    #expect(ConfigPathText.base(ofConfiguration: path, workingFolder: workingFolder) == base)
  }

  @Test func storageAndLogsFollowTheBase() throws {
    let folder = try ConfigFolder()
    let path = try folder.write(
      "conf/hw.toml", "server.storage = 'data'\nlog.access_path = 'access.log'\nserver.admin = ''")
    let server = try #require(
      Configuration.load(path: path, plugins: [], environment: [:]).configuration?.server)
    #expect(server.storage == folder.path + "/conf/data")
    #expect(server.log.accessPath == folder.path + "/conf/access.log")
    #expect(server.admin == nil)
    try folder.write("conf/hw.toml", "server.storage = '/var/lib/hw'")
    #expect(
      Configuration.load(path: path, plugins: [], environment: [:]).configuration?.server.storage
        == "/var/lib/hw")
  }

  @Test(arguments: [
    ("*.toml", "a.toml", true), ("*.toml", ".toml", true), ("*.toml", "a.tom", false), ("*", "", true),
    ("a*c*e", "abcde", true),
    ("a*c*e", "abcd", false), ("**a", "bba", true), ("", "", true), ("", "a", false), ("*a*b", "aabab", true),
  ]) func patterns(_ pattern: String, _ name: String, _ fits: Bool) {
    #expect(ConfigPathText.matches(name, pattern: pattern) == fits)
  }

  // MARK: - Plugins

  @Test func pluginsKeepTheirOrderAndTheirValues() throws {
    let folder = try ConfigFolder()
    try folder.write("etc/headwater.toml", "")
    try folder.write(
      "etc/sites/demo.toml",
      """
      [plugins.relay]
      url = "redis://h"
      buffer = "4MiB"
      pace.interval = "250ms"
      [plugins.headers]
      rules = [{ class = "segment", set = { "X-Example" = "1" } }, { class = "file", remove = ["Server"] }]
      """)
    let site = try #require(load(folder).configuration?.sites.first)
    #expect(site.plugins.map(\.name) == ["headers", "relay"])
    let relay = try #require(site.plugin("relay"))
    #expect(relay.string("url") == "redis://h")
    #expect(relay.sizeBytes("buffer") == 4 << 20)
    #expect(relay.integer("retries") == 3)
    #expect(relay.secret("password") == nil)
    #expect(relay.table("pace").durationMilliseconds("interval") == 250)
    #expect(relay.table("pace").bool("jitter"))
    let rules = try #require(site.plugin("headers")).tables("rules")
    #expect(rules.map { $0.string("class") } == ["segment", "file"])
    #expect(rules[0].stringTable("set") == ["X-Example": "1"])
    #expect(rules[1].strings("remove") == ["Server"])
    #expect(
      "\(rules[0])" == #"{class = "segment", remove = [], set = {"X-Example" = "1"}}"#)
  }

  @Test func aPluginThatIsOffMayBeIncomplete() throws {
    let folder = try ConfigFolder()
    try folder.write("etc/headwater.toml", "")
    try folder.write("etc/sites/demo.toml", "[plugins.relay]\nenabled = false\npassword_file = 'gone'")
    let site = try #require(load(folder).configuration?.sites.first)
    #expect(site.plugin("relay") == nil)
    #expect(site.plugins.isEmpty)
    try folder.write("etc/sites/demo.toml", "[plugins.relay]\nenabled = false\nretires = 5")
    #expect(load(folder).errors.map(\.suggestion) == ["retries"])
    try folder.write("etc/sites/demo.toml", "[plugins.relay]\nenabled = true")
    #expect(load(folder).errors.map(\.code) == [.missingKey])
  }

  @Test func reloadSeesEveryDifference() throws {
    let folder = try ConfigFolder()
    try folder.write("etc/headwater.toml", "")
    try folder.write("etc/sites/demo.toml", "signing.keys = [{ id = 'k', secret_file = 'k' }]")
    try folder.write("etc/sites/k", "one")
    let first = try #require(load(folder).configuration)
    #expect(load(folder).configuration == first)
    try folder.write("etc/sites/k", "two")
    #expect(load(folder).configuration != first)
  }
}
