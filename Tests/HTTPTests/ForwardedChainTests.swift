import Testing

@testable import HTTP

@Suite struct ForwardedChainTests {
  static let trusted = ["10.0.0.0/8", "2001:db8:1::/48"].compactMap { NetworkPrefix($0) }

  func client(_ fields: [String], peer: String = "10.0.0.1") throws -> NetworkAddress? {
    var head = RequestHead(limits: HTTPLimits())
    var progress = ParseProgress()
    let text = (["GET / HTTP/1.1", "Host: a"] + fields + ["", ""]).joined(separator: "\r\n")
    let address = try #require(NetworkAddress(peer))
    return Array(text.utf8).withUnsafeBytes { bytes in
      guard case .complete = head.parse(bytes, resuming: &progress) else { return nil }
      return head.clientAddress(peer: address, trusted: Self.trusted)
    }
  }

  @Test(arguments: [
    ([], "10.0.0.1"),
    (["X-Forwarded-For: 203.0.113.7"], "203.0.113.7"),
    // What stands to the left of the first address that is not trusted was written by who knows whom.
    (["X-Forwarded-For: 1.1.1.1, 203.0.113.7, 10.2.2.2"], "203.0.113.7"),
    (
      [
        "X-Forwarded-For: 1.1.1.1", "X-Other: 9.9.9.9", "X-Forwarded-For: 203.0.113.7",
        "X-Forwarded-For: 10.2.2.2",
      ], "203.0.113.7"
    ),
    (["X-Forwarded-For: 203.0.113.7:4711"], "203.0.113.7"),
    (["X-Forwarded-For: [2001:db8::7]:4711, 2001:db8:1::5"], "2001:db8::7"),
    (["X-Forwarded-For: 10.3.3.3,10.2.2.2"], "10.3.3.3"),
    (["X-Forwarded-For: 203.0.113.7, unknown, 10.2.2.2"], "10.2.2.2"),
    (["X-Forwarded-For: 203.0.113.7,"], "10.0.0.1"),
    (["X-Forwarded-For: "], "10.0.0.1"),
    (["X-Forwarded-For: 203.0.113.7, 10.2.2.2.2"], "10.0.0.1"),
    (["Forwarded: for=203.0.113.7"], "203.0.113.7"),
    (["Forwarded: for=1.1.1.1, For=\"[2001:db8::7]:4711\";proto=https;by=10.0.0.1"], "2001:db8::7"),
    (["Forwarded: proto=https;for=203.0.113.7:_hidden , for=10.2.2.2"], "203.0.113.7"),
    (["Forwarded: for=203.0.113.7;host=\"a,for=1.1.1.1\""], "203.0.113.7"),
    (["Forwarded: for=1.1.1.1;for=203.0.113.7"], "10.0.0.1"),
    (["Forwarded: for=_hidden"], "10.0.0.1"),
    (["Forwarded: for=\"203.0.113.7"], "10.0.0.1"),
    (["Forwarded: host=a"], "10.0.0.1"),
    // Forwarded is read where there are both.
    (["X-Forwarded-For: 1.1.1.1", "Forwarded: for=203.0.113.7"], "203.0.113.7"),
  ]) func theWalkEndsAtTheFirstThatIsNotTrusted(_ fields: [String], _ expected: String) throws {
    #expect(try client(fields) == NetworkAddress(expected))
  }

  @Test func anUntrustedPeerIsTheClientWhateverItWrites() throws {
    for field in ["X-Forwarded-For: 203.0.113.7", "Forwarded: for=203.0.113.7"] {
      #expect(try client([field], peer: "198.51.100.1") == NetworkAddress("198.51.100.1"))
    }
  }

  @Test func theWalkIsBounded() throws {
    let many = "X-Forwarded-For: 203.0.113.7" + String(repeating: ", 10.9.9.9", count: 32)
    #expect(try client([many]) == NetworkAddress("10.9.9.9"))
    let fewer = "X-Forwarded-For: 203.0.113.7" + String(repeating: ", 10.9.9.9", count: 31)
    #expect(try client([fewer]) == NetworkAddress("203.0.113.7"))
  }
}

@Suite struct TraceContextTests {
  @Test(arguments: [
    ("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", true),
    ("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00", true),
    ("01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more", true),
    ("01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", true),
    ("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more", false),
    ("01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01.more", false),
    ("01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-a\"b", false),
    ("ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", false),
    ("00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01", false),
    ("00-00000000000000000000000000000000-00f067aa0ba902b7-01", false),
    ("00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01", false),
    ("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-0", false),
    ("00_4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", false),
    ("00-4bf92f3577b34da6a3ce929d0e0e473g-00f067aa0ba902b7-01", false), ("", false),
  ]) func onlyWhatTheSpecificationAllows(_ text: String, _ isValid: Bool) {
    #expect(TraceContext.isValid(Array(text.utf8).span) == isValid)
  }
}
