// What every plugin must keep to, whatever it does
//
//   declaration   asked twice it says the same; name and summary have the form that lists and files need
//   settings      none at all decode, or the problem names the missing key; a mistyped key is told from the right one
//   instances     join takes the same places every time, and two instances take the same
//   filters       leave alone what frames and validates a message, write only what may stand in a head, and are
//                 functions of their input
//   life          `run()` ends soon after it is cancelled; `shutDown()` returns after no start, after a start
//                 that failed and after a run
//   jobs          kinds are `name.verb` with the plugin's own name, each once, the same when asked again; limits leave
//                 something to work with
//   metrics       names begin with the plugin's own, are the same when asked again, and those of counters end in _total
//
// The check returns what it found instead of recording it, so that it can itself be tested with plugins that break
// each of the rules.

public import Origin
public import Store

/// A check that any plugin must pass: call it from a test and expect no violations.
///
///     @Test func keepsTheContract() async throws {
///       let contract = PluginContract(MyPlugin.self, settings: ["greeting = \"hello\""], store: store)
///       #expect(await contract.violations().isEmpty)
///     }
public struct PluginContract: Sendable {
  /// A rule that a plugin broke.
  public struct Violation: Sendable, Hashable, CustomStringConvertible {
    public enum Rule: String, Sendable {
      case declarationStable, declarationForm
      case defaultSettings, exampleSettings, unknownSetting
      case joinStable
      case filterFraming, filterFields, filterPure
      case runEnds, shutDownEnds
      case jobKinds, jobLimits
      case metricNames
    }

    public var rule: Rule
    /// What was seen, with the settings that brought it about.
    public var detail: String
    public var description: String { "\(rule.rawValue): \(detail)" }
  }

  let type: any Plugin.Type
  let settings: [String]
  let store: Store
  let deadlineMilliseconds: Int

  /// - Parameters:
  ///   - settings: valid TOML texts as they may stand in `[plugins.NAME]`; the text without any key is tried besides.
  ///   - store: an empty store of the test's own; plugins are provisioned with it.
  ///   - deadlineMilliseconds: how long ending may take.
  public init(
    _ type: any Plugin.Type, settings: [String] = [], store: Store, deadlineMilliseconds: Int = 10_000
  ) {
    self.type = type
    self.settings = settings
    self.store = store
    self.deadlineMilliseconds = deadlineMilliseconds
  }

  /// Everything the plugin breaks; empty when it keeps to the contract.
  public func violations() async -> [Violation] {
    var found = declaration() + unknownSettings()
    var tables: [(text: String, table: ConfigTable)] = []
    switch defaultTable() {
    case .success(let table): if let table { tables.append(("no settings", table)) }
    case .failure(let violation): found.append(violation)
    }
    for text in settings {
      let (table, problems) = type.declaration.settings.decode(text: text)
      if problems.isEmpty {
        tables.append((text, table))
      } else {
        found.append(Violation(rule: .exampleSettings, detail: "\(text): \(problems[0])"))
      }
    }
    for (text, table) in tables {
      do throws(PluginError) {
        let plugin = try type.init(site: Self.site, settings: table)
        let other = try type.init(site: Self.site, settings: table)
        found += places(of: plugin, and: other, text)
        found += filters(of: plugin, text)
        found += await life(table, text)
      } catch {
        found.append(Violation(rule: .exampleSettings, detail: "\(text): \(error)"))
      }
    }
    return found
  }

  static let site = "contract"

  // MARK: Declaration and settings

  private func declaration() -> [Violation] {
    var found: [Violation] = []
    let first = type.declaration
    let texts = [first, type.declaration].map { ConfigReference.markdown(plugins: [$0]) }
    if first.name != type.declaration.name || texts[0] != texts[1] {
      found.append(Violation(rule: .declarationStable, detail: "asked twice, it says two things"))
    }
    let isName = first.name.utf8.allSatisfy {
      (0x61...0x7A).contains($0) || (0x30...0x39).contains($0) || $0 == 0x2D || $0 == 0x5F
    }
    if first.name.isEmpty || !isName {
      found.append(
        Violation(
          rule: .declarationForm,
          detail: "the name \"\(first.name)\" is not of lower-case letters, digits, - and _"))
    }
    if first.summary.isEmpty || !first.summary.hasSuffix(".") {
      found.append(
        Violation(rule: .declarationForm, detail: "the summary \"\(first.summary)\" is no sentence"))
    }
    return found
  }

  /// The settings of a site that only enables the plugin; nil where a required key is missing, and said to be.
  private func defaultTable() -> Result<ConfigTable?, Violation> {
    let (table, problems) = type.declaration.settings.decode(text: "")
    if problems.contains(where: { $0.code == .missingKey }) { return .success(nil) }
    if let problem = problems.first {
      return .failure(Violation(rule: .defaultSettings, detail: "\(problem)"))
    }
    do throws(PluginError) {
      _ = try type.init(site: Self.site, settings: table)
      return .success(table)
    } catch {
      // Refusing to work without a setting is fine, if the person who enabled it learns which.
      guard let key = error.key, !key.isEmpty, !error.message.isEmpty else {
        return .failure(
          Violation(rule: .defaultSettings, detail: "refused without naming the key and what to change"))
      }
      return .success(nil)
    }
  }

  /// Each declared key, with a letter too many, must be refused with the right key named.
  private func unknownSettings() -> [Violation] {
    let section = type.declaration.settings
    var found: [Violation] = []
    let names = section.keys.flatMap(\.writtenNames)
    for name in names.isEmpty ? [""] : names {
      let wrong = name.isEmpty ? "unheard_of" : name + "q"
      let problems = section.decode(text: "\(wrong) = 1\n").problems
      guard let problem = problems.first(where: { $0.code == .unknownKey }) else {
        found.append(Violation(rule: .unknownSetting, detail: "\(wrong) is taken"))
        continue
      }
      if !name.isEmpty, problem.suggestion != name {
        found.append(
          Violation(
            rule: .unknownSetting, detail: "\(wrong): suggests \(problem.suggestion ?? "nothing")"))
      }
    }
    return found
  }
}

extension PluginContract.Violation: Error {}
