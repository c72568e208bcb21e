import HeadersPlugin
import PluginContract
import Store
import Synchronization
import Testing

@testable import Origin

/// The contract itself: each of these plugins breaks one rule, and is found out.
@Suite(.timeLimit(.minutes(1))) struct PluginContractTests {
  static func declaration(_ name: String = "broken", summary: String = "Breaks a rule.", key: String? = nil)
    -> PluginDeclaration
  {
    PluginDeclaration(
      name: name, summary: summary,
      settings: ConfigSection(
        "broken", "None.", keys: key.map { [.bool($0, default: false, "One.")] } ?? []))
  }

  private func broken(_ type: any Plugin.Type, settings: [String] = []) async throws
    -> Set<PluginContract.Violation.Rule>
  {
    let folder = try StoreFolder()
    let contract = PluginContract(type, settings: settings, store: folder.store, deadlineMilliseconds: 500)
    return Set(await contract.violations().map(\.rule))
  }

  @Test func theHeadersPluginKeepsIt() async throws {
    #expect(try await broken(HeadersPlugin.self).isEmpty)
  }

  @Test func aDeclarationThatChanges() async throws {
    final class Drifting: Plugin {
      static let asked = Atomic<Int>(0)
      static var declaration: PluginDeclaration {
        let number = asked.add(1, ordering: .relaxed).newValue
        return PluginContractTests.declaration(summary: "Asked \(number) times.")
      }
      init(site: String, settings: ConfigTable) throws(PluginError) {}
      func join(_ pipeline: inout PipelineBuilder) {}
    }
    #expect(try await broken(Drifting.self) == [.declarationStable])
  }

  @Test func jobsThatAreNotItsOwn() async throws {
    struct Handler: JobHandler {
      var kind: String
      var limits = JobLimits()
      func run(_ job: RunningJob) async throws(JobFailure) -> JobResult { JobResult() }
    }
    final class Meddling: JobProvider {
      static let declaration = PluginContractTests.declaration()
      var jobHandlers: [any JobHandler] {
        var idle = Handler(kind: "broken.idle")
        idle.limits.outputBytes = 0
        return [Handler(kind: "other.work"), idle]
      }
      init(site: String, settings: ConfigTable) throws(PluginError) {}
      func join(_ pipeline: inout PipelineBuilder) {}
    }
    #expect(try await broken(Meddling.self) == [.jobKinds, .jobLimits])
  }

  @Test func metricsOfOtherNames() async throws {
    final class Boasting: MetricsProvider {
      static let declaration = PluginContractTests.declaration()
      init(site: String, settings: ConfigTable) throws(PluginError) {}
      func join(_ pipeline: inout PipelineBuilder) {}
      var metrics: [PluginMetric] { [PluginMetric("requests", .counter, "All of them.", 1)] }
    }
    #expect(try await broken(Boasting.self) == [.metricNames])
  }

  @Test func aNameThatIsNone() async throws {
    final class Shouting: Plugin {
      static let declaration = PluginContractTests.declaration("SHOUT me", summary: "no sentence")
      init(site: String, settings: ConfigTable) throws(PluginError) {}
      func join(_ pipeline: inout PipelineBuilder) {}
    }
    #expect(try await broken(Shouting.self) == [.declarationForm])
  }

  @Test func defaultsThatAreRefusedWithoutAReason() async throws {
    final class Sulking: Plugin {
      static let declaration = PluginContractTests.declaration()
      init(site: String, settings: ConfigTable) throws(PluginError) { throw PluginError("no") }
      func join(_ pipeline: inout PipelineBuilder) {}
    }
    #expect(try await broken(Sulking.self) == [.defaultSettings])
  }

  @Test func examplesThatDoNotDecode() async throws {
    #expect(try await broken(HeadersPlugin.self, settings: ["rules = 5"]) == [.exampleSettings])
    #expect(
      try await broken(HeadersPlugin.self, settings: ["rules = [{ remove = [\"ETag\"] }]"])
        == [.exampleSettings])
  }

  @Test func keysTooCloseToTellApart() async throws {
    final class Confusing: Plugin {
      static let declaration = PluginDeclaration(
        name: "confusing", summary: "Has a key and its misspelling.",
        settings: ConfigSection(
          "confusing", "None.",
          keys: [.bool("rate", default: false, "One."), .bool("rateq", default: false, "Two.")]))
      init(site: String, settings: ConfigTable) throws(PluginError) {}
      func join(_ pipeline: inout PipelineBuilder) {}
    }
    #expect(try await broken(Confusing.self) == [.unknownSetting])
  }

  @Test func joiningThatRemembers() async throws {
    final class Growing: Plugin {
      static let declaration = PluginContractTests.declaration()
      private let joined = Atomic<Int>(0)
      init(site: String, settings: ConfigTable) throws(PluginError) {}
      func join(_ pipeline: inout PipelineBuilder) {
        for _ in 0...joined.add(1, ordering: .relaxed).oldValue { pipeline.add(Nothing()) }
      }
      struct Nothing: HeaderFilter {
        func filter(_ fields: inout HeaderFields, of answer: AnswerInfo) {}
      }
    }
    #expect(try await broken(Growing.self) == [.joinStable])
  }

  /// Filters that change what they must not, by what they do to the fields.
  // Subclasses hold nothing that changes.
  class Filtering: Plugin, @unchecked Sendable {
    class var declaration: PluginDeclaration { PluginContractTests.declaration() }
    required init(site: String, settings: ConfigTable) throws(PluginError) {}
    func join(_ pipeline: inout PipelineBuilder) { pipeline.add(Filter(plugin: self)) }
    func change(_ fields: inout HeaderFields, _ answer: AnswerInfo) {}
    struct Filter: HeaderFilter {
      let plugin: Filtering
      func filter(_ fields: inout HeaderFields, of answer: AnswerInfo) { plugin.change(&fields, answer) }
    }
  }

  // As its parent, which says why.
  final class AddingLength: Filtering, @unchecked Sendable {
    override func change(_ fields: inout HeaderFields, _ answer: AnswerInfo) {
      if answer.kind == .blob { fields.add("content-length", "5") }
    }
  }

  // As its parent, which says why.
  final class DroppingTag: Filtering, @unchecked Sendable {
    override func change(_ fields: inout HeaderFields, _ answer: AnswerInfo) {
      if answer.status == 416 { fields.remove("etag") }
    }
  }

  // As its parent, which says why.
  final class Splitting: Filtering, @unchecked Sendable {
    override func change(_ fields: inout HeaderFields, _ answer: AnswerInfo) {
      fields.set("X-Where", "here\r\nX-Injected: 1")
    }
  }

  // As its parent, which says why.
  final class Naming: Filtering, @unchecked Sendable {
    override func change(_ fields: inout HeaderFields, _ answer: AnswerInfo) { fields.set("X Where", "here") }
  }

  // As its parent, which says why.
  final class Counting: Filtering, @unchecked Sendable {
    // The counter is atomic.
    private let count = Atomic<Int>(0)
    override func change(_ fields: inout HeaderFields, _ answer: AnswerInfo) {
      fields.set("X-Count", "\(count.add(1, ordering: .relaxed).newValue)")
    }
  }

  @Test(
    arguments: [
      (AddingLength.self, .filterFraming), (DroppingTag.self, .filterFraming),
      (Splitting.self, .filterFields),
      (Naming.self, .filterFields), (Counting.self, .filterPure),
    ] as [(Filtering.Type, PluginContract.Violation.Rule)])
  func filtersThatOverstep(type: Filtering.Type, rule: PluginContract.Violation.Rule) async throws {
    #expect(try await broken(type) == [rule])
  }

  @Test func aFilterThatDoesNothingIsFine() async throws {
    #expect(try await broken(Filtering.self).isEmpty)
  }

  @Test func aRunThatDoesNotListen() async throws {
    final class Deaf: Plugin {
      static let declaration = PluginContractTests.declaration()
      init(site: String, settings: ConfigTable) throws(PluginError) {}
      func join(_ pipeline: inout PipelineBuilder) {}
      func run() async { await withUnsafeContinuation { (_: UnsafeContinuation<Void, Never>) in } }
    }
    #expect(try await broken(Deaf.self) == [.runEnds])
  }

  @Test func anEndThatNeverComes() async throws {
    final class Clinging: Plugin {
      static let declaration = PluginContractTests.declaration()
      private let started = Atomic<Bool>(false)
      init(site: String, settings: ConfigTable) throws(PluginError) {}
      func provision(_ host: PluginHost) throws(PluginError) { started.store(true, ordering: .relaxed) }
      func join(_ pipeline: inout PipelineBuilder) {}
      func shutDown() async {
        // Forgets that it may never have been started.
        if started.load(ordering: .relaxed) { return }
        await withUnsafeContinuation { (_: UnsafeContinuation<Void, Never>) in }
      }
    }
    #expect(try await broken(Clinging.self) == [.shutDownEnds])
  }
}
