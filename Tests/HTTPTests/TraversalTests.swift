import Testing

@testable import HTTP

/// What may come of a path that tries to leave its folder: it is refused, or it stays inside.
@Suite struct TraversalTests {
  /// Spellings of "up one folder", from published attacks.
  static let steps = [
    "../", "..%2f", "..%2F", "%2e%2e/", "%2E%2E/", "%2e./", ".%2e/", "%2e%2e%2f", "..\\", "..%5c", "%2e%2e\\",
    "%2e%2e%5c", "..%252f", "%252e%252e/", "%252e%252e%252f", "..%255c", "%25252e%25252e/", "....//", "..../",
    ".../", "..;/", "..;x=y/", "..%00/", "..%00", "..%0d/", "..%0a/", "..%09/", "%c0%ae%c0%ae/", "%c0%ae./",
    "..%c0%af", "..%c1%9c", "%e0%80%ae%e0%80%ae/", "%f0%80%80%ae%f0%80%80%ae/", "%uff0e%uff0e/", "..%u2215",
    "%ef%bc%8e%ef%bc%8e/", "..%ef%bc%8f", ".%00./", "./../", "././../", "../..//", "//../", ".//../",
    "..%20/",
    "%20../", "..?/", "..#/", "..|/", "..%3b/", "..%2e/", "%2e%2e%2e/",
  ]
  static let prefixes = ["/", "/f/", "/f/a/b/"]
  static let targets = ["etc/passwd", "etc%2fpasswd", "headwater.toml", "f"]

  @Test(arguments: steps)
  func neverAboveTheRoot(step: String) {
    for prefix in Self.prefixes {
      for target in Self.targets {
        for depth in [1, 2, 8] {
          let path = prefix + String(repeating: step, count: depth) + target
          let seen = parse(get(path))
          guard isComplete(seen) else {
            #expect(failure(seen) != nil, "\(path) is neither taken nor refused")
            continue
          }
          // What is routed holds no dot segment and nothing that could become one or a slash when decoded.
          let segments = seen.path.split(separator: 0x2F, omittingEmptySubsequences: false)
          #expect(!segments.contains { $0 == Array(".".utf8)[...] || $0 == Array("..".utf8)[...] })
          #expect(!seen.path.contains(0x5C))
          guard let key = PercentDecoding.decode(seen.path.span) else { continue }
          #expect(!key.contains(0) && !key.contains(0x5C))
          let decoded = key.split(separator: 0x2F, omittingEmptySubsequences: false)
          #expect(decoded.count == segments.count)
          #expect(!decoded.contains { $0 == Array("..".utf8)[...] }, "\(path)")
        }
      }
    }
  }

  @Test(arguments: ["..", "%2e%2e", ".%2E", "%2e.", "./..", "a/../.."])
  func aboveTheRootIsRefused(path: String) {
    for end in ["", "/", "/etc/passwd", "?x"] {
      #expect(failure(parse(get("/" + path + end))) == .pathAboveRoot)
    }
  }
}

@Suite struct PercentCodingTests {
  private func decode(_ path: String) -> [UInt8]? {
    Array(path.utf8).withUnsafeBufferPointer { PercentDecoding.decode($0.span) }
  }

  @Test(arguments: [
    ("", ""), ("/a/b", "/a/b"), ("/%41", "/A"), ("/%c3%a9", "/é"), ("/%F0%9F%8E%AC", "/🎬"), ("/%25", "/%"),
    ("/%252e", "/%2e"), ("/a%20b", "/a b"), ("/%e2%82%ac", "/€"), ("/%EF%BF%BF", "/\u{FFFF}"),
    ("/%f4%8f%bf%bf", "/\u{10FFFF}"), ("/%ed%9f%bf", "/\u{D7FF}"), ("/é", "/é"), ("/%3F", "/?"),
  ])
  func decoded(path: String, expected: String) {
    #expect(decode(path).map(text) == expected)
  }

  @Test(arguments: [
    "%", "%4", "%4x", "%x4", "a%", "%00", "a%00b", "%2f", "%2F", "%5c", "%5C", "\\", "%80", "%BF", "%C0%80",
    "%c0%ae", "%c1%bf", "%e0%80%ae", "%e0%9f%bf", "%ed%a0%80", "%ed%bf%bf", "%f0%80%80%ae", "%f0%8f%bf%bf",
    "%f4%90%80%80", "%f5%80%80%80", "%ff", "%fe", "%c3", "%c3x", "%e2%82", "%e2%82x", "%f0%9f%8e",
    "%c3%a9%a9",
    "%f8%88%80%80%80", "%C3%28",
  ])
  func refused(path: String) {
    #expect(decode(path) == nil)
    var output = Array("kept".utf8)
    let accepted = Array(("x" + path).utf8).withUnsafeBufferPointer {
      PercentDecoding.decode($0.span, into: &output)
    }
    #expect(!accepted)
    #expect(text(output) == "kept")
  }

  @Test func decodingAppends() {
    var output = Array("a".utf8)
    let accepted = Array("%62c".utf8).withUnsafeBufferPointer {
      PercentDecoding.decode($0.span, into: &output)
    }
    #expect(accepted)
    #expect(text(output) == "abc")
  }

  @Test(arguments: [
    ("/a b/é%?#", "/a%20b/%C3%A9%25%3F%23", "%2Fa%20b%2F%C3%A9%25%3F%23"),
    ("a:b@c!$&'()*+,;=", "a:b@c!$&'()*+,;=", "a%3Ab%40c%21%24%26%27%28%29%2A%2B%2C%3B%3D"),
    ("-._~Az09", "-._~Az09", "-._~Az09"), ("", "", ""), ("\u{0}\\\"<>", "%00%5C%22%3C%3E", "%00%5C%22%3C%3E"),
  ])
  func encoded(value: String, path: String, component: String) {
    let bytes = Array(value.utf8)
    #expect(text(PercentEncoding.encode(path: bytes.span)) == path)
    #expect(text(PercentEncoding.encode(component: bytes.span)) == component)
  }

  @Test func utf8AgreesWithTheStandardLibrary() {
    let seed: UInt64 = 0x5EED_0005
    var random = SplitMix64(seed: seed)
    let leads: [UInt8] = [
      0x41, 0x7F, 0x80, 0x8F, 0x90, 0x9F, 0xA0, 0xBF, 0xC0, 0xC1, 0xC2, 0xDF, 0xE0, 0xE1, 0xED, 0xEF,
      0xF0, 0xF1, 0xF4, 0xF5, 0xFF,
    ]
    for _ in 0..<50_000 {
      let bytes = (0..<Int.random(in: 0...6, using: &random)).map { _ in leads.randomElement(using: &random)!
      }
      let expected = String(validating: bytes, as: Unicode.UTF8.self) != nil
      let found = UTF8.isWellFormed(bytes.span)
      #expect(found == expected, "seed \(seed): \(bytes)")
    }
  }
}
