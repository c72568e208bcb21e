import Testing

@testable import HTTP

@Suite struct RequestTargetTests {
  @Test(arguments: [
    ("/", "/"), ("/a", "/a"), ("/a/", "/a/"), ("/a/b.m3u8", "/a/b.m3u8"), ("//", "//"),
    ("//a//b//", "//a//b//"),
    ("/.", "/"), ("/./", "/"), ("/a/.", "/a/"), ("/a/./b", "/a/b"), ("/a/..", "/"), ("/a/../", "/"),
    ("/a/../b", "/b"), ("/a/b/../c", "/a/c"), ("/a/b/..", "/a/"), ("/a/b/../..", "/"), ("/a/./../b", "/b"),
    ("/a//../b", "/a/b"), ("//..", "/"), ("//../a", "/a"), ("/...", "/..."), ("/a/...", "/a/..."),
    ("/.a", "/.a"), ("/..a", "/..a"), ("/a..", "/a.."), ("/a./b", "/a./b"),
    ("/.well-known/x", "/.well-known/x"),
    ("/%61", "/a"), ("/%41%7a%30", "/Az0"), ("/%2D%2e%5F%7E", "/-._~"), ("/%2e", "/"), ("/%2E/a", "/a"),
    ("/a/%2e%2E/b", "/b"), ("/a/.%2e", "/"), ("/a/%2e./b", "/b"), ("/%20", "/%20"), ("/%c3%a9", "/%C3%A9"),
    ("/%3a", "/%3A"), ("/%3f%23", "/%3F%23"), ("/%25", "/%25"), ("/%252e%252e/x", "/%252e%252e/x"),
    ("/%252F", "/%252F"), ("/a;b=c,d/e!$&'()*+=:@", "/a;b=c,d/e!$&'()*+=:@"), ("/%21", "/%21"),
    ("/a|b", "/a%7Cb"), ("/[x]", "/%5Bx%5D"), ("/{x}", "/%7Bx%7D"), ("/\"<>^`", "/%22%3C%3E%5E%60"),
    ("/..;/x", "/..;/x"), ("/%0d%0a", "/%0D%0A"), ("/%c0%ae%c0%ae/", "/%C0%AE%C0%AE/"), ("/*", "/*"),
    ("/a/b/c/./../../g", "/a/g"), ("/mid/content=5/../6", "/mid/6"), ("/http://b/c", "/http://b/c"),
  ])
  func normalForm(target: String, path: String) {
    let seen = parse(get(target))
    #expect(isComplete(seen))
    #expect(text(seen.path) == path)
    #expect(text(seen.rawTarget) == target)
    #expect(seen.query == nil)
    let again = parse(get(path))
    #expect(text(again.path) == path)
  }

  @Test(arguments: [
    ("/%", RequestError.Code.malformedEscape), ("/%1", .malformedEscape), ("/%1?x=22", .malformedEscape),
    ("/%g0", .malformedEscape), ("/%0g", .malformedEscape), ("/%%32", .malformedEscape),
    ("/%-1", .malformedEscape), ("/%u002e", .malformedEscape), ("/a%", .malformedEscape),
    ("/%00", .forbiddenEscape), ("/a%00.mp4", .forbiddenEscape), ("/%2f", .forbiddenEscape),
    ("/%2F", .forbiddenEscape), ("/a%2fb", .forbiddenEscape), ("/%5c", .forbiddenEscape),
    ("/%5C", .forbiddenEscape), ("/..%2f", .forbiddenEscape), ("/\\", .backslashInPath),
    ("/a\\..\\b", .backslashInPath), ("/..", .pathAboveRoot), ("/../a", .pathAboveRoot),
    ("/a/../..", .pathAboveRoot), ("/a/../../b", .pathAboveRoot), ("/./..", .pathAboveRoot),
    ("/%2e%2e", .pathAboveRoot), ("/%2e%2e/etc/passwd", .pathAboveRoot), ("/.%2E/", .pathAboveRoot),
    ("/a#b", .malformedTarget), ("/#", .malformedTarget), ("/?#", .malformedTarget),
    ("/?a=b#c", .malformedTarget), ("*", .malformedTarget), ("a", .malformedTarget),
    ("a/b", .malformedTarget),
    ("example.com", .malformedTarget), ("example.com:80", .malformedTarget), ("?x", .malformedTarget),
    ("ftp://a/", .malformedTarget), ("http:/a", .malformedTarget), ("http:a", .malformedTarget),
    ("http://", .malformedTarget), ("http:///", .malformedHost), ("http://?x", .malformedHost),
    ("http://u@h/", .malformedHost), ("http://u:p@h/", .malformedHost), ("http://h:x/", .malformedHost),
    ("http://h:65536/", .malformedHost), ("http://[::1/", .malformedHost), ("http://a#b", .malformedHost),
    ("http://a/../..", .pathAboveRoot), ("http://a\\b/", .malformedHost), ("http://%61/", .malformedHost),
    ("https://", .malformedTarget), ("\\", .malformedTarget), ("%2f", .malformedTarget),
  ])
  func refused(target: String, code: RequestError.Code) {
    #expect(failure(parse(get(target))) == code)
  }

