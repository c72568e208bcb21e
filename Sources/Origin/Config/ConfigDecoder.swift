/// Turns a parsed file into a `ConfigTable` by its declarations, and collects every problem on the way.
///
/// A value that cannot be used is replaced by the default, so that one mistake does not hide the next. The
/// table that comes out is therefore complete, but only to be used when there is no problem of severity error.
struct ConfigDecoder {
  let document: ConfigDocument
  let secrets: SecretSource
  private(set) var problems: [ConfigProblem] = []
  /// Those of files that are named in this one, after it.
  private var innerProblems: [ConfigProblem] = []
  /// The outermost section, to say where a key that stands in the wrong section belongs.
  private var root: ConfigSection?

  init(document: ConfigDocument, secrets: SecretSource) {
    self.document = document
    self.secrets = secrets
  }

  /// The problems in the order of the file.
  var sortedProblems: [ConfigProblem] {
    problems.enumerated().sorted { first, second in
      (first.element.line, first.element.column, first.offset)
        < (second.element.line, second.element.column, second.offset)
    }.map(\.element) + innerProblems
  }

  mutating func decodeRoot(_ section: ConfigSection) -> ConfigTable {
    root = section
    return decode(section, document.root, at: [])
  }

  // MARK: - Sections

  private mutating func decode(
    _ section: ConfigSection, _ entries: [String: ConfigDocument.Node], at path: ConfigPath
  ) -> ConfigTable {
    let problemsBefore = problems.count
    var table = ConfigTable()
    reportUnknown(section, entries, at: path)
    for key in section.keys {
      table.values[key.name] = decode(key, entries, at: path)
    }
    for inner in section.sections {
      let innerPath = path + [.key(inner.name)]
      let entry = entries[inner.name]
      // A plugin without a section has no settings at all: its required keys are not missing.
      if section.role == .pluginList, entry == nil { continue }
      if let entry, case .table(let innerEntries) = entry {
        table.values[inner.name] = .table(decode(inner, innerEntries, at: innerPath))
      } else {
        if let entry {
          report(
            innerPath, .wrongType, "\(TOMLText.quoted(inner.name)) is a section, not \(entry.typeName)",
            suggestion: "[\(innerPath.text)]")
        }
        let noted = problems
        table.values[inner.name] = .table(decode(inner, [:], at: innerPath))
        // What is missing inside a section that is not even one would be noise.
        if entry != nil { problems = noted }
      }
    }
    if section.role == .plugin, !table.bool("enabled") {
      let kept = problems[problemsBefore...].filter { $0.code != .missingKey && $0.code != .secret }
      problems.replaceSubrange(problemsBefore..., with: kept)
      return table
    }
    let isSound = problems[problemsBefore...].allSatisfy { $0.severity == .warning }
    if isSound, let validate = section.validate {
      for complaint in validate(table) {
        report(path + complaint.path, complaint.code, complaint.message, suggestion: complaint.suggestion)
      }
    }
    return table
  }

  private mutating func reportUnknown(
    _ section: ConfigSection, _ entries: [String: ConfigDocument.Node], at path: ConfigPath
  ) {
    let keyNames = section.keys.flatMap(\.writtenNames)
    let sectionNames = section.sections.map(\.name)
    let known = Set(keyNames + sectionNames)
    for (name, entry) in entries where !known.contains(name) {
      let entryPath = path + [.key(name)]
      let quoted = TOMLText.quoted(name)
      let place = document.locator.position(ofKey: entryPath)
      func add(_ code: ConfigProblem.Code, _ message: String, _ suggestion: String?) {
        problems.append(
          ConfigProblem(
            file: document.file, line: place.line, column: place.column, key: entryPath.text, code: code,
            message: message, suggestion: suggestion))
      }
      if let secret = section.keys.first(where: { $0.name == name }) {
        // The only declared name that is not written as it is.
        add(
          .unknownKey, "a secret never stands in the configuration itself: keep \(quoted) in a file",
          secret.writtenNames[0])
      } else if section.role == .pluginList {
        add(.unknownPlugin, "plugin \(quoted) is not compiled in", NearestName.of(name, in: sectionNames))
      } else if case .table = entry, section.keys.isEmpty || !sectionNames.isEmpty {
        let near = NearestName.of(name, in: sectionNames).map { "[" + (path + [.key($0)]).text + "]" }
        add(.unknownSection, "unknown section [\(entryPath.text)]", near ?? home(of: name, besides: path))
      } else {
        let whereabouts = path.isEmpty ? "at the top of the file" : "in [\(path.text)]"
        let near = NearestName.of(name, in: keyNames + sectionNames)
        add(.unknownKey, "unknown key \(quoted) \(whereabouts)", near ?? home(of: name, besides: path))
      }
    }
  }

