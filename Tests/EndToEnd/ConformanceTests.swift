import Foundation
import Support
import Testing

/// Counts checks and keeps what was wrong, for tables of hundreds.
private struct Tally {
  private(set) var events = 0
  private(set) var violations: [String] = []

  mutating func check(_ isRight: Bool, _ label: @autoclosure () -> String) {
    events += 1
    if !isRight { violations.append(label()) }
  }

  func report(_ name: String) {
    print("\(name): \(events) events, \(violations.count) violations")
    #expect(violations.isEmpty, "\(name):\n\(violations.prefix(15).joined(separator: "\n"))")
  }
}

/// Sends requests over one connection for as long as the server keeps it.
private final class Client {
  private let server: ServerUnderTest
  private var connection: RawConnection?

  init(_ server: ServerUnderTest) { self.server = server }

  /// The answer to one request; `nil` where the connection ended without one.
  func ask(_ bytes: [UInt8], toHead: Bool = false) throws -> RawResponse? {
    for isLastTry in [false, true] {
      let isFresh = connection == nil
      let open = try connection ?? server.connect(timeout: .seconds(8))
      connection = open
      do {
        try open.send(bytes)
        let answer = try open.response(toHead: toHead)
        if answer["Connection"]?.lowercased() == "close" || answer.version == "HTTP/1.0" { connection = nil }
        return answer
      } catch {
        connection = nil
        if isFresh || isLastTry { return nil }
      }
    }
    return nil
  }

  func ask(_ text: String, toHead: Bool = false) throws -> RawResponse? {
    try ask(Array(text.utf8), toHead: toHead)
  }

  func get(_ path: String, _ fields: [(String, String)] = [], method: String = "GET") throws -> RawResponse {
    let lines = fields.map { "\($0.0): \($0.1)\r\n" }.joined()
    guard
      let answer = try ask(
        "\(method) \(path) HTTP/1.1\r\nHost: localhost\r\n\(lines)\r\n", toHead: method == "HEAD")
    else { throw SupportError("no answer to \(method) \(path) \(fields)") }
    return answer
  }
}

extension EndToEnd {
  /// RFC 9110 and RFC 9112 over raw sockets: tables with what each section asks for, and an evaluation of
  /// preconditions that is written from the text and shares nothing with the program.
  @Suite(.conformance) struct ConformanceTests {
    private static func paths(_ server: ServerUnderTest) throws -> [String] {
      let presentation = try Presentation(server, asset: "film")
      let first = try #require(presentation.playlists.first)
      return [
        "/f/notes.txt", "/f/big.bin", "/v/film/source", "/v/film/master.m3u8", "/v/film/manifest.mpd",
        first.path,
        try #require(first.playlist.initSegment), try presentation.segment(1),
      ]
    }

    // MARK: - Preconditions (RFC 9110 §13)

    /// A field's value, and whether its condition holds (§13.1); `nil` says that the field is to be ignored.
    private struct Condition {
      var value: String?
      var holds: Bool?
    }

    @Test func preconditionsAreEvaluatedInTheirOrder() throws {
      let server = try Served.server
      let client = Client(server)
      var tally = Tally()
      for path in ["/f/notes.txt", "/v/film/source", try Self.paths(server)[7]] {
        let plain = try client.get(path)
        let tag = try #require(plain["ETag"])
        let modified = try #require(plain["Last-Modified"])
        let earlier = "Sun, 06 Nov 1994 08:49:37 GMT"
        let matches = [
          Condition(value: nil, holds: nil), Condition(value: "*", holds: true),
          Condition(value: tag, holds: true),
          Condition(value: "W/\(tag)", holds: false), Condition(value: "\"other\"", holds: false),
          Condition(value: "\"a\", \(tag) , \"b,c\"", holds: true),
        ]
        let unmodified = [
          Condition(value: nil, holds: nil), Condition(value: modified, holds: true),
          Condition(value: earlier, holds: false), Condition(value: "yesterday", holds: nil),
          Condition(value: "Sunday, 06-Nov-94 08:49:37 GMT", holds: false),
          Condition(value: "Sun Nov  6 08:49:37 1994", holds: false),
        ]
        let noneMatch = [
          Condition(value: nil, holds: nil), Condition(value: "*", holds: false),
          Condition(value: tag, holds: false),
          Condition(value: "W/\(tag)", holds: false), Condition(value: "\"other\", W/\"x\"", holds: true),
          Condition(value: "\"x\",,\(tag)", holds: false),
        ]
        let modifiedSince = [
          Condition(value: nil, holds: nil), Condition(value: modified, holds: false),
          Condition(value: earlier, holds: true), Condition(value: "1994-11-06", holds: nil),
        ]
        for method in ["GET", "HEAD"] {
          for match in matches {
            for since in unmodified {
              for none in noneMatch {
                for later in modifiedSince {
                  var expected = 200
                  // §13.2.2, steps 1 to 4.
                  if match.value != nil {
                    if match.holds == false { expected = 412 }
                  } else if since.holds == false {
                    expected = 412
                  }
                  if expected == 200 {
                    if none.value != nil {
                      if none.holds == false { expected = 304 }
                    } else if later.holds == false {
                      expected = 304
                    }
                  }
                  let fields = [
                    ("If-Match", match.value), ("If-Unmodified-Since", since.value),
                    ("If-None-Match", none.value),
                    ("If-Modified-Since", later.value),
                  ].compactMap { name, value in value.map { (name, $0) } }
                  let answer = try client.get(path, fields, method: method)
                  tally.check(
                    answer.status == expected && (expected != 304 || answer["ETag"] == tag)
                      && (expected != 200 || method == "HEAD" || answer.body == plain.body),
                    "\(method) \(path) \(fields): \(answer.status), not \(expected)")
                }
              }
            }
          }
        }
      }
      tally.report("preconditions")
      #expect(tally.events >= 5000)
    }

