import Net
import Origin

/// Any service that takes JSON with a bearer token; what it takes is written as a template.
///
/// In a template `${urls}`, `${paths}` and `${tags}` stand for JSON arrays, `${site}` for the site's name as JSON text.
struct GenericVendor: PurgeVendor {
  struct Template: Equatable, Sendable {
    /// Behind the API's address.
    var path: String
    var body: String
  }

  let api: String
  let site: SiteURLs
  let siteName: String
  let fields: [HTTPField]
  let purge: Template
  /// The body where tags are purged; nil where the service has none.
  let tagBody: String?
  let everythingBody: String

  var kinds: Set<EdgeTask.Kind> { tagBody == nil ? [.path, .everything] : [.path, .tag, .everything] }
  let limits = VendorLimits(items: 100)

  func calls(for entries: [EdgeQueue.Entry], at moment: CallMoment) -> [PurgeCall] {
    var calls: [PurgeCall] = []
    func add(_ body: String, _ entries: [EdgeQueue.Entry], urls: [String] = [], tags: [String] = []) {
      let paths = entries.of(.path).map(\.task.name)
      calls.append(
        PurgeCall(
          request: request(
            Template(path: purge.path, body: body), lists: ["urls": urls, "paths": paths, "tags": tags]),
          entries: entries))
    }
    for batch in entries.of(.path).batches(max(1, limits.items / max(1, site.bases.count))) {
      add(purge.body, batch, urls: batch.flatMap { site.urls($0.task.name) })
    }
    if let tagBody {
      for batch in entries.of(.tag).batches(limits.items) {
        add(tagBody, batch, tags: batch.map(\.task.name))
      }
    }
    for entry in entries.of(.everything) { add(everythingBody, [entry]) }
    return calls
  }

  /// A POST of a filled-in template.
  func request(_ template: Template, lists: [String: [String]], json: [String: [UInt8]] = [:]) -> HTTPRequest
  {
    var values = json
    for (name, list) in lists { values[name] = Self.json(list) }
    var name = JSONWriter()
    name.value(siteName)
    values["site"] = name.bytes
    return HTTPRequest(
      "POST", api + template.path,
      fields: fields + [
        HTTPField("Content-Type", "application/json"), HTTPField("Accept", "application/json"),
      ],
      body: Self.fill(template.body, values))
  }

  static func json(_ list: [String]) -> [UInt8] {
    var json = JSONWriter()
    json.array(list) { $0.value($1) }
    return json.bytes
  }

  /// Puts values in the place of `${name}`; a name that has none is left as it is.
  static func fill(_ template: String, _ values: [String: [UInt8]]) -> [UInt8] {
    var filled: [UInt8] = []
    var rest = Substring(template)
    while let start = rest.firstRange(of: "${"), let end = rest[start.upperBound...].firstIndex(of: "}") {
      filled += rest[..<start.lowerBound].utf8
      filled += values[String(rest[start.upperBound..<end])] ?? Array(rest[start.lowerBound...end].utf8)
      rest = rest[rest.index(after: end)...]
    }
    return filled + rest.utf8
  }
}
