import Loop
import Support
import Testing

@testable import Net

/// Targets that a public-only client must not reach, in the spellings by which filters of names are got around. A canary
/// listens where the local ones would arrive, and must see nobody.
@Suite struct RequestForgeryTests {
  /// `PORT` is the canary's.
  static let targets = [
    // Names, and literals that resolvers and inet_aton read as 127.0.0.1.
    "http://localhost:PORT/", "http://LOCALHOST:PORT/", "http://localhost.:PORT/", "http://127.0.0.1:PORT/",
    "http://127.1:PORT/", "http://127.0.1:PORT/", "http://127.127.127.127:PORT/", "http://2130706433:PORT/",
    "http://0x7f000001:PORT/", "http://0x7f.0x0.0x0.0x1:PORT/", "http://0177.0.0.1:PORT/",
    "http://017700000001:PORT/",
    "http://0x7f.1:PORT/", "http://127.0.0.1.:PORT/", "http://user:pass@127.0.0.1:PORT/",
    "http://1.1.1.1@127.0.0.1:PORT/", "http://%31%32%37.0.0.1:PORT/",
    // Unspecified addresses, to which Linux connects as to loopback.
    "http://0.0.0.0:PORT/", "http://0:PORT/", "http://[::]:PORT/", "http://[::ffff:0.0.0.0]:PORT/",
    // IPv6, with IPv4 in it.
    "http://[::1]:PORT/", "http://[0:0:0:0:0:0:0:1]:PORT/", "http://[::ffff:127.0.0.1]:PORT/",
    "http://[::ffff:7f00:1]:PORT/", "http://[::127.0.0.1]:PORT/", "http://[64:ff9b::127.0.0.1]:PORT/",
    "http://[2002:7f00:1::]:PORT/",
    // Metadata services and networks.
    "http://169.254.169.254/latest/meta-data/", "http://169.254.169.253/", "http://[fd00:ec2::254]/",
    "http://100.100.100.200/", "http://168.63.129.16/", "http://[fe80::1]/", "http://10.0.0.1/",
    "http://172.16.0.1/",
    "http://192.168.0.1/", "http://100.64.0.1/", "http://224.0.0.1/", "http://255.255.255.255/",
    // Other protocols.
    "file:///etc/passwd", "gopher://127.0.0.1:PORT/_x", "ftp://127.0.0.1:PORT/", "dict://127.0.0.1:PORT/x",
    "telnet://127.0.0.1:PORT/", "ldap://127.0.0.1:PORT/", "smb://127.0.0.1:PORT/a",
    "concat:http://127.0.0.1:PORT/",
    "subfile,,start,0,end,9,,:/etc/passwd", "data:text/plain,x", "//127.0.0.1:PORT/", "http:127.0.0.1:PORT/",
  ]

  @Test func nobodyArrives() async throws {
    let canary = try Canary()
    #expect(Self.targets.count >= 40)
    try await withClient(HTTPClient.Options()) { client in
      for target in Self.targets {
        var request = HTTPRequest("GET", target.replacing("PORT", with: "\(canary.port)"))
        request.timeoutMilliseconds = 5000
        let code = await client.failure(request)
        let isForeign = !target.hasPrefix("http://")
        // Whether a resolver knows some spellings is its own affair.
        let expected: [HTTPClientError.Code?] =
          isForeign
          ? [.requestInvalid, .addressRefused] : [.addressRefused, .nameUnresolved, .requestInvalid]
        #expect(expected.contains(code), "\(target): \(code.map(\.rawValue) ?? "an answer")")
      }
    }
    #expect(canary.visits == 0)
  }

  /// The plain spellings are refused for their address, and the canary would have seen them.
  @Test func theCanaryIsThere() async throws {
    let canary = try Canary()
    for host in ["localhost", "127.0.0.1", "2130706433", "0x7f.1", "[::ffff:127.0.0.1]"] {
      var request = HTTPRequest("GET", "http://\(host):\(canary.port)/")
      request.timeoutMilliseconds = 200
      try await withClient(HTTPClient.Options()) { client in
        #expect(await client.failure(request) == .addressRefused, "\(host)")
      }
      #expect(canary.visits == 0)
      try await withClient { client in #expect(await client.failure(request) == .timedOut, "\(host)") }
      #expect(canary.visits > 0, "\(host)")
    }
  }
}
