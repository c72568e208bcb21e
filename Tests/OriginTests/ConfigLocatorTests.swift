import Testing

@testable import Origin

@Suite struct ConfigLocatorTests {
  private func locate(_ text: String) -> ConfigLocator { ConfigLocator(Array(text.utf8)) }

  /// The text, a path, where its key is, where its value is: `line:column`.
  @Test(
    arguments: [
      ("a = 1", ["a"], "1:1", "1:5"),
      ("\n\n  a=1", ["a"], "3:3", "3:5"),
      ("# a = 1\na = 2 # b = 3", ["a"], "2:1", "2:5"),
      ("\u{FEFF}a = 1", ["a"], "1:1", "1:5"),
      ("a = 1\r\nb = 2\r\n", ["b"], "2:1", "2:5"),
      ("ü = 1\n\"ä.ö\" = 'é' # é\nz = 1", ["z"], "3:1", "3:5"),
      ("\"ä.ö\" = 'é'", ["ä.ö"], "1:1", "1:9"),
      ("'a b' . \"c\\u0064\" = 1", ["a b", "cd"], "1:9", "1:21"),
      ("[t]\nx = 1", ["t", "x"], "2:1", "2:5"),
      ("[t]\nx = 1", ["t"], "1:2", "1:1"),
      ("  [ a . 'b' ]\nx = 1", ["a", "b"], "1:9", "1:3"),
      ("[a.b]\n[a]\nx = 1", ["a", "x"], "3:1", "3:5"),
      ("[a]\nb.c.d = 5", ["a", "b", "c", "d"], "2:5", "2:9"),
      ("[a]\nb.c.d = 5", ["a", "b", "c"], "2:3", "2:3"),
      ("l = [1, 2,\n  3]", ["l", 2], "2:3", "2:3"),
      ("l = [ # [9]\n  'a]', # ]\n  \"b\\\"]\",\n  c ]", ["l", 2], "4:3", "4:3"),
      ("t = { a = 1, b = { c = 2 } }", ["t", "b", "c"], "1:20", "1:24"),
      (
        "r = [{ class = 's', set = { \"X-A\" = '1' } }, { class = 't' }]", ["r", 0, "set", "X-A"], "1:29",
        "1:37"
      ),
      ("r = [{ class = 's', set = { \"X-A\" = '1' } }, { class = 't' }]", ["r", 1, "class"], "1:48", "1:56"),
      ("[[p]]\nx = 1\n[[p]]\nx = 2", ["p", 1, "x"], "4:1", "4:5"),
      ("[[p]]\n[p.q]\nx = 1\n[[p]]\n[p.q]\nx = 2", ["p", 1, "q", "x"], "6:1", "6:5"),
      ("[[p]]\n[[p.q]]\nx = 1\n[[p.q]]\nx = 2", ["p", 0, "q", 1, "x"], "5:1", "5:5"),
      ("m = \"\"\"\n[no]\nx = 1\n\"\"\"\ny = 2", ["y"], "5:1", "5:5"),
      ("m = '''\n[no]\n''''\ny = 2", ["y"], "4:1", "4:5"),
      ("m = \"\"\"a\"\"b\\\n   \"\"\"\"\"\ny = 2", ["y"], "3:1", "3:5"),
      ("m = \"\"\"\"quoted\"\"\"\"\ny = 2", ["y"], "2:1", "2:5"),
      ("m = \"\"\ny = ''\nz = 1", ["z"], "3:1", "3:5"),
      ("i = -1_000 # one\nh = 0xFF\nb = true\ny = 1", ["y"], "4:1", "4:5"),
    ] as [(String, ConfigPath, String, String)])
  func places(_ text: String, _ path: ConfigPath, _ key: String, _ value: String) {
    let locator = locate(text)
    let keyPlace = locator.position(ofKey: path)
    let valuePlace = locator.position(ofValue: path)
    #expect(locator.keys[path] != nil)
    #expect("\(keyPlace.line):\(keyPlace.column)" == key)
    #expect("\(valuePlace.line):\(valuePlace.column)" == value)
  }

