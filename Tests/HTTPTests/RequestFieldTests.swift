import Testing

@testable import HTTP

@Suite struct RequestFieldTests {
  @Test(arguments: [
    ("X : y", RequestError.Code.malformedFieldName), ("X\t: y", .malformedFieldName),
    (": y", .malformedFieldName),
    ("X", .malformedFieldName), ("X y: z", .malformedFieldName), ("X(: y", .malformedFieldName),
    ("X\"y: z", .malformedFieldName), ("é: x", .malformedFieldName), ("X/Y: z", .malformedFieldName),
    ("Host :a", .malformedFieldName), ("Content-Length : 5", .malformedFieldName),
    ("X;: y", .malformedFieldName),
    (" X: y", .foldedField), ("\tX: y", .foldedField), (" folded", .foldedField),
    ("X: a\r\n b", .foldedField),
    ("X: a\r\n\tb", .foldedField), (" ", .foldedField), ("X: a\u{0}b", .controlCharacter),
    ("X: a\u{1}", .controlCharacter), ("X: a\u{7F}", .controlCharacter), ("X\u{0}: a", .controlCharacter),
    ("X: \u{1B}[0m", .controlCharacter), ("X: a\u{B}b", .controlCharacter), ("X: a\u{C}b", .controlCharacter),
    ("X: \u{1F}", .controlCharacter), ("{}: x", .malformedFieldName), ("X@: y", .malformedFieldName),
  ])
  func malformed(line: String, code: RequestError.Code) {
    #expect(failure(parse(request("GET / HTTP/1.1", "Host: a", line))) == code)
    #expect(failure(parse(request("GET / HTTP/1.1", line, "Host: a"))) == code)
  }

  @Test(arguments: [
    ("X:", ""), ("X: ", ""), ("X: \t ", ""), ("X:y", "y"), ("X: y ", "y"), ("X:\t y\t", "y"),
    ("X: a b", "a b"),
    ("X: a\tb", "a\tb"), ("X: é", "é"), ("X: a:b", "a:b"), ("X: :", ":"), ("X: \"a, b\"", "\"a, b\""),
    ("X: ~!@#$%^&*()", "~!@#$%^&*()"), ("x:1234567\t", "1234567"), ("X: \t\t\t\t\t\t\t\tz", "z"),
  ])
  func values(line: String, value: String) {
    let seen = parse(request("GET / HTTP/1.1", "Host: a", line))
    #expect(isComplete(seen))
    #expect(text(seen.fields[3]) == value)
  }

  @Test(arguments: KnownField.allCases)
  func knownFieldsInAnyCase(field: KnownField) throws {
    let name = "\(field.name)"
    let spellings = [name, name.uppercased(), name.capitalized(everyOther: true)]
    for spelling in spellings {
      let found = Array(spelling.utf8).withUnsafeBufferPointer { KnownField(name: $0.span) }
      #expect(found == field)
    }
    for near in [
      name + "x", String(name.dropLast()), "x" + name, name.dropLast() + "!", name.dropLast() + "\r",
    ] {
      let found = Array(near.utf8).withUnsafeBufferPointer { KnownField(name: $0.span) }
      #expect(found == nil)
    }
  }

  @Test func thereAreAsManyKnownFieldsAsSlots() {
    #expect(KnownField.allCases.count == KnownField.count)
  }

