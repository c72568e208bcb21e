import Foundation
import PluginContract
import Store
import Testing

@testable import HeadersPlugin
@testable import Origin

/// Settings as they stand in a site file, and what becomes of them.
@Suite struct HeadersPluginTests {
  private static func table(_ text: String) throws -> ConfigTable {
    let (table, problems) = HeadersPlugin.declaration.settings.decode(text: text)
    if let problem = problems.first { throw Refused(problem: problem) }
    return table
  }

  struct Refused: Error { let problem: ConfigProblem }

  /// An empty store in a folder of its own.
  private static func withStore<Result>(_ body: (Store) async throws -> Result) async throws -> Result {
    let folder = FileManager.default.temporaryDirectory.appending(
      path: "headwater-headers-\(UUID().uuidString)")
    defer { try? FileManager.default.removeItem(at: folder) }
    return try await body(
      Store(path: folder.path, options: StoreOptions(indexMapSizeBytes: 1 << 30, indexReserveBytes: 0)))
  }

  /// The answer for a published file, made by a site's whole pipeline.
  private func answer(_ settings: String, path: String = "/f/a.txt") async throws -> [String] {
    try await Self.withStore { store in
      let writer = try store.blobs.makeWriter()
      try writer.write(Array("hello".utf8))
      try store.publishFile(
        FileDraft(site: "default", path: "a.txt", blob: try writer.finish().id, mediaType: "text/plain"))
      let (table, problems) = SiteConfiguration.schema(plugins: [HeadersPlugin.declaration])
        .decode(text: "[plugins.headers]\n\(settings)")
      if let problem = problems.first { throw Refused(problem: problem) }
      let site = SiteConfiguration(table, name: "default", file: nil, plugins: [HeadersPlugin.declaration])
      let configuration = Configuration(server: .defaults, sites: [site], sources: [])
      let registry = PluginRegistry([HeadersPlugin.self])
      let explanation = try Explanation(url: path, configuration, registry, store)
      return explanation.entries.filter { $0.name == "header" }.map(\.value)
    }
  }

  @Test func keepsTheContract() async throws {
    try await Self.withStore { store in
      let contract = PluginContract(
        HeadersPlugin.self,
        settings: [
          "rules = [{ class = \"segment\", set = { \"X-A\" = \"1\" } }, { remove = [\"Timing-Allow-Origin\"] }]",
          "rules = [{ add = { \"Link\" = \"</>; rel=up\" } }, { class = \"error\", set = { \"Vary\" = \"*\" } }]",
        ], store: store)
      let violations = await contract.violations()
      #expect(violations.isEmpty)
    }
  }

  // MARK: Settings