    @Test func aRangeIsGivenOnlyIfItsConditionHolds() throws {
      let server = try Served.server
      let client = Client(server)
      var tally = Tally()
      for path in try Self.paths(server) {
        let plain = try client.get(path)
        let tag = try #require(plain["ETag"])
        let slice = Array(plain.body[5..<10])
        // §13.1.5: a strong tag that is equal; a weak one never; a date only if it is strong, which it is not in the
        // second in which the file was made, so that 200 is right for a while.
        for (value, allowed): (String?, [Int]) in [
          (nil, [206]), (tag, [206]), ("W/\(tag)", [200]), ("\"other\"", [200]), ("*", [200]),
          ("\(tag), \"b\"", [200]), (String(tag.dropFirst()), [200]),
          ("Sun, 06 Nov 1994 08:49:37 GMT", [200]), ("Sat, 01 Jan 2124 00:00:00 GMT", [200]),
          (plain["Last-Modified"], [200, 206]), ("nonsense", [200]), ("", [200, 206]),
        ] {
          let fields = [("Range", "bytes=5-9")] + (value.map { [("If-Range", $0)] } ?? [])
          let answer = try client.get(path, fields)
          tally.check(
            allowed.contains(answer.status) && answer.body == (answer.status == 206 ? slice : plain.body),
            "\(path) If-Range \(value ?? "none"): \(answer.status)")
          // Conditions come first (§13.2.2 step 5), and HEAD knows no range (§14.2).
          let unchanged = try client.get(path, fields + [("If-None-Match", tag)])
          tally.check(unchanged.status == 304 && unchanged.body.isEmpty, "\(path): 304 before a range")
          let failed = try client.get(path, fields + [("If-Match", "\"other\"")])
          tally.check(failed.status == 412, "\(path): 412 before a range")
          let head = try client.get(path, fields, method: "HEAD")
          tally.check(
            head.status == 200 && head["Content-Length"] == "\(plain.body.count)"
              && head["Content-Range"] == nil,
            "HEAD \(path) with a range: \(head.status)")
        }
      }
      tally.report("If-Range")
    }

    // MARK: - Ranges (RFC 9110 §14)

