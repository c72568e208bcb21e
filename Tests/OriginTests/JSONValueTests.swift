import Testing

@testable import Origin

@Suite struct JSONValueTests {
  static let sound: [(String, JSONValue)] = [
    ("null", .null), (" true\r\n\t", .bool(true)), ("false", .bool(false)), ("0", .number("0")),
    ("-1.50e+10", .number("-1.50e+10")), (#""""#, .string("")),
    (#""a\"\\\/\b\f\n\r\t\u0041\ud83d\ude00é""#, .string("a\"\\/\u{08}\u{0C}\n\r\tA😀é")),
    ("[]", .array([])), ("[1, [2]]", .array([.number("1"), .array([.number("2")])])), ("{ }", .object([])),
    (
      #"{"a": 1, "": null}"#,
      .object([.init(key: "a", value: .number("1")), .init(key: "", value: .null)])
    ),
    // One accent in two spellings is two keys.
    (
      "{\"\u{E9}\": 1, \"e\u{301}\": 2}",
      .object([.init(key: "\u{E9}", value: .number("1")), .init(key: "e\u{301}", value: .number("2"))])
    ),
  ]

  @Test(arguments: sound) func takesWhatIsJSON(text: String, value: JSONValue) throws {
    #expect(try JSONValue(Array(text.utf8)) == value)
  }

  static let unsound: [(String, Int)] = [
    ("", 0), ("  ", 2), ("nul", 0), ("true false", 5), ("01", 1), ("-", 1), ("1.", 2), ("1e", 2), ("+1", 0),
    (".5", 0), ("NaN", 0), ("\"a", 2), ("\"\\x\"", 2), ("\"\u{01}\"", 1), (#""\ud800""#, 7),
    (#""\udc00""#, 7), (#""\ud800\u0041""#, 13), (#""\u12"#, 3), ("[1,]", 3), ("[1 2]", 3), ("[", 1),
    ("{\"a\"}", 4), ("{\"a\":1,}", 7), ("{a:1}", 1), ("{\"a\":1,\"a\":2}", 7), ("{\"a\":1,\"\\u0061\":2}", 7),
    ("'a'", 0), ("// a\n1", 0), ("\u{FEFF}1", 0),
  ]

  @Test(arguments: unsound) func refusesTheRest(text: String, offset: Int) throws {
    #expect(try Self.error(Array(text.utf8))?.offset == offset)
  }

  @Test func refusesWhatIsNotUTF8() throws {
    #expect(try Self.error([0x22, 0xFF, 0x22]) == JSONError(message: "a string is not UTF-8", offset: 1))
    #expect(try Self.error([0x22, 0xED, 0xA0, 0x80, 0x22]) != nil)
  }

  @Test func nestingAndNumberOfValuesAreBounded() throws {
    func nested(_ depth: Int) -> [UInt8] {
      Array(repeating: UInt8(ascii: "["), count: depth) + Array(repeating: UInt8(ascii: "]"), count: depth)
    }
    #expect(try Self.error(nested(JSONValue.deepest)) == nil)
    #expect(try Self.error(nested(JSONValue.deepest + 1)) != nil)
    #expect(try Self.error(nested(400_000)) != nil)
    func list(_ count: Int) -> [UInt8] {
      Array("[\(Array(repeating: "1", count: count).joined(separator: ","))]".utf8)
    }
    #expect(try Self.error(list(JSONValue.mostValues - 1)) == nil)
    #expect(try Self.error(list(JSONValue.mostValues)) != nil)
  }

  /// Bytes of a sound text, changed at random: a value or an error, and never an end of the process.
  @Test func changedBytesAreAnError() throws {
    var random = ConfigRandom(seed: 7)
    let text = Array(#"{"title":"\u00e9 \ud83d\ude00","tags":["a",-1.5e3,null,true],"o":{"x":[{}]}}"#.utf8)
    for _ in 0..<20_000 {
      var changed = text
      for _ in 0..<(1 + Int(random.next() % 4)) {
        let place = Int(random.next() % UInt64(changed.count))
        switch random.next() % 3 {
        case 0: changed[place] = UInt8(truncatingIfNeeded: random.next())
        case 1: changed.remove(at: place)
        default: changed.insert(changed[Int(random.next() % UInt64(changed.count))], at: place)
        }
      }
      if let error = try Self.error(changed) { #expect((0...changed.count).contains(error.offset)) }
    }
  }

  /// What is written is read as it was.
  @Test func writerAndReaderAgree() throws {
    var json = JSONWriter()
    json.object { json in
      json.member("text", "a\"\\\u{0}\n\u{7F}<&>é😀")
      json.member("none", nil as String?)
      json.member("list", ["", "b"])
      json.member("number", Int64.min)
      json.key("seconds")
      json.value(thousandths: 12_005)
      json.key("nested")
      json.array([true, false]) { json, flag in json.object { $0.member("flag", flag) } }
    }
    let value = try JSONValue(json.bytes)
    guard case .object(let members) = value else { return #expect(Bool(false), "\(value)") }
    #expect(members[0].value == .string("a\"\\\u{0}\n\u{7F}<&>é😀"))
    #expect(members[1].value == .null)
    #expect(members[2].value == .array([.string(""), .string("b")]))
    #expect(members[3].value == .number("-9223372036854775808"))
    #expect(members[4].value == .number("12.005"))
    #expect(members.map(\.key) == ["text", "none", "list", "number", "seconds", "nested"])
  }

  private static func error(_ text: [UInt8]) throws -> JSONError? {
    do throws(JSONError) {
      _ = try JSONValue(text)
      return nil
    } catch { return error }
  }
}