  @Test func whatIsNotWrittenIsShownAtItsTable() {
    let locator = locate("a = 1\n[t.u]\nx = 1\n[[l]]\n")
    #expect(locator.position(ofKey: ["t", "u", "missing"]) == ConfigPosition(line: 2, column: 4))
    #expect(locator.position(ofValue: ["t", "u", "missing"]) == ConfigPosition(line: 2, column: 4))
    #expect(locator.position(ofKey: ["l", 0, "missing"]) == ConfigPosition(line: 4, column: 1))
    #expect(locator.position(ofKey: ["nowhere"]) == .start)
    #expect(locate("").position(ofKey: []) == .start)
  }

  @Test(arguments: [
    "a = [1", "[", "[[", "a", "a =", "= 1", "\"", "a = \"\\", "{", "a = {", "]]]]", "a = }", "'''", "\\",
  ])
  func brokenTextsEnd(_ text: String) {
    _ = locate(text)
    _ = locate(text + "\nb = 1")
  }

  @Test func nestingIsLimited() {
    let dotted = Array(repeating: "a", count: 100_000).joined(separator: ".")
    for text in [
      "\(dotted) = 1", "[\(dotted)]", "x = " + String(repeating: "[", count: 100_000),
      "x = " + String(repeating: "{a=", count: 100_000),
    ] {
      #expect(locate(text).refusal != nil)
      let (_, problems) = ConfigDocument.parse(bytes: Array(text.utf8), file: "deep.toml")
      #expect(problems.map(\.code) == [.syntax])
      #expect(problems.first?.message == "tables and lists are nested more than 32 deep")
    }
  }

  /// Every path that the TOML library finds must be found here too, and its key must stand where we say.
  @Test func agreesWithTheParser() throws {
    var texts = try ConfigFixture.names(in: ConfigCasesTests.folder).map { name in
      let text = String(decoding: try ConfigFixture.read(ConfigCasesTests.folder + "/" + name), as: UTF8.self)
      return text.split(separator: "----\n", maxSplits: 1).first.map(String.init) ?? ""
    }
    texts.append(
      String(
        decoding: try ConfigFixture.read(ConfigFixture.packageFolder + "/etc/sites/demo.toml"), as: UTF8.self)
    )
    texts.append(ConfigMutationTests.tricky)
    var compared = 0
    for text in texts { compared += Self.compare(text) }
    #expect(compared > 100)
  }

  /// The number of paths compared; 0 for a text that is not TOML.
  static func compare(_ text: String, _ comment: Comment? = nil) -> Int {
    let (document, problems) = ConfigDocument.parse(bytes: Array(text.utf8), file: "x.toml")
    guard problems.isEmpty else { return 0 }
    let lines = text.split(omittingEmptySubsequences: false, whereSeparator: { $0 == "\n" || $0 == "\r\n" })
    var compared = 0
    func visit(_ node: ConfigDocument.Node, _ path: ConfigPath) {
      if let last = path.last {
        guard let place = document.locator.keys[path] else {
          Issue.record("\(path.text) has no place in:\n\(text)\n\(comment.map { "\($0)" } ?? "")")
          return
        }
        compared += 1
        if case .key(let name) = last, place.line <= lines.count {
          let rest = lines[place.line - 1].unicodeScalars.dropFirst(place.column - 1)
          let isThere = rest.first == "\"" || rest.first == "'" || rest.starts(with: name.unicodeScalars)
          #expect(isThere, "\(path.text) is not at \(place.line):\(place.column) of:\n\(text)")
        }
      }
      switch node {
      case .table(let entries): for (name, entry) in entries { visit(entry, path + [.key(name)]) }
      case .list(let list): for (number, entry) in list.enumerated() { visit(entry, path + [.index(number)]) }
      default: break
      }
    }
    visit(.table(document.root), [])
    return compared
  }
}