    @Test func rangesMeanTheSameOnEveryAnswer() throws {
      let server = try Served.server
      let client = Client(server)
      var tally = Tally()
      for path in try Self.paths(server) {
        let whole = try client.get(path).body
        let n = whole.count
        let single: [(String, Range<Int>)] = [
          ("0-0", 0..<1), ("0-", 0..<n), ("\(n - 1)-", (n - 1)..<n), ("-1", (n - 1)..<n), ("-\(n)", 0..<n),
          ("-\(n + 1)", 0..<n), ("-18446744073709551615", 0..<n), ("-99999999999999999999999", 0..<n),
          ("0-\(n - 1)", 0..<n), ("0-\(n)", 0..<n), ("0-18446744073709551615", 0..<n),
          ("7-99999999999999999999999", 7..<n), ("000007-0000009", 7..<10), (" 7-9", 7..<10),
          ("7-9 ", 7..<10),
          (",7-9", 7..<10), ("7-9,", 7..<10), (", ,7-9 ,,", 7..<10), ("7-9,\(n)-", 7..<10),
          ("7-9,10-12", 7..<13),
          ("7-9,8-12", 7..<13), ("7-9,-0", 7..<10),
        ]
        for (text, range) in single {
          for unit in ["bytes", "Bytes", "BYTES"] {
            let answer = try client.get(path, [("Range", "\(unit)=\(text)")])
            let isWhole = answer.status == 200 && answer.body == whole
            let isPart =
              answer.status == 206 && answer.body == Array(whole[range])
              && answer["Content-Range"] == "bytes \(range.lowerBound)-\(range.upperBound - 1)/\(n)"
              && answer["Content-Length"] == "\(range.count)"
            // A server may ignore a field (§14.2); what it may not is answer it wrong. Ours ignores what it calls
            // malformed, and merges what touches.
            let mayIgnore = text.contains(",") || text.contains(" ")
            tally.check(
              isPart || (mayIgnore && isWhole),
              "\(path) \(unit)=\(text): \(answer.status) \(answer["Content-Range"] ?? "")")
          }
        }
        for text in ["\(n)-", "\(n)-\(n + 5)", "-0", "18446744073709551616-", "\(n + 1)-,\(n + 9)-"] {
          let answer = try client.get(path, [("Range", "bytes=\(text)")])
          tally.check(
            answer.status == 416 && answer["Content-Range"] == "bytes */\(n)",
            "\(path) \(text): \(answer.status)")
        }
        for text in [
          "bytes=", "bytes", "=0-1", "bytes=-", "bytes=1", "bytes=a-b", "bytes=0-1-2",
          "bytes=0--1",
          "bytes=+0-1", "bytes=0x0-1", "bytes=0-1;", "bytes=0-1 2-3", "bytes:0-1", "bytes 0-1", "lines=0-1",
          "bytes=0-1,lines=2-3", "bytes=１-２", "none", "bytes=0-1,a", "bytes=0.5-1", "bytes=0-\u{0660}",
        ] {
          let answer = try client.get(path, [("Range", text)])
          tally.check(
            answer.status == 200 && answer.body == whole, "\(path) malformed \(text): \(answer.status)")
        }
        // A range that ends before it begins is invalid; the whole may then be sent, or the range refused (§14.2).
        let backwards = try client.get(path, [("Range", "bytes=2-1")])
        tally.check([200, 416].contains(backwards.status), "\(path) bytes=2-1: \(backwards.status)")
        if n > 4000 {
          let answer = try client.get(path, [("Range", "bytes=1-2,1000-1999,-3")])
          let parts = try multipart(answer)
          tally.check(
            answer.status == 206
              && parts.map(\.body) == [
                Array(whole[1...2]), Array(whole[1000...1999]), Array(whole.suffix(3)),
              ],
            "\(path): three ranges")
        }
      }
      tally.report("ranges")
      #expect(tally.events > 700)
    }

    // MARK: - HEAD, status codes and their fields

    @Test func headIsGetWithoutItsBody() throws {
      let server = try Served.server
      let client = Client(server)
      var tally = Tally()
      let more = [
        "/f/none", "/v/none/master.m3u8", "/v/film/none", "/blob/none", "/", "/f/%zz",
        "/v/film/source/segment_9999.m4s",
      ]
      for path in try Self.paths(server) + more {
        for fields in [
          [], [("If-None-Match", "*")], [("Origin", "https://a.example")], [("Accept-Encoding", "gzip")],
        ] {
          let get = try client.get(path, fields)
          let head = try client.get(path, fields, method: "HEAD")
          func comparable(_ answer: RawResponse) -> [String] {
            answer.fields.filter { !["date", "x-request-id"].contains($0.name.lowercased()) }
              .map { "\($0.name): \($0.value)" }
          }
          // The problem document of an error names the request, whose identifier has a constant length.
          tally.check(
            head.status == get.status && comparable(head) == comparable(get),
            "\(path) \(fields): \(get.status) \(comparable(get)), HEAD \(head.status) \(comparable(head))")
          tally.check(
            get["Date"] != nil && get["Transfer-Encoding"] == nil
              && (get.status == 304 ? get.body.isEmpty : get["Content-Length"] == "\(get.body.count)"),
            "\(path): Date and length")
          if get.status == 304 {
            tally.check(
              get["ETag"] != nil && get["Cache-Control"] != nil && get["Content-Type"] == nil,
              "\(path): fields of 304 (§15.4.5)")
          }
          if get.status >= 400 {
            tally.check(get["Content-Type"] == "application/problem+json", "\(path): a problem document")
          }
          if get.status == 401 { tally.check(get["WWW-Authenticate"] != nil, "\(path): §15.5.2") }
        }
      }
      for path in try Self.paths(server) {
        for method in [
          "PUT", "POST", "DELETE", "PATCH", "TRACE", "CONNECT", "LINK", "M-SEARCH", "get", "Head", "PROPFIND",
        ] {
          guard
            let answer = try client.ask(
              "\(method) \(path) HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n")
          else {
            tally.check(false, "\(method): no answer")
            continue
          }
          let isKnown = ["PUT", "POST", "DELETE", "PATCH"].contains(method)
          tally.check(
            isKnown
              ? answer.status == 405 && answer["Allow"]?.contains("GET") == true
              : [400, 405, 501].contains(answer.status),
            "\(method) \(path): \(answer.status)")
        }
      }
      tally.report("HEAD and status codes")
    }