  /// Where a name that is unknown at `path` would be right: `segment in [packaging]`.
  private func home(of name: String, besides path: ConfigPath) -> String? {
    guard let root else { return nil }
    let homes = root.sections.filter { section in
      section.keys.contains { $0.name == name } && [.key(section.name)] != path
    }
    if let home = homes.first, homes.count == 1 { return "\(name) in [\(home.name)]" }
    if !path.isEmpty, root.keys.contains(where: { $0.name == name }) {
      return "\(name) above the first section"
    }
    return nil
  }

  // MARK: - Keys

  private mutating func decode(
    _ key: ConfigKey, _ entries: [String: ConfigDocument.Node], at path: ConfigPath
  ) -> ConfigValue {
    if case .secret = key.kind { return .secret(secret(key, entries, at: path)) }
    let keyPath = path + [.key(key.name)]
    guard let entry = entries[key.name] else {
      if key.isRequired {
        let owner = path.isEmpty ? "the file" : path.text
        report(path, .missingKey, "\(owner) needs the key \(TOMLText.quoted(key.name))", atKey: keyPath)
      }
      // The file of the default name may be there all the same.
      if case .document(let folder, let section) = key.kind, case .document(let name, _)? = key.defaultValue {
        return .document(name, settings(name, folder, section, key, at: keyPath) ?? section.defaults)
      }
      return key.fallback
    }
    return value(of: entry, key, at: keyPath) ?? key.fallback
  }

  private mutating func value(
    of entry: ConfigDocument.Node, _ key: ConfigKey, at path: ConfigPath
  ) -> ConfigValue? {
    switch (key.kind, entry) {
    case (.bool, .bool(let value)):
      return .bool(value)
    case (.integer(let range), .integer(let value)):
      guard range.contains(value) else {
        outOfRange(path, key, String(value))
        return nil
      }
      return .integer(value)
    case (.string(let text), .string(let value)):
      return checked(value, text, at: path).map(ConfigValue.string)
    case (.duration(let range), .string(let value)):
      return amount(value, range, key, at: path, parse: ConfigDuration.parse)
        .map(ConfigValue.durationMilliseconds)
    case (.size(let range), .string(let value)):
      return amount(value, range, key, at: path, parse: ConfigSize.parse).map(ConfigValue.sizeBytes)
    case (.file, .string(let value)):
      return .file(contents(of: value, at: path))
    case (.document(let folder, let section), .string(let value)):
      guard let name = checked(value, .identifier, at: path),
        let table = settings(name, folder, section, key, at: path)
      else { return nil }
      return .document(name, table)
    case (.strings(let text), .list(let list)):
      return .strings(strings(list, text, at: path))
    case (.stringTable(let names, let values), .table(let table)):
      return .stringTable(stringTable(table, names, values, at: path))
    case (.tables(let section, let identity), .list(let list)):
      return .tables(tables(list, section, identity, at: path))
    default:
      wrongType(path, key, entry)
      return nil
    }
  }

  private mutating func checked(_ value: String, _ text: ConfigText, at path: ConfigPath) -> String? {
    switch text.check(value) {
    case .accepted(let normal): return normal
    case .refused(let reason, let suggestion):
      report(
        path, .invalidValue, reason ?? "\(TOMLText.quoted(value)) is not \(text.summary)",
        suggestion: suggestion)
      return nil
    }
  }

  private mutating func amount(
    _ value: String, _ range: ClosedRange<Int>, _ key: ConfigKey, at path: ConfigPath,
    parse: (String) throws(ConfigUnitError) -> Int
  ) -> Int? {
    do throws(ConfigUnitError) {
      let amount = try parse(value)
      guard range.contains(amount) else {
        outOfRange(path, key, value)
        return nil
      }
      return amount
    } catch {
      report(path, .badUnit, error.message, suggestion: error.suggestion)
      return nil
    }
  }

  private mutating func strings(
    _ list: [ConfigDocument.Node], _ text: ConfigText, at path: ConfigPath
  ) -> [String] {
    var values: [String] = []
    var seen: Set<String> = []
    for (number, entry) in list.enumerated() {
      let entryPath = path + [.index(number)]
      guard case .string(let value) = entry else {
        report(entryPath, .wrongType, "\(path.text) takes strings, not \(entry.typeName)")
        continue
      }
      guard let normal = checked(value, text, at: entryPath) else { continue }
      if !seen.insert(normal).inserted {
        report(entryPath, .duplicate, "\(TOMLText.quoted(normal)) stands twice in \(path.text)")
      }
      values.append(normal)
    }
    return values
  }

