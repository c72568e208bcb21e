import Origin

/// Answers `/hello` with a text from the settings.
final class GreetingPlugin: Plugin {
  static let declaration = PluginDeclaration(
    name: "greeting", summary: "Answers /hello with a text.",
    settings: ConfigSection(
      "greeting", "What to say.",
      keys: [.string("text", default: "Hello.", .nonEmpty, "The answer, whole.", example: "Good day.")]))

  private let text: String

  init(site: String, settings: ConfigTable) throws(PluginError) {
    text = settings.string("text")
    guard text.utf8.count <= 1000 else {
      throw PluginError(key: "text", "a greeting has at most 1000 bytes: shorten it")
    }
  }

  func join(_ pipeline: inout PipelineBuilder) {
    pipeline.add(Locator())
    pipeline.add(Greeter(text: text))
  }

  /// Turns the path into a target of this plugin; nil leaves it to the next handler.
  private struct Locator: LocateHandler {
    func locate(_ path: [UInt8], in site: Site) -> Target? {
      path.elementsEqual("/hello".utf8) ? .plugin("greeting", path: path) : nil
    }
  }

  /// Makes the answer. Ranges, HEAD, conditions and caching follow from it.
  private struct Greeter: ContentHandler {
    let text: String

    func content(for target: Target, in context: ContentContext) throws(Problem) -> ContentOutcome {
      guard case .plugin("greeting", _) = target else { return .declined }
      let body = Array((text + "\n").utf8)
      return .representation(
        context.representation(
          AnswerInfo(site: context.site.name, kind: .file), contentType: "text/plain; charset=utf-8",
          // A strong tag: other bytes, another tag, and equal on every node and after every restart.
          etag: Array("greeting-\(Self.digest(body))".utf8),
          lastModifiedMilliseconds: 0, slices: [.bytes(body)]))
    }

    /// FNV-1a in 64 bits.
    private static func digest(_ bytes: [UInt8]) -> String {
      String(
        bytes.reduce(0xcbf2_9ce4_8422_2325 as UInt64) { ($0 ^ UInt64($1)) &* 0x100_0000_01b3 }, radix: 16)
    }
  }
}