  @Test func settingsBecomeRulesInTheirOrder() throws {
    let config = try HeadersConfig(
      Self.table(
        """
        rules = [
          { class = "segment", set = { "X-B" = "2", "X-A" = "1" }, remove = ["Server"] },
          { add = { "Link" = "</>" } },
        ]
        """))
    #expect(
      config.rules == [
        .init(
          kind: .segment, set: [(name: "X-A", value: "1"), (name: "X-B", value: "2")], add: [],
          remove: ["Server"]),
        .init(kind: nil, set: [], add: [(name: "Link", value: "</>")], remove: []),
      ])
  }

  @Test(arguments: AnswerKind.allCases) func everyKindIsAClass(kind: AnswerKind) throws {
    let config = try HeadersConfig(Self.table("rules = [{ class = \"\(kind.rawValue)\" }]"))
    #expect(config.rules.map(\.kind) == [kind])
    #expect(try HeadersConfig(Self.table("rules = [{ class = \"all\" }]")).rules[0].kind == nil)
  }

  @Test func withoutRulesNothingIsJoined() throws {
    let plugin = try HeadersPlugin(site: "a", settings: Self.table(""))
    #expect(Pipeline(plugins: [plugin]).headerFilters.isEmpty)
    let other = try HeadersPlugin(site: "a", settings: Self.table("rules = [{}]"))
    #expect(Pipeline(plugins: [other]).headerFilters.count == 1)
  }

  static let refused = HeadersConfig.framing.sorted().flatMap { name in
    ["set = { \"\(name)\" = \"1\" }", "add = { \"\(name.uppercased())\" = \"1\" }", "remove = [\"\(name)\"]"]
  }

  @Test(arguments: refused) func fieldsOfTheMessageAreRefused(rule: String) throws {
    let table = try Self.table("rules = [{ set = { \"X-A\" = \"1\" } }, { \(rule) }]")
    let error = #expect(throws: PluginError.self) { _ = try HeadersPlugin(site: "a", settings: table) }
    #expect(error?.key == "rules[1]")
    #expect(error?.message.contains("can't be changed by a rule") == true)
  }

  @Test(arguments: [
    ("rules = [{ klass = \"segment\" }]", ConfigProblem.Code.unknownKey),
    ("rules = [{ class = \"segments\" }]", .invalidValue),
    ("rules = [{ set = { \"X A\" = \"1\" } }]", .invalidValue),
    ("rules = [{ set = { \"X-A\" = \"1\\r\\nX-B: 2\" } }]", .invalidValue),
    ("rules = [{ set = { \"X-A\" = 1 } }]", .wrongType),
    ("rules = [{ remove = [\"X-A:\"] }]", .invalidValue),
    ("rules = { class = \"segment\" }", .wrongType),
    ("rule = []", .unknownKey),
  ])
  func mistakesAreFoundByTheDeclaration(text: String, code: ConfigProblem.Code) {
    let problems = HeadersPlugin.declaration.settings.decode(text: text).problems
    #expect(problems.map(\.code) == [code], "\(problems)")
    #expect(problems.first?.line == 1)
  }

  // MARK: Answers

  private func filtered(_ text: String, _ kind: AnswerKind) throws -> String {
    var fields = HeaderFields()
    fields.add("X-Old", "1")
    fields.add("X-Old", "2")
    fields.add("X-Kept", "3")
    let plugin = try HeadersPlugin(site: "a", settings: Self.table(text))
    for filter in Pipeline(plugins: [plugin]).headerFilters {
      filter.filter(&fields, of: AnswerInfo(site: "a", kind: kind))
    }
    return fields.fields.map { "\($0.name)=\(String(decoding: $0.value, as: UTF8.self))" }
      .joined(separator: " ")
  }

  static let rules: [(String, AnswerKind, String)] = [
    ("{ set = { \"x-old\" = \"new\" } }", .file, "x-old=new X-Kept=3"),
    ("{ add = { \"X-Old\" = \"new\" } }", .file, "X-Old=1 X-Old=2 X-Kept=3 X-Old=new"),
    ("{ remove = [\"X-OLD\"] }", .file, "X-Kept=3"),
    ("{ remove = [\"X-None\"] }", .file, "X-Old=1 X-Old=2 X-Kept=3"),
    // Removing comes first within a rule, whatever the order in the file.
    ("{ set = { \"X-Old\" = \"new\" }, remove = [\"X-Old\"] }", .file, "X-Kept=3 X-Old=new"),
    // A later rule sees what an earlier one did.
    ("{ set = { \"X-New\" = \"1\" } }, { remove = [\"X-New\", \"X-Old\"] }", .file, "X-Kept=3"),
    ("{ remove = [\"X-Old\"] }, { add = { \"X-Old\" = \"a\" } }", .file, "X-Kept=3 X-Old=a"),
    ("{ class = \"segment\", remove = [\"X-Old\"] }", .segment, "X-Kept=3"),
    ("{ class = \"segment\", remove = [\"X-Old\"] }", .manifest, "X-Old=1 X-Old=2 X-Kept=3"),
    (
      "{ class = \"error\", remove = [\"X-Kept\"] }, { class = \"file\", remove = [\"X-Old\"] }", .error,
      "X-Old=1 X-Old=2"
    ),
  ]

  @Test(arguments: rules) func rulesChangeFields(rules: String, kind: AnswerKind, expected: String) throws {
    #expect(try filtered("rules = [\(rules)]", kind) == expected)
  }

  @Test func theAnswerOfASiteCarriesThem() async throws {
    let lines = try await answer(
      """
      rules = [
        { class = "file", set = { "X-Class" = "static", "cache-control" = "no-cache" } },
        { class = "segment", set = { "X-Class" = "media" } },
        { remove = ["Timing-Allow-Origin"] },
      ]
      """)
    #expect(lines.contains("X-Class: static"))
    #expect(lines.filter { $0.lowercased().hasPrefix("cache-control:") } == ["cache-control: no-cache"])
    #expect(!lines.contains { $0.hasPrefix("Timing-Allow-Origin") })
    #expect(lines.contains { $0.hasPrefix("ETag: ") })
  }

  @Test func aDisabledPluginChangesNothing() async throws {
    let lines = try await answer("enabled = false\nrules = [{ set = { \"X-Class\" = \"static\" } }]")
    #expect(!lines.contains { $0.hasPrefix("X-Class") })
    #expect(lines.contains { $0.hasPrefix("ETag: ") }, "there is an answer")
  }

  @Test func errorsHaveTheirClass() throws {
    let plugin = try HeadersPlugin(
      site: "default",
      settings: Self.table("rules = [{ class = \"error\", set = { \"X-Help\" = \"/help\" } }]"))
    let site = Site(.defaults, number: 0, plugins: [plugin])
    for (info, isThere) in [
      (AnswerInfo(site: "default", kind: .error, status: 404), true),
      (AnswerInfo(site: "default", kind: .file), false),
    ] {
      var fields = HeaderFields()
      site.addFields(to: &fields, for: info)
      #expect((fields["X-Help"] != nil) == isThere)
    }
  }
}