  private mutating func stringTable(
    _ table: [String: ConfigDocument.Node], _ names: ConfigText, _ values: ConfigText, at path: ConfigPath
  ) -> [String: String] {
    var result: [String: String] = [:]
    for (name, entry) in table {
      let entryPath = path + [.key(name)]
      guard case .string(let value) = entry else {
        report(entryPath, .wrongType, "\(entryPath.text) takes a string, not \(entry.typeName)")
        continue
      }
      guard let normalName = checked(name, names, at: entryPath),
        let normalValue = checked(value, values, at: entryPath)
      else { continue }
      result[normalName] = normalValue
    }
    return result
  }

  private mutating func tables(
    _ list: [ConfigDocument.Node], _ section: ConfigSection, _ identity: String?, at path: ConfigPath
  ) -> [ConfigTable] {
    var tables: [ConfigTable] = []
    var seen: Set<String> = []
    for (number, entry) in list.enumerated() {
      let entryPath = path + [.index(number)]
      guard case .table(let entries) = entry else {
        report(entryPath, .wrongType, "\(path.text) takes tables, not \(entry.typeName)")
        continue
      }
      let table = decode(section, entries, at: entryPath)
      if let identity, case .string(let name) = table.values[identity], !name.isEmpty,
        !seen.insert(name).inserted
      {
        report(
          entryPath + [.key(identity)], .duplicate,
          "\(identity) \(TOMLText.quoted(name)) stands twice in \(path.text)")
      }
      tables.append(table)
    }
    return tables
  }

  // MARK: - Secrets

  private mutating func secret(
    _ key: ConfigKey, _ entries: [String: ConfigDocument.Node], at path: ConfigPath
  ) -> Secret? {
    let names = key.writtenNames
    let written = names.filter { entries[$0] != nil }
    guard let name = written.first, let entry = entries[name] else {
      if key.isRequired {
        let owner = path.isEmpty ? "the file" : path.text
        report(path, .missingKey, "\(owner) needs \(names[0]) or \(names[1])", atKey: path + [.key(names[0])])
      }
      return nil
    }
    let keyPath = path + [.key(name)]
    guard written.count == 1 else {
      report(path + [.key(names[1])], .secret, "\(names[0]) and \(names[1]) exclude each other: keep one")
      return nil
    }
    guard case .string(let value) = entry, !value.isEmpty else {
      let kind = name == names[0] ? "the path of a file" : "the name of an environment variable"
      report(keyPath, .wrongType, "\(TOMLText.quoted(name)) takes \(kind)")
      return nil
    }
    let secret = name == names[0] ? read(file: value, at: keyPath) : read(variable: value, at: keyPath)
    guard let secret else { return nil }
    guard !secret.bytes.isEmpty else {
      report(keyPath, .secret, "the secret in \(TOMLText.quoted(value)) is empty")
      return nil
    }
    return secret
  }

  private mutating func read(file: String, at path: ConfigPath) -> Secret? {
    let shown = TOMLText.quoted(secrets.path(of: file))
    do throws(ConfigFile.Failure) {
      let (secret, isWorldReadable) = try secrets.read(file: file)
      if isWorldReadable {
        report(
          path, .exposedSecret, "every user of this machine can read \(shown); run chmod o-rwx on it",
          severity: .warning)
      }
      return secret
    } catch {
      report(path, .secret, "the secret file \(shown) cannot be read: \(error.reason)")
      return nil
    }
  }

  private mutating func read(variable: String, at path: ConfigPath) -> Secret? {
    guard let value = secrets.environment[variable] else {
      report(path, .secret, "the environment variable \(TOMLText.quoted(variable)) is not set")
      return nil
    }
    return Secret(bytes: Array(value.utf8))
  }

  // MARK: - Files

  private mutating func contents(of file: String, at path: ConfigPath) -> [UInt8]? {
    let shown = TOMLText.quoted(secrets.path(of: file))
    do throws(ConfigFile.Failure) {
      return try ConfigFile.read(secrets.path(of: file)).bytes
    } catch {
      report(path, .unreadable, "the file \(shown) cannot be read: \(error.reason)")
      return nil
    }
  }