    // MARK: - Message syntax (RFC 9112)

    /// Every byte in each place of a head: what the grammar allows there is taken, what it forbids refused.
    @Test func everyByteInEveryPlace() throws {
      let server = try Served.server
      let client = Client(server)
      var tally = Tally()
      let token = Set("!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ".utf8)
      let unreserved = Set(
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~!$&'()*+,;=:@/?".utf8)
      let good = Array("GET /f/notes.txt HTTP/1.1\r\nHost: localhost\r\n".utf8)
      for byte in UInt8.min...UInt8.max {
        // RFC 9110 §5.1: a field name is a token. A colon ends it.
        let name = try client.ask(good + Array("X".utf8) + [byte] + Array("Y: z\r\n\r\n".utf8))
        let nameIsGood = token.contains(byte) || byte == UInt8(ascii: ":")
        tally.check(name?.status == (nameIsGood ? 200 : 400), "byte \(byte) in a name: \(name?.status ?? 0)")
        // §5.5: field-vchar, space, tab; obs-text may be taken.
        let value = try client.ask(good + Array("X: a".utf8) + [byte] + Array("b\r\n\r\n".utf8))
        let valueIsGood = byte == 9 || byte >= 0x20 && byte != 0x7f
        tally.check(
          value?.status == (valueIsGood ? 200 : 400), "byte \(byte) in a value: \(value?.status ?? 0)")
        // RFC 9112 §3.1: a method is a token; unknown ones are 501.
        let method = try client.ask(
          Array("GE".utf8) + [byte] + Array("T /f/notes.txt HTTP/1.1\r\nHost: localhost\r\n\r\n".utf8))
        let methodIsGood = token.contains(byte)
        tally.check(
          methodIsGood
            ? [405, 501].contains(method?.status) : method.map { [400, 505].contains($0.status) } ?? false,
          "byte \(byte) in a method: \(method?.status ?? 0)")
        // §3.2: the target; what is no character of a URI is refused or is a path that nobody published.
        let target = try client.ask(
          Array("GET /f/x".utf8) + [byte] + Array("y HTTP/1.1\r\nHost: localhost\r\n\r\n".utf8))
        let allowed =
          unreserved.contains(byte) ? [404] : byte <= 0x20 || byte == 0x7f ? [400, 505] : [400, 404]
        tally.check(
          target.map { allowed.contains($0.status) } ?? false,
          "byte \(byte) in a target: \(target?.status ?? 0)")
        // §3.2.2 and RFC 3986 §3.2.2: a host.
        let host = try client.ask(
          Array("GET /f/notes.txt HTTP/1.1\r\nHost: local".utf8) + [byte] + Array("host\r\n\r\n".utf8))
        let isHost = unreserved.subtracting(Array(":@/?".utf8)).contains(byte)
        tally.check(
          isHost
            ? [200, 400].contains(host?.status)
            : [200, 400].contains(host?.status ?? 0)
              && (host?.status == 400 || byte == UInt8(ascii: ":") || byte == UInt8(ascii: "%")
                || byte >= 0x80),
          "byte \(byte) in Host: \(host?.status ?? 0)")
        // §4, §2.2: version digits.
        let version = try client.ask(
          Array("GET /f/notes.txt HTTP/1.".utf8) + [byte]
            + Array("\r\nHost: localhost\r\nConnection: close\r\n\r\n".utf8))
        let digits = Array("0123456789".utf8)
        tally.check(
          digits.contains(byte)
            ? [200, 505].contains(version?.status) : version.map { [400, 505].contains($0.status) } ?? false,
          "byte \(byte) as version: \(version?.status ?? 0)")
      }
      tally.report("bytes of a head")
      #expect(tally.events == 6 * 256)
    }

    /// What the grammar allows in other shapes than clients commonly use.
    @Test func unusualAndSoundRequestsAreAnswered() throws {
      let server = try Served.server
      let client = Client(server)
      var tally = Tally()
      let line = "GET /f/notes.txt HTTP/1.1\r\n"
      let host = "Host: localhost\r\n"
      let requests: [String] = [
        line + "HOST: localhost\r\n\r\n", line + "host:localhost\r\n\r\n",
        line + "Host:\t localhost \t\r\n\r\n",
        line + "Host: LOCALHOST\r\n\r\n", line + "Host: localhost:80\r\n\r\n",
        line + "Host: 127.0.0.1\r\n\r\n",
        line + "Host: [::1]:8080\r\n\r\n", line + "X:\r\n" + host + "\r\n", line + host + "X: \r\n\r\n",
        line + host + "X: \"a\\\"b\"\r\n\r\n", line + host + "X: a\tb  c\r\n\r\n",
        line + host + "X: ü\r\n\r\n",
        line + host + "A: 1\r\nA: 2\r\nA: 3\r\n\r\n", line + host + "Content-Length: 0\r\n\r\n",
        line + host + "Content-Length: 000\r\n\r\n", line + host + "Connection: keep-alive\r\n\r\n",
        line + host + "Connection: Keep-Alive, X\r\nX: y\r\n\r\n", line + host + "Connection: ,,\r\n\r\n",
        line + host + "TE: trailers\r\nConnection: TE\r\n\r\n", line + host + "Upgrade: websocket\r\n\r\n",
        line + host + "Upgrade: h2c\r\nConnection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: AAAA\r\n\r\n",
        line + host + "Accept: */*;q=0\r\n\r\n", line + host + "Accept-Encoding: identity;q=0\r\n\r\n",
        line + host + "Cookie: a=b; c=d\r\n\r\n", line + host + "Authorization: Basic eDp5\r\n\r\n",
        line + host + "Forwarded: for=\"[::1]\"\r\n\r\n", line + host + "X-Forwarded-For: 1.2.3.4\r\n\r\n",
        line + host + "Content-Length: 5\r\n\r\nhello",
        line + host + "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        line + host + "Transfer-Encoding: Chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
        line + host
          + "Transfer-Encoding: chunked\r\n\r\n5;a=b;c=\"d;e\"\r\nhello\r\n0;x\r\nT: r\r\nU: s\r\n\r\n",
        line + host + "Transfer-Encoding: chunked\r\n\r\n0005\r\nhello\r\n000\r\n\r\n",
        "GET /f/notes.txt? HTTP/1.1\r\n" + host + "\r\n",
        "GET /f/notes.txt?a=b&c=%2f%2e%2e HTTP/1.1\r\n" + host + "\r\n",
        "GET /f/notes.txt?? HTTP/1.1\r\n" + host + "\r\n", "GET /f/./notes.txt HTTP/1.1\r\n" + host + "\r\n",
        "GET /f/x/../notes.txt HTTP/1.1\r\n" + host + "\r\n",
        "GET /f/n%6ftes.txt HTTP/1.1\r\n" + host + "\r\n",
        "GET /%66/notes%2Etxt HTTP/1.1\r\n" + host + "\r\n",
        "GET http://localhost/f/notes.txt HTTP/1.1\r\n" + host + "\r\n",
        "GET HTTP://LOCALHOST:80/f/notes.txt HTTP/1.1\r\nHost: elsewhere\r\n\r\n",
        "GET /f/notes.txt HTTP/1.0\r\n\r\n",
        "GET /f/notes.txt HTTP/1.0\r\nHost: localhost\r\nConnection: keep-alive\r\n\r\n",
        "\r\n" + line + host + "\r\n", "\r\n\r\n" + line + host + "\r\n",
      ]
      for text in requests {
        let answer = try client.ask(text)
        tally.check(
          answer?.status == 200 && answer?.body.count == 1920,
          "\(text.debugDescription): \(answer?.status ?? 0)")
      }
      // The same, one behind the other on one connection: where one ends and the next begins is never in doubt.
      let connection = try server.connect()
      let kept = requests.filter { !$0.contains("HTTP/1.0") }
      for text in kept {
        try connection.send(text)
        let answer = try connection.response()
        tally.check(answer.status == 200, "kept open, \(text.debugDescription)")
        if answer["Connection"]?.lowercased() == "close" {
          tally.check(false, "closed after \(text.debugDescription)")
          break
        }
      }
      // And byte by byte.
      let slow = try server.connect()
      for text in [requests[0], requests[28], requests[30]] {
        for byte in text.utf8 { try slow.send([byte]) }
        tally.check(try slow.response().status == 200, "byte by byte")
      }
      for (text, isKept) in [
        (line + host + "Connection: close\r\n\r\n", false),
        (line + host + "Connection: X, CLOSE\r\n\r\n", false),
        (line + host + "\r\n", true), ("GET /f/notes.txt HTTP/1.0\r\n\r\n", false),
        ("GET /f/notes.txt HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n", true),
        (line + host + "Connection: keep-alive, close\r\n\r\n", false),
      ] {
        let one = try server.connect(timeout: .milliseconds(400))
        try one.send(text)
        let answer = try one.response()
        tally.check(answer.status == 200, "\(text.debugDescription): \(answer.status)")
        if isKept {
          try one.send(line + host + "\r\n")
          tally.check((try? one.response().status) == 200, "\(text.debugDescription) closed")
        } else {
          tally.check(
            answer["Connection"]?.lowercased() == "close" && one.isClosedByPeer(),
            "\(text.debugDescription) kept")
        }
      }
      tally.report("unusual requests")
    }

    // MARK: - Paths

    @Test func noSpellingOfAPathEscapes() throws {
      let server = try Served.server
      let client = Client(server)
      var tally = Tally()
      let canary = "canary-\(server.port)"
      try server.folder.write("canary.txt", text: canary)
      try server.folder.write("storage/canary.txt", text: canary)
      let steps = [
        "../", "%2e%2e/", "%2E%2E/", ".%2e/", "%2e./", "..%2f", "..%2F", "%2e%2e%2f", "..%5c", "..%5C",
        "..\\", "%2e%2e\\",
        "....//", "....\\\\", "..././", "..;/", "..;a=b/", "%252e%252e/", "%252e%252e%252f", "..%252f",
        "..%255c",
        "%c0%ae%c0%ae/", "%c0%ae%c0%ae%c0%af", "..%c0%af", "..%c1%9c", "%e0%80%ae%e0%80%ae/",
        "%f0%80%80%ae%f0%80%80%ae/",
        "%uff0e%uff0e/", "..%u2215", "..%u2216", "%ef%bc%8e%ef%bc%8e/", "..%ef%bc%8f", "..%00/", "%00../",
        "./../",
        "..//", "//../", ".//../", "..%20/", "%20../", "..%09/", "..?/", "..%3f/", "..#/", "..%23/", "..|/",
        "..%7c/", "..%0d%0a/",
      ]
      let targets = ["canary.txt", "etc/passwd", "index/data.mdb", "etc/headwater.toml"]
      for prefix in ["/", "/f/", "/f/notes.txt/", "/v/film/", "/v/film/g/", "/v/", "/blob/"] {
        for step in steps {
          for target in targets {
            for depth in [1, 3, 9] {
              let path = prefix + String(repeating: step, count: depth) + target
              let answer = try client.ask("GET \(path) HTTP/1.1\r\nHost: localhost\r\n\r\n")
              let text = answer?.text ?? ""
              tally.check(
                answer.map { [400, 401, 403, 404, 422].contains($0.status) } ?? false
                  && !text.contains(canary)
                  && !text.contains("root:") && !text.contains(server.folder.url.path),
                "\(path): \(answer?.status ?? 0)")
            }
          }
        }
      }
      tally.report("traversal")
      #expect(tally.events > 3500)
      // The same spellings as names to publish under.
      for step in steps.prefix(30) {
        let done = try server.headwater(["put", "--site", "demo", step + "x", Fixtures.path("notes.txt")])
        #expect([0, 1, 64].contains(done.status))
      }
      #expect(!FileManager.default.fileExists(atPath: server.folder.path("x")))
    }
  }
}

extension Trait where Self == Served {
  fileprivate static var conformance: Self {
    .served { server in
      try server.importAsset("film", Fixtures.path("h264-aac-2997.mp4"))
      try server.putFile("notes.txt", Fixtures.path("notes.txt"))
      var random = SplitMix64(seed: 4)
      try server.putFile("big.bin", server.folder.write("big.bin", random.bytes(200_000)))
    }
  }
}
