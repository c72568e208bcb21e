import Glibc
import Origin
import Testing

@Suite struct ConfigSecretTests {
  private static let schema = SiteConfiguration.schema(plugins: ConfigFixture.plugins)

  private func decode(_ text: String, in folder: ConfigFolder, environment: [String: String] = [:]) -> (
    table: ConfigTable, problems: [ConfigProblem]
  ) {
    Self.schema.decode(text: text, file: folder.path + "/site.toml", environment: environment)
  }

  @Test(arguments: [
    ("key", "key"), ("key\n", "key"), ("key\r\n", "key"), ("key\n\n", "key\n"), ("k\ney", "k\ney"),
    (" key ", " key "),
  ]) func lineEndIsDropped(_ content: String, _ secret: String) throws {
    let folder = try ConfigFolder()
    try folder.write("secrets/k1", content)
    let result = decode("signing.keys = [{ id = 'k1', secret_file = 'secrets/k1' }]", in: folder)
    #expect(result.problems.isEmpty)
    let keys = result.table.table("signing").tables("keys")
    #expect(keys.first?.secret("secret") == Secret(bytes: Array(secret.utf8)))
  }

  @Test func environmentIsTakenAsItIs() throws {
    let folder = try ConfigFolder()
    let result = decode(
      "signing.keys = [{ id = 'k1', secret_env = 'K' }]", in: folder, environment: ["K": "value\n"])
    #expect(result.problems.isEmpty)
    #expect(result.table.table("signing").tables("keys")[0].secret("secret")?.bytes == Array("value\n".utf8))
  }

  @Test func worldReadableFilesGiveAWarning() throws {
    let folder = try ConfigFolder()
    try folder.write("k1", "key", mode: 0o644)
    let result = decode("signing.keys = [{ id = 'k1', secret_file = 'k1' }]", in: folder)
    #expect(result.problems.map(\.code) == [.exposedSecret])
    #expect(result.problems.map(\.severity) == [.warning])
    #expect(
      result.problems.first?.description.contains(":1:44: warning: every user of this machine can read")
        == true)
    #expect(result.table.table("signing").tables("keys")[0].secret("secret") != nil)
  }

  @Test(arguments: ["missing", "empty", "newline", "folder", "pipe", "large", "k1/inner"])
  func unusableFilesAreErrors(_ name: String) throws {
    let folder = try ConfigFolder()
    try folder.write("k1", "key")
    try folder.write("empty", "")
    try folder.write("newline", "\n")
    try folder.write("folder/x", "")
    try folder.write("large", String(repeating: "x", count: 2 << 20))
    #expect(mkfifo(folder.path + "/pipe", 0o600) == 0)
    let result = decode("signing.keys = [{ id = 'k1', secret_file = '\(name)' }]", in: folder)
    #expect(result.problems.map(\.code) == [.secret])
    #expect(result.problems.first?.key == "signing.keys[0].secret_file")
  }

  @Test func nothingPrintsASecret() throws {
    let folder = try ConfigFolder()
    try folder.write("ops.token", "hunter2-file")
    let site = """
      api.tokens = [{ id = "ops", secret_file = "../ops.token" }]
      signing.keys = [{ id = "k1", secret_env = "K1" }]
      [plugins.relay]
      url = "redis://h"
      password_env = "K1"
      """
    try folder.write("etc/sites/demo.toml", site)
    // The path is relative to the site file.
    try folder.write("etc/ops.token", "hunter2-file")
    let config = try folder.write("etc/headwater.toml", "")
    let result = Configuration.load(
      path: config, plugins: ConfigFixture.plugins, environment: ["K1": "hunter2-env"])
    let configuration = try #require(result.configuration)
    #expect(configuration.sites[0].apiTokens[0].secret.bytes == Array("hunter2-file".utf8))
    #expect(configuration.sites[0].plugin("relay")?.secret("password")?.bytes == Array("hunter2-env".utf8))

    var dumped = ""
    dump(configuration, to: &dumped)
    let printed = [
      dumped, "\(configuration)", String(reflecting: configuration), "\(configuration.sites[0].plugins)",
    ]
    for text in printed {
      #expect(text.contains("<secret>"))
      #expect(!text.contains("hunter2"))
      #expect(!text.contains("104, 117, 110"))
    }
    let secret = configuration.sites[0].apiTokens[0].secret
    #expect(
      "\(secret) \(String(reflecting: secret)) \(String(describing: Optional(secret)))".contains("hunter")
        == false)
    #expect(Mirror(reflecting: secret).children.isEmpty)
  }

  @Test func equalityLooksAtEveryByte() {
    let secret = Secret(bytes: [1, 2, 3, 4])
    #expect(secret == Secret(bytes: [1, 2, 3, 4]))
    for other: [UInt8] in [
      [], [1], [1, 2, 3], [1, 2, 3, 5], [0, 2, 3, 4], [1, 2, 3, 4, 0], [1, 2, 3, 4, 1, 2, 3, 4],
    ] {
      #expect(secret != Secret(bytes: other))
      #expect(Secret(bytes: other) != secret)
      let isMatch = secret.matches(other.span.bytes)
      #expect(!isMatch)
    }
    #expect(Secret(bytes: []) == Secret(bytes: []))
  }
}