  @Test func lookups() {
    var head = RequestHead(limits: HTTPLimits())
    var progress = ParseProgress()
    let input = Array(
      request(
        "GET / HTTP/1.1", "Host: a", "X-Two: 1", "range: bytes=0-1", "x-two: 2", "RANGE: bytes=5-6",
        "Tus-Resumable: 1.0.0"
      ).utf8)
    input.withUnsafeBytes { buffer in
      let result = head.parse(buffer, resuming: &progress)
      #expect(result == .complete(headBytes: input.count))
      let counts = [head.fieldCount, head.fieldCount(of: .range), head.fieldCount(of: .ifRange)]
      #expect(counts == [6, 2, 0])
      let found = [
        string(head.field(.range)), string(head.field(.ifRange)), string(head.field(named: "x-two")),
        string(head.field(named: Array("tus-resumable".utf8))), string(head.field(named: "host")),
        string(head.field(named: "x-three")), string(head.field(named: Array("x-tw".utf8))),
        string(head.fieldName(at: 4)), string(head.fieldValue(at: 4)),
      ]
      #expect(
        found == ["bytes=0-1", nil, "1", "1.0.0", "a", nil, nil, "RANGE", "bytes=5-6"])
    }
  }

  // MARK: Host

  @Test(arguments: [
    ("a", "a", nil), ("Example.COM", "Example.COM", nil), ("a.b.", "a.b.", nil), ("a:80", "a", UInt16(80)),
    ("a:", "a", nil), ("a:0080", "a", 80), ("127.0.0.1:8080", "127.0.0.1", 8080), ("[::1]", "[::1]", nil),
    ("[::1]:443", "[::1]", 443), ("[2001:db8::8a2e:370:7334]", "[2001:db8::8a2e:370:7334]", nil),
    ("[::]", "[::]", nil), ("[1:2:3:4:5:6:7:8]", "[1:2:3:4:5:6:7:8]", nil),
    ("[::ffff:192.0.2.1]:1", "[::ffff:192.0.2.1]", 1), ("[1::8]", "[1::8]", nil),
    (
      "[1:2:3:4:5:6:7::]",
      "[1:2:3:4:5:6:7::]", nil
    ), ("xn--bcher-kva.example", "xn--bcher-kva.example", nil),
    ("under_score.a-b~c", "under_score.a-b~c", nil), ("a:65535", "a", 65535),
  ])
  func hosts(value: String, host: String, port: UInt16?) {
    let seen = parse(request("GET / HTTP/1.1", "Host: \(value)"))
    #expect(isComplete(seen))
    #expect(text(seen.host) == host)
    #expect(seen.hostPort == port)
  }

  @Test(arguments: [
    "", " ", "a b", "a/b", "a@b", "a\\b", "a,b", "a;b", "a?b", "a#b", "a%41", "http://a", "<a>", "a\"", ":80",
    ":",
    "a:b", "a:8 0", "a:-1", "a:+1", "a:65536", "a:99999999999999999999", "a:80:90", "a..b", ".a", "..", ".",
    "[", "]", "[]", "[::1", "::1", "[::1]x", "[::1]:x", "[:1]", "[1:]", "[1:2:3:4:5:6:7]",
    "[1:2:3:4:5:6:7:8:9]",
    "[1::2::3]", "[12345::]", "[g::]", "[::1%25eth0]", "[v1.x]", "[1:2:3:4:5:6:7::8]", "[::1.2.3]",
    "[::1.2.3.4.5]", "[::256.1.1.1]", "[::01.1.1.1]", "[1.2.3.4]", "[:::]", "[::1.2.3.4:5]", "a{b}", "é", "*",
    "[1:2:3:4:5:6:7:1.2.3.4]", "a&b", "a=b", "a'b", "(a)", "a|b", "a^b", "a`b", "a!", "$a",
  ])
  func malformedHosts(value: String) {
    #expect(failure(parse(request("GET / HTTP/1.1", "Host: \(value)"))) == .malformedHost)
    #expect(failure(parse(request("GET / HTTP/1.0", "Host: \(value)"))) == .malformedHost)
    #expect(failure(parse(request("GET http://h/ HTTP/1.1", "Host: \(value)"))) == .malformedHost)
  }

  @Test func hostMustBeThereOnce() {
    #expect(failure(parse(request("GET / HTTP/1.1"))) == .missingHost)
    #expect(failure(parse(request("GET http://a/ HTTP/1.1"))) == .missingHost)
    #expect(failure(parse(request("GET / HTTP/1.1", "Host: a", "Host: a"))) == .duplicateHost)
    #expect(failure(parse(request("GET / HTTP/1.1", "Host: a", "X: y", "hOST: b"))) == .duplicateHost)
    #expect(failure(parse(request("GET / HTTP/1.0", "Host: a", "Host: b"))) == .duplicateHost)
    let old = parse(request("GET / HTTP/1.0"))
    #expect(isComplete(old) && old.host.isEmpty)
  }

  // MARK: Connection

  @Test(arguments: [
    (1, [], true), (1, ["close"], false), (1, ["Close"], false), (1, ["keep-alive"], true),
    (1, ["x, close"], false),
    (1, ["close, keep-alive"], false), (1, ["keep-alive", "close"], false), (1, [",,close,"], false),
    (1, ["closed"], true), (1, ["x-close"], true), (1, [""], true), (1, ["upgrade"], true),
    (1, [" close "], false),
    (0, [], false), (0, ["keep-alive"], true), (0, ["Keep-Alive"], true), (0, ["close"], false),
    (0, ["keep-alive, close"], false), (0, ["x", "keep-alive"], true), (0, ["keepalive"], false),
    (1, ["\"close\""], true), (1, ["x ,\tclose"], false),
  ])
  func keepAlive(minor: Int, values: [String], expected: Bool) {
    let lines = values.map { "Connection: \($0)\r\n" }.joined()
    let seen = parse("GET / HTTP/1.\(minor)\r\nHost: a\r\n\(lines)\r\n")
    #expect(isComplete(seen))
    #expect(seen.keepAlive == expected)
  }
}

extension String {
  fileprivate func capitalized(everyOther: Bool) -> String {
    enumerated().map { $0.offset % 2 == 0 ? $0.element.uppercased() : String($0.element) }.joined()
  }
}
