import Testing

@testable import Origin

/// The metrics page as Prometheus reads it (text format 0.0.4).
@Suite struct MetricsTests {
  struct Sample {
    let name: String
    let labels: [String: String]
    let value: Double
  }

  struct Malformed: Error { let line: String }

  /// A strict reader: HELP, then TYPE, then the samples of a family, each family once.
  static func parse(_ text: String) throws -> [String: (type: String, samples: [Sample])] {
    var families: [String: (type: String, samples: [Sample])] = [:]
    var helped: String?
    guard text.last == "\n" else { throw Malformed(line: "the end") }
    for line in text.dropLast().split(separator: "\n", omittingEmptySubsequences: false).map(String.init) {
      let words = line.split(separator: " ", maxSplits: 3).map(String.init)
      if line.hasPrefix("# HELP ") {
        guard words.count == 4, families[words[2]] == nil else { throw Malformed(line: line) }
        helped = words[2]
      } else if line.hasPrefix("# TYPE ") {
        guard words.count == 4, words[2] == helped, families[words[2]] == nil,
          words[3] == "counter" || words[3] == "gauge"
        else { throw Malformed(line: line) }
        families[words[2]] = (words[3], [])
      } else {
        let sample = try sample(line)
        guard sample.name == helped, families[sample.name] != nil else { throw Malformed(line: line) }
        families[sample.name]?.samples.append(sample)
      }
    }
    return families
  }

  private static func sample(_ line: String) throws -> Sample {
    guard let space = line.lastIndex(of: " "), let value = Double(line[line.index(after: space)...]) else {
      throw Malformed(line: line)
    }
    var name = line[..<space]
    var labels: [String: String] = [:]
    if let open = name.firstIndex(of: "{") {
      guard name.last == "}" else { throw Malformed(line: line) }
      for pair in name[name.index(after: open)...].dropLast().split(separator: ",") {
        let parts = pair.split(separator: "=", maxSplits: 1)
        guard parts.count == 2, parts[1].first == "\"", parts[1].last == "\"", parts[1].count >= 2 else {
          throw Malformed(line: line)
        }
        labels[String(parts[0])] = String(parts[1].dropFirst().dropLast())
      }
      name = name[..<open]
    }
    let isName =
      name.first?.isNumber == false
      && name.allSatisfy { $0.isASCII && ($0.isLetter || $0.isNumber || $0 == "_" || $0 == ":") }
    guard isName else { throw Malformed(line: line) }
    return Sample(name: String(name), labels: labels, value: value)
  }

  @Test func thePageIsWellFormedAndTrue() throws {
    let folder = try StoreFolder()
    try folder.publish(file: "a.txt", "hello")
    let server = try OriginUnderTest(folder.store, sites: [try OriginFixture.site()])
    defer { server.stop() }
    for _ in 0..<3 { #expect(try TestClient.get("/f/a.txt", from: server.address).text == "hello") }
    #expect(try TestClient.get("/f/none", from: server.address).status == 404)
    #expect(try TestClient.get("/f/a b", from: server.address).status == 400)
    let text = try server.onLoop { [server] origin in
      Metrics.text(server.state, origin.snapshot, JobQueueFigures())
    }
    let families = try Self.parse(text)
    for (name, family) in families {
      #expect(name.hasPrefix("headwater_"))
      #expect(name.hasSuffix("_total") == (family.type == "counter"), "\(name) is a \(family.type)")
      #expect(!family.samples.isEmpty, "\(name) has no sample")
      #expect(family.samples.allSatisfy { $0.value >= 0 })
    }
    func value(_ name: String, _ label: String? = nil) -> Double? {
      families["headwater_\(name)"]?.samples.first { label == nil || $0.labels["class"] == label }?.value
    }
    #expect(value("responses_total", "2xx") == 3)
    #expect(value("responses_total", "4xx") == 2)
    #expect(value("requests_malformed_total") == 1)
    #expect(value("connections_accepted_total") == 5)
    #expect(value("hot_table_hits_total") == 2)
    #expect(value("files") == 1)
    #expect(value("sites") == 1)
    #expect(value("info") == 1)
  }

  private final class Measured: MetricsProvider {
    static let declaration = PluginDeclaration(
      name: "measured", summary: "Has figures.",
      settings: ConfigSection("measured", "Nothing.", keys: []))
    let site: String
    init(site: String, settings: ConfigTable) throws(PluginError) { self.site = site }
    func join(_ pipeline: inout PipelineBuilder) {}
    var metrics: [PluginMetric] {
      [
        PluginMetric("measured_things_total", .counter, "Things.", site == "a" ? 3 : 0.5),
        PluginMetric(
          "measured_state", .gauge, "How it is.", [.init(1, labels: [("text", "a \"b\" \\ \nc")])]),
        PluginMetric("measured_nothing", .gauge, "Of nothing.", []),
      ]
    }
  }

  @Test func familiesOfPluginsComeTogetherFromAllSites() throws {
    let table = Measured.declaration.settings.decode(text: "").0
    let text = Metrics.plugins(
      try ["a", "b"].map { ($0, [try Measured(site: $0, settings: table)]) })
    #expect(
      text == """
        # HELP headwater_measured_things_total Things.
        # TYPE headwater_measured_things_total counter
        headwater_measured_things_total{site="a"} 3
        headwater_measured_things_total{site="b"} 0.5
        # HELP headwater_measured_state How it is.
        # TYPE headwater_measured_state gauge
        headwater_measured_state{site="a",text="a \\"b\\" \\\\ \\nc"} 1
        headwater_measured_state{site="b",text="a \\"b\\" \\\\ \\nc"} 1

        """)
    let families = try Self.parse(text)
    #expect(families["headwater_measured_things_total"]?.samples.map(\.value) == [3, 0.5])
  }

  @Test(arguments: [
    "a 1", "# TYPE a counter\na 1\n", "# HELP a x\n# TYPE a counter\nb 1\n",
    "# HELP a x\n# TYPE a counter\na{l=1} 1\n", "# HELP a x\n# TYPE a counter\na one\n",
    "# HELP a x\n# TYPE a counter\na 1\n# HELP a x\n# TYPE a counter\na 1\n",
  ])
  func theReaderRefusesWhatIsMalformed(text: String) {
    #expect(throws: Malformed.self) { try Self.parse(text) }
  }
}