  /// The settings of a file of their own; nil where there is none to read.
  private mutating func settings(
    _ name: String, _ folder: String, _ section: ConfigSection, _ key: ConfigKey, at path: ConfigPath
  ) -> ConfigTable? {
    let file = secrets.path(of: "\(folder)/\(name).toml")
    do throws(ConfigFile.Failure) {
      let content = try ConfigFile.read(file)
      let (document, syntaxProblems) = ConfigDocument.parse(bytes: content.bytes, file: file)
      var decoder = ConfigDecoder(
        document: document,
        secrets: SecretSource(folder: ConfigPathText.folder(of: file), secrets.environment))
      let table = decoder.decodeRoot(section)
      innerProblems += syntaxProblems.isEmpty ? decoder.sortedProblems : syntaxProblems
      return table
    } catch {
      if error.isMissing, case .document(name, let table)? = key.defaultValue { return table }
      let names =
        (try? ConfigFile.names(in: ConfigPathText.folder(of: file), matching: "*.toml")) ?? []
      report(
        path, .unreadable, "the file \(TOMLText.quoted(file)) cannot be read: \(error.reason)",
        suggestion: NearestName.of(name, in: names.map { String($0.dropLast(5)) }))
      return nil
    }
  }

  // MARK: - Problems

  private mutating func wrongType(_ path: ConfigPath, _ key: ConfigKey, _ entry: ConfigDocument.Node) {
    var hint = ""
    var suggestion: String?
    switch (key.kind, entry) {
    case (.duration, .integer(let number)): suggestion = ConfigDuration.suggestion(forPlain: number)
    case (.size, .integer(let number)): suggestion = ConfigSize.suggestion(forPlain: number)
    case (.strings, .string(let text)): suggestion = TOMLText.list(of: [text])
    case (.bool, .string("true")), (.bool, .string("false")): hint = ": leave out the quotes"
    case (.integer, .string(let text)) where Int(text) != nil: hint = ": leave out the quotes"
    case (.string, .integer), (.string, .bool): hint = ": put it in quotes"
    default: break
    }
    report(
      path, .wrongType, "\(TOMLText.quoted(key.name)) takes \(key.kind.phrase), not \(entry.typeName)\(hint)",
      suggestion: suggestion)
  }

  private mutating func outOfRange(_ path: ConfigPath, _ key: ConfigKey, _ value: String) {
    guard let range = key.kind.rangeText else { return }
    report(
      path, .outOfRange,
      "\(TOMLText.quoted(key.name)) must be from \(range.least) to \(range.most), not \(value)")
  }

  /// Notes a problem about the value at `path`, shown at that value or at the nearest table that is written.
  private mutating func report(
    _ path: ConfigPath, _ code: ConfigProblem.Code, _ message: String, suggestion: String? = nil,
    severity: ConfigProblem.Severity = .error, atKey keyPath: ConfigPath? = nil
  ) {
    let place = document.locator.position(ofValue: path)
    problems.append(
      ConfigProblem(
        severity: severity, file: document.file, line: place.line, column: place.column,
        key: (keyPath ?? path).text, code: code, message: message, suggestion: suggestion))
  }
}

extension ConfigKey {
  /// What stands in a decoded table where there is neither a value nor a default.
  var fallback: ConfigValue {
    if let defaultValue { return defaultValue }
    return switch kind {
    case .bool: .bool(false)
    case .integer(let range): .integer(range.lowerBound)
    case .string: .string("")
    case .duration(let range): .durationMilliseconds(range.lowerBound)
    case .size(let range): .sizeBytes(range.lowerBound)
    case .strings: .strings([])
    case .stringTable: .stringTable([:])
    case .tables: .tables([])
    case .secret: .secret(nil)
    case .file: .file(nil)
    case .document(_, let section): .document("", section.defaults)
    }
  }
}

extension ConfigKey.Kind {
  /// Continues "takes …".
  var phrase: String {
    switch self {
    case .bool: "true or false"
    case .integer(let range):
      "an integer from \(range.lowerBound) to \(range.upperBound)"
    case .string: "a string"
    case .duration: "a duration such as \"6s\""
    case .size: "a size such as \"10MiB\""
    case .strings: "a list of strings"
    case .stringTable: "a table of strings"
    case .tables: "a list of tables"
    case .secret: "a secret"
    case .file: "the path of a file"
    case .document: "the name of a file"
    }
  }

  /// The limits of a number, a duration or a size, as they are written.
  var rangeText: (least: String, most: String)? {
    switch self {
    case .integer(let range): (String(range.lowerBound), String(range.upperBound))
    case .duration(let range):
      (
        ConfigDuration.render(milliseconds: range.lowerBound),
        ConfigDuration.render(milliseconds: range.upperBound)
      )
    case .size(let range):
      (ConfigSize.render(bytes: range.lowerBound), ConfigSize.render(bytes: range.upperBound))
    default: nil
    }
  }
}
