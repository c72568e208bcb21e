import Testing

@testable import Origin

@Suite struct ConfigNamesTests {
  @Test(
    arguments: [
      ("segmnt", ["segment", "enabled"], "segment"), ("Segment", ["segment"], "segment"),
      ("drain-timeout", ["drain_timeout"], "drain_timeout"),
      ("lsiten", ["listen", "admin"], "listen"), ("redis", ["headers", "transcode"], nil), ("", ["ab"], nil),
      ("xy", ["ab"], nil),
      ("header_timout", ["header_block", "header_timeout"], "header_timeout"),
      (String(repeating: "x", count: 5000), ["x"], nil),
      ("a", [], nil),
    ] as [(String, [String], String?)]) func nearest(_ name: String, _ candidates: [String], _ found: String?)
  {
    #expect(NearestName.of(name, in: candidates) == found)
  }

  @Test(arguments: [
    ("", "", 0), ("abc", "", 3), ("", "abc", 3), ("abc", "acb", 1), ("kitten", "sitting", 3),
    ("ca", "abc", 3),
  ])
  func edits(_ first: String, _ second: String, _ count: Int) {
    #expect(NearestName.edits(from: Array(first.utf8), to: Array(second.utf8)) == count)
  }

  @Test(
    arguments: [
      ("Media.Example.COM", "media.example.com"), ("localhost", "localhost"), ("*", "*"),
      ("127.0.0.1", "127.0.0.1"), ("[::1]", "[::1]"),
      ("[2001:DB8:0:0::1]", "[2001:db8::1]"), ("origin_1", "origin_1"),
      (String(repeating: "a", count: 63), String(repeating: "a", count: 63)),
      ("", nil), ("a..b", nil), ("a.", nil), (".a", nil), ("-a", nil), ("a-", nil), ("a b", nil),
      ("a:80", nil), ("*.example.com", nil),
      ("ü.example", nil), ("[::1", nil), ("[127.0.0.1]", nil), ("::1", nil),
      (String(repeating: "a", count: 64), nil),
      (Array(repeating: "abcdefg", count: 32).joined(separator: "."), nil),
    ] as [(String, String?)]) func hosts(_ text: String, _ normal: String?)
  {
    #expect(HostName.normal(text) == normal)
  }

  @Test(arguments: [
    ("0.0.0.0:8080", "0.0.0.0", 8080), ("127.0.0.1:0", "127.0.0.1", 0), ("[::]:443", "::", 443),
    ("[2001:DB8::1]:65535", "2001:db8::1", 65535),
  ]) func addresses(_ text: String, _ host: String, _ port: Int) throws {
    let address = try #require(ListenAddress(text))
    #expect(address == ListenAddress(host: host, port: port))
    #expect(ListenAddress(address.description) == address)
  }

  @Test(arguments: [
    "", ":", "8080", ":8080", "localhost:8080", "0.0.0.0", "0.0.0.0:", "0.0.0.0:65536", "0.0.0.0:-1",
    "0.0.0.0:+80", "::1:80", "[::1]",
    "[::1]80", "[0.0.0.0]:80", "1.2.3:80", "1.2.3.4.5:80", "0.0.0.0:80 ", "[::1%lo]:80",
  ]) func notAddresses(_ text: String) {
    #expect(ListenAddress(text) == nil)
  }
}