  @Test(arguments: [
    ("/?", "/", ""), ("/?a", "/", "a"), ("/a?b=c&d", "/a", "b=c&d"), ("/a?b?c", "/a", "b?c"),
    ("/a?/../b", "/a", "/../b"), ("/a?%", "/a", "%"), ("/a?%00%2f\\{|}", "/a", "%00%2f\\{|}"),
    ("/%61/./b?%61", "/a/b", "%61"), ("http://h?x=1", "/", "x=1"), ("http://h/?x", "/", "x"),
    ("http://h/p/%2e?x", "/p/", "x"),
  ])
  func queryIsUntouched(target: String, path: String, query: String) {
    let seen = parse(get(target))
    #expect(text(seen.path) == path)
    #expect(seen.query.map(text) == query)
  }

  @Test(arguments: [
    ("http://Example.com/x", "Example.com", nil, "/x"), ("HTTP://h:8080/x", "h", UInt16(8080), "/x"),
    ("https://h", "h", nil, "/"), ("http://h:/", "h", nil, "/"), ("http://[::1]:81/a", "[::1]", 81, "/a"),
    ("http://10.0.0.1/%2e", "10.0.0.1", nil, "/"),
  ])
  func absoluteForm(target: String, host: String, port: UInt16?, path: String) {
    let seen = parse(request("GET \(target) HTTP/1.1", "Host: other:99"))
    #expect(isComplete(seen))
    #expect(text(seen.host) == host)
    #expect(seen.hostPort == port)
    #expect(text(seen.path) == path)
  }

  @Test func asteriskForm() {
    let seen = parse(request("OPTIONS * HTTP/1.1", "Host: a"))
    #expect(seen.isAsteriskForm && text(seen.path) == "*" && text(seen.host) == "a")
    let absolute = parse(request("OPTIONS http://h:1 HTTP/1.1", "Host: a"))
    #expect(absolute.isAsteriskForm && text(absolute.path) == "*" && text(absolute.host) == "h")
    #expect(!parse(request("OPTIONS / HTTP/1.1", "Host: a")).isAsteriskForm)
    #expect(!parse(request("OPTIONS http://h?x HTTP/1.1", "Host: a")).isAsteriskForm)
    #expect(failure(parse(request("OPTIONS ** HTTP/1.1", "Host: a"))) == .malformedTarget)
  }

  @Test func authorityForm() {
    let seen = parse(request("CONNECT h.example:443 HTTP/1.1", "Host: h.example:443"))
    #expect(seen.method == .connect && text(seen.host) == "h.example" && seen.hostPort == 443)
    #expect(seen.path.isEmpty)
  }

  @Test(arguments: [
    ("/", RequestError.Code.malformedHost), ("h", .malformedTarget), ("h:", .malformedTarget),
    ("http://h:1/", .malformedHost), ("*", .malformedHost), ("h:1/x", .malformedHost),
    (":1", .malformedHost),
  ])
  func connectNeedsHostAndPort(target: String, code: RequestError.Code) {
    #expect(failure(parse(request("CONNECT \(target) HTTP/1.1", "Host: a"))) == code)
  }

  @Test func aNormalPathIsNotCopied() {
    var head = RequestHead(limits: HTTPLimits())
    var progress = ParseProgress()
    let input = Array(get("/v/a/segment_0001.m4s?x=1").utf8)
    input.withUnsafeBytes { buffer in
      _ = head.parse(buffer, resuming: &progress)
      let path = head.path.withUnsafeBufferPointer { UnsafeRawPointer($0.baseAddress) }
      #expect(path == buffer.baseAddress.map { $0 + 4 })
    }
  }
}
