import Testing

@testable import Origin

/// Valid files with random damage: whatever comes out, it comes out as problems, never as a crash.
@Suite struct ConfigMutationTests {
  static let tricky = """
    hosts = ["a.example.com", 'b', \"\"\"
    c\"\"\", '''d''']
    packaging.segment = "4s"
    [ api ]
    tokens = [{ id = "ops", secret_env = "T1" }, { id = "\\u0063i", "secret_env" = 'T2' },]
    [[signing.keys]]
    id = "k1" # one
    secret_env = "T1"
    [[signing.keys]]
    id = "k2"
    secret_env = "T2"
    [cache] # [tags]
    stale_if_error = "1h30m"
    [plugins.headers]
    rules = [{ class = "segment", set = { "X-A" = "1", x-b = '2' } },
      # comment ]
      { class = "file", remove = ["Server"] }]
    [plugins."relay"]
    url = "redis://h"
    pace.interval = "1s"
    pace . "jitter" = false
    """

  private static let environment = ["T1": "secret-one", "T2": "secret-two"]
  private static let pieces = [
    "[", "]", "[[", "{", "}", "\"", "'", "\"\"\"", "'''", "=", ".", ",", "#", "\n", "\\", "\\u0000", "\0",
    "-1", "1e9", "true",
    "é", "\u{FEFF}", "[plugins.x]", "a.b.c = 1", "9999999999999999999", "1979-05-27", "\"6\"", "\r",
  ]

  @Test func theUndamagedFileIsSound() {
    let schema = SiteConfiguration.schema(plugins: ConfigFixture.plugins)
    #expect(schema.decode(text: Self.tricky, environment: Self.environment).problems.isEmpty)
  }

  @Test(arguments: [0x5EED_0010, 0x5EED_0011, 0x5EED_0012] as [UInt64])
  func damagedTextIsRefusedOrRead(_ seed: UInt64) throws {
    var random = ConfigRandom(seed: seed)
    let site = SiteConfiguration.schema(plugins: ConfigFixture.plugins)
    let server = ServerConfiguration.schema
    let serverText = try ConfigFixture.read(ConfigFixture.packageFolder + "/etc/headwater.toml")
    var stillRead = 0
    for round in 0..<400 {
      let isServer = round % 4 == 0
      let bytes = Self.damaged(isServer ? serverText : Array(Self.tricky.utf8), &random)
      let (document, syntax) = ConfigDocument.parse(bytes: bytes, file: "x.toml")
      var decoder = ConfigDecoder(document: document, secrets: SecretSource(folder: "", Self.environment))
      let table = decoder.decodeRoot(isServer ? server : site)
      if isServer {
        _ = ServerConfiguration(table, base: "")
      } else {
        _ = SiteConfiguration(table, name: "x", file: nil, plugins: ConfigFixture.plugins)
      }
      for problem in syntax + decoder.problems {
        #expect(
          problem.line >= 1 && problem.column >= 1 && !problem.message.isEmpty, "seed \(seed), round \(round)"
        )
        #expect(!problem.description.contains("secret-one"), "seed \(seed), round \(round)")
      }
      if syntax.isEmpty {
        stillRead += 1
        _ = ConfigLocatorTests.compare(String(decoding: bytes, as: UTF8.self), "seed \(seed), round \(round)")
      }
    }
    // The damage must leave some files readable, or the decoder was never tried.
    #expect(stillRead > 20, "seed \(seed)")
  }

  private static func damaged(_ original: [UInt8], _ random: inout ConfigRandom) -> [UInt8] {
    var bytes = original
    for _ in 0..<Int.random(in: 1...3, using: &random) {
      let place = Int.random(in: 0..<bytes.count, using: &random)
      switch Int.random(in: 0..<6, using: &random) {
      case 0: bytes[place] = UInt8.random(in: 0...255, using: &random)
      case 1: bytes[place] = UInt8.random(in: 32...126, using: &random)
      case 2: bytes.remove(at: place)
      case 3: bytes.insert(contentsOf: (pieces.randomElement(using: &random) ?? "").utf8, at: place)
      case 4: bytes.removeSubrange(place..<min(bytes.count, place + Int.random(in: 1...40, using: &random)))
      default:
        let end = min(bytes.count, place + Int.random(in: 1...60, using: &random))
        bytes.insert(contentsOf: bytes[place..<end], at: Int.random(in: 0...bytes.count, using: &random))
      }
      if bytes.isEmpty { return [0x0A] }
    }
    return bytes
  }
}
