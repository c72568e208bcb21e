import Origin

extension PluginContract {
  /// Joining takes the same places each time, and for each instance.
  func places(of plugin: any Plugin, and other: any Plugin, _ text: String) -> [Violation] {
    let first = Self.places(of: plugin)
    for again in [Self.places(of: plugin), Self.places(of: other)] where again != first {
      return [Violation(rule: .joinStable, detail: "\(text): joins \(first), then \(again)")]
    }
    return []
  }

  /// The handlers of each phase by type, in order, the built-in ones included.
  private static func places(of plugin: any Plugin) -> [[String]] {
    let pipeline = Pipeline(plugins: [plugin])
    return [
      pipeline.access.map { "\(Swift.type(of: $0))" }, pipeline.locate.map { "\(Swift.type(of: $0))" },
      pipeline.content.map { "\(Swift.type(of: $0))" },
      pipeline.headerFilters.map { "\(Swift.type(of: $0))" },
      pipeline.logs.map { "\(Swift.type(of: $0))" },
    ]
  }

  /// What the server itself writes: a filter must neither change nor add it.
  static let framing = [
    "Connection", "Content-Length", "Content-Range", "Content-Type", "Date", "ETag", "Keep-Alive",
    "Last-Modified", "Trailer", "Transfer-Encoding", "Upgrade", "X-Request-Id",
  ]

  func filters(of plugin: any Plugin, _ text: String) -> [Violation] {
    let filters = Pipeline(plugins: [plugin]).headerFilters
    var found: [Violation] = []
    for info in Self.answers {
      for before in [Self.usualFields, Self.allFields] {
        var once = before
        var again = before
        for filter in filters { filter.filter(&once, of: info) }
        for filter in filters { filter.filter(&again, of: info) }
        let place = "\(text): \(info.kind.rawValue) \(info.status)"
        if once != again { found.append(Violation(rule: .filterPure, detail: place)) }
        for name in Self.framing where Self.values(name, in: once) != Self.values(name, in: before) {
          found.append(Violation(rule: .filterFraming, detail: "\(place): changes \(name)"))
        }
        for field in once.fields where !Self.isSound(field.name, field.value) {
          found.append(
            Violation(rule: .filterFields, detail: "\(place): \(field.name) can't stand in a head"))
        }
      }
    }
    return found
  }

  private static let answers: [AnswerInfo] = AnswerKind.allCases.flatMap { kind in
    (kind == .error ? [400, 404, 416, 500] : [200]).flatMap { status in
      [true, false].map { isImmutable in
        AnswerInfo(
          site: site, kind: kind, isImmutable: isImmutable, assetID: kind == .file ? nil : "a1",
          rendition: kind == .segment ? "source" : nil, status: status)
      }
    }
  }

  private static let usualFields: HeaderFields = {
    var fields = HeaderFields()
    fields.set("Accept-Ranges", "bytes")
    fields.set("ETag", "\"0123\"")
    fields.set("Last-Modified", "Sat, 01 Jan 2022 00:00:00 GMT")
    fields.set("Cache-Control", "public, max-age=60")
    fields.set("Access-Control-Allow-Origin", "*")
    return fields
  }()

  private static let allFields: HeaderFields = {
    var fields = usualFields
    for name in framing where fields[name] == nil { fields.add(name, "as the server wrote it") }
    return fields
  }()

  private static func values(_ name: String, in fields: HeaderFields) -> [[UInt8]] {
    fields.fields.filter { $0.name.lowercased() == name.lowercased() }.map(\.value)
  }

  /// RFC 9110 §5.1 and §5.5: a token, and no control byte but the tab.
  private static func isSound(_ name: String, _ value: [UInt8]) -> Bool {
    let punctuation = Array("!#$%&'*+-.^_`|~".utf8)
    let isToken =
      !name.isEmpty
      && name.utf8.allSatisfy {
        (0x30...0x39).contains($0) || (0x41...0x5A).contains($0) || (0x61...0x7A).contains($0)
          || punctuation.contains($0)
      }
    return isToken && value.allSatisfy { $0 == 0x09 || ($0 >= 0x20 && $0 != 0x7F) }
  }
}
