import Testing

@testable import CDNPlugin
@testable import Net

/// Each vendor's calls, byte for byte as its documentation has them.
@Suite struct PurgeVendorTests {
  private func calls(_ edge: Edge, _ entries: [EdgeQueue.Entry]) -> [String] {
    edge.vendor.calls(for: entries, at: CDNFixture.moment).map { CDNFixture.text($0.request) }
  }

  private func response(_ status: Int, _ body: String = "", retryAfter: UInt64? = nil) -> HTTPResponse {
    HTTPResponse(
      status: status, fields: [], body: Array(body.utf8), bodyBytes: body.utf8.count, majorVersion: 1,
      retryAfterMilliseconds: retryAfter)
  }

  private func verdict(
    _ edge: Edge, _ status: Int, _ body: String = "", retryAfter: UInt64? = nil
  ) throws -> PurgeVerdict {
    let call = try #require(
      edge.vendor.calls(for: [CDNFixture.entry(.path, "/f/a")], at: CDNFixture.moment).first)
    return edge.vendor.verdict(on: response(status, body, retryAfter: retryAfter), to: call)
  }

  @Test func generic() throws {
    let edge = try CDNFixture.edge(
      "generic",
      "api = \"https://api.example.net\"\ntoken_env = \"TOKEN\"\npurge_tags_body = '{\"tags\":${tags}}'")
    #expect(edge.method == .tag)
    let head = """
      Authorization: Bearer t0ken
      Content-Type: application/json
      Accept: application/json
      """
    #expect(
      try calls(
        edge,
        [
          CDNFixture.entry(.path, "/f/a"), CDNFixture.entry(.path, "/f/b"),
          CDNFixture.entry(.tag, "latest-x"),
          CDNFixture.entry(.everything),
        ]) == [
          "POST https://api.example.net/cache/purge\n\(head)\n"
            + #"{"urls":["https://media.example.com/f/a","https://media.example.com/f/b"]}"#,
          "POST https://api.example.net/cache/purge\n\(head)\n" + #"{"tags":["latest-x"]}"#,
          "POST https://api.example.net/cache/purge\n\(head)\n" + #"{"all":true}"#,
        ])
    #expect(try verdict(edge, 204) == .done)
    #expect(try verdict(edge, 429, retryAfter: 7000) == .later("it answers 429", afterMilliseconds: 7000))
    #expect(try verdict(edge, 400) == .refused("it answers 400"))
    for status in [301, 307, 401, 403] {
      guard case .later(_, 30_000) = try verdict(edge, status) else {
        Issue.record("\(status)")
        continue
      }
    }
  }

  @Test func genericTemplatesAndRules() throws {
    let edge = try CDNFixture.edge(
      "generic",
      """
      api = "https://api.example.net"
      purge_path = "/p"
      purge_body = '{"s":${site},"p":${paths},"x":"${other}"}'
      rules = { "/v/*" = "60s", "/v/*/g/*" = "365d" }
      """)
    #expect(
      try calls(edge, [CDNFixture.entry(.path, "/f/a")]) == [
        "POST https://api.example.net/p\nContent-Type: application/json\nAccept: application/json\n"
          + #"{"s":"demo","p":["/f/a"],"x":"${other}"}"#
      ])
    #expect(
      try CDNFixture.text(#require(edge.rulesCall)) == """
        POST https://api.example.net/cache/rules
        Content-Type: application/json
        Accept: application/json
        {"rules":[{"path":"/v/*/g/*","ttl":31536000},{"path":"/v/*","ttl":60}]}
        """)
  }

  @Test func fastly() throws {
    let edge = try CDNFixture.edge("fastly", "zone = \"SU1\"\ntoken_env = \"TOKEN\"\nsoft = true")
    #expect(
      try calls(
        edge,
        [
          CDNFixture.entry(.tag, "latest-a"), CDNFixture.entry(.tag, "latest-b"),
          CDNFixture.entry(.path, "/f/a%20b"), CDNFixture.entry(.everything),
        ]) == [
          """
          POST https://api.fastly.com/service/SU1/purge
          Fastly-Key: t0ken
          Accept: application/json
          Fastly-Soft-Purge: 1
          Content-Type: application/json
          {"surrogate_keys":["latest-a","latest-b"]}
          """,
          """
          POST https://api.fastly.com/purge/media.example.com/f/a%20b
          Fastly-Key: t0ken
          Accept: application/json
          Fastly-Soft-Purge: 1
          """,
          """
          POST https://api.fastly.com/service/SU1/purge_all
          Fastly-Key: t0ken
          Accept: application/json
          """,
        ])
    let many = try (1...300).map { try CDNFixture.entry(.tag, "t\($0)", sequence: $0) }
    #expect(edge.vendor.calls(for: many, at: CDNFixture.moment).map(\.entries.count) == [256, 44])
  }

  @Test func cloudflare() throws {
    let edge = try CDNFixture.edge("cloudflare", "zone = \"023e\"\ntoken_env = \"TOKEN\"")
    let head = """
      POST https://api.cloudflare.com/client/v4/zones/023e/purge_cache
      Authorization: Bearer t0ken
      Content-Type: application/json

      """
    #expect(
      try calls(
        edge,
        [
          CDNFixture.entry(.tag, "latest-a"), CDNFixture.entry(.path, "/f/a"),
          CDNFixture.entry(.tree, "/v/a/"),
          CDNFixture.entry(.everything),
        ]) == [
          head + #"{"tags":["latest-a"]}"#, head + #"{"files":["https://media.example.com/f/a"]}"#,
          head + #"{"prefixes":["media.example.com/v/a/"]}"#, head + #"{"hosts":["media.example.com"]}"#,
        ])
    #expect(try verdict(edge, 200, #"{"success":true,"result":{"id":"x"}}"#) == .done)
    #expect(try verdict(edge, 200, #"{"success":false}"#) == .refused("it answers 200 without success"))
    #expect(
      try verdict(edge, 200, #"{"success":tr"#) == .later("its answer is no JSON", afterMilliseconds: 0))
    let many = try (1...250).map { try CDNFixture.entry(.tag, "t\($0)", sequence: $0) }
    #expect(edge.vendor.calls(for: many, at: CDNFixture.moment).map(\.entries.count) == [100, 100, 50])
  }

  @Test func akamai() throws {
    let edge = try CDNFixture.edge(
      "akamai",
      """
      api = "https://akaa-baseurl-xxx.luna.akamaiapis.net"
      key_id = "akab-client-token-xxx"
      key_secret_env = "SECRET"
      access_token_env = "ACCESS"
      soft = true
      """)
    let moment = CallMoment(seconds: 1_395_430_461, nonce: "nonce-xx-xx-xx-xx")
    let found = try edge.vendor.calls(for: [CDNFixture.entry(.path, "/v/abc/master.m3u8")], at: moment)
    #expect(
      found.map { CDNFixture.text($0.request) } == [
        """
        POST https://akaa-baseurl-xxx.luna.akamaiapis.net/ccu/v3/invalidate/url/production
        Authorization: EG1-HMAC-SHA256 client_token=akab-client-token-xxx;access_token=akab-access-token-xxx;\
        timestamp=20140321T19:34:21+0000;nonce=nonce-xx-xx-xx-xx;signature=\(SignatureTests.mediaSignature)
        Content-Type: application/json
        {"objects":["https://media.example.com/v/abc/master.m3u8"]}
        """
      ])
    let tags = try edge.vendor.calls(for: [CDNFixture.entry(.tag, "latest-a")], at: moment)
    #expect(tags.first?.request.url.hasSuffix("/ccu/v3/invalidate/tag/production") == true)
    let long = String(repeating: "x", count: 120)
    let many = try (1...1200).map { try CDNFixture.entry(.tag, "\(long)\($0)", sequence: $0) }
    let calls = edge.vendor.calls(for: many, at: moment)
    #expect(calls.reduce(0) { $0 + $1.entries.count } == 1200)
    #expect(calls.allSatisfy { ($0.request.body?.count ?? 0) <= 50_000 && $0.entries.count <= 500 })
    #expect(
      try verdict(edge, 403, #"{"title":"unauthorized arl","detail":"https://x/y"}"#)
        == .refused("it answers 403: the account may not purge this"))
    #expect(try verdict(edge, 429) == .later("it answers 429", afterMilliseconds: 5000))
    #expect(try verdict(edge, 507) == .later("it answers 507", afterMilliseconds: 0))
    #expect(try verdict(edge, 201) == .done)
  }

  @Test func cloudFront() throws {
    let edge = try CDNFixture.edge(
      "cloudfront", "zone = \"EDFDVBD6EXAMPLE\"\nkey_id = \"AKIDEXAMPLE\"\nkey_secret_env = \"SECRET\"")
    #expect(edge.method == .url)
    let entries = try [
      CDNFixture.entry(.path, "/f/a&b", sequence: 7), CDNFixture.entry(.tag, "asset-abc", sequence: 8),
      CDNFixture.entry(.tree, "/v/abc/", sequence: 9),
    ]
    let calls = edge.vendor.calls(for: entries, at: CDNFixture.moment)
    let bodies = calls.map { String(decoding: $0.request.body ?? [], as: UTF8.self) }
    #expect(bodies.count == 2)
    #expect(bodies[0].contains("<Quantity>1</Quantity><Items><Path>/v/abc/*</Path></Items>"))
    #expect(
      bodies[1].contains(
        "<Quantity>2</Quantity><Items><Path>/f/a&amp;b</Path><Path>#asset-abc</Path></Items>"))
    // The same try has the same reference, whenever it is made; a later purge of the same has another.
    let later = CallMoment(seconds: CDNFixture.moment.seconds + 60, nonce: "n")
    #expect(edge.vendor.calls(for: entries, at: later).map(\.request.body) == calls.map(\.request.body))
    var again = entries
    again[0].version = 2
    #expect(
      edge.vendor.calls(for: again, at: later).last?.request.body != calls.last?.request.body)
    #expect(
      try verdict(edge, 400, "<Code>TooManyInvalidationsInProgress</Code>")
        == .later("too many invalidations are in progress", afterMilliseconds: 30_000))
    #expect(try verdict(edge, 400, "<Code>InvalidArgument</Code>") == .refused("it answers 400"))
  }

  @Test func bunny() throws {
    let edge = try CDNFixture.edge("bunny", "zone = \"42\"\ntoken_env = \"TOKEN\"")
    #expect(
      try calls(
        edge,
        [
          CDNFixture.entry(.path, "/f/a?b=c"), CDNFixture.entry(.tree, "/v/a/"),
          CDNFixture.entry(.tag, "latest-a"), CDNFixture.entry(.everything),
        ]) == [
          "POST https://api.bunny.net/purge?url=https%3A%2F%2Fmedia.example.com%2Ff%2Fa%3Fb%3Dc&async=true\nAccessKey: t0ken",
          "POST https://api.bunny.net/purge?url=https%3A%2F%2Fmedia.example.com%2Fv%2Fa%2F*&async=true\nAccessKey: t0ken",
          "POST https://api.bunny.net/pullzone/42/purgeCache\nAccessKey: t0ken\nContent-Type: application/json\n"
            + #"{"CacheTag":"latest-a"}"#,
          "POST https://api.bunny.net/pullzone/42/purgeCache\nAccessKey: t0ken\nContent-Type: application/json\n{}",
        ])
  }

  @Test func varnish() throws {
    let edge = try CDNFixture.edge("varnish", "servers = [\"http://10.0.0.5:6081\"]\ntoken_env = \"TOKEN\"")
    let head = "Host: media.example.com\nX-Purge-Token: t0ken"
    let entries = try [
      CDNFixture.entry(.tag, "latest-a"), CDNFixture.entry(.tag, "latest-b"), CDNFixture.entry(.path, "/f/a"),
      CDNFixture.entry(.tree, "/v/a.b/"), CDNFixture.entry(.everything),
    ]
    #expect(
      calls(edge, entries) == [
        "PURGE http://10.0.0.5:6081/\n\(head)\nxkey-purge: latest-a latest-b",
        "PURGE http://10.0.0.5:6081/f/a\n\(head)",
        "BAN http://10.0.0.5:6081/\n\(head)\nX-Ban-Path: ^/v/a[.]b/",
        "BAN http://10.0.0.5:6081/\n\(head)\nX-Ban-Path: ^/",
      ])
    let banning = try CDNFixture.edge("varnish", "servers = [\"http://10.0.0.5:6081\"]\nban = true")
    #expect(
      try calls(banning, [CDNFixture.entry(.tag, "latest-a"), CDNFixture.entry(.tag, "b")]) == [
        "BAN http://10.0.0.5:6081/\nHost: media.example.com\nX-Ban-Tags: (^|\\s)(latest-a|b)(\\s|$)"
      ])
  }

  @Test func nginxAndTrafficServer() throws {
    for vendor in ["nginx", "trafficserver"] {
      let edge = try CDNFixture.edge(vendor, "servers = [\"http://10.0.0.5\"]")
      #expect(edge.method == .url)
      #expect(
        try calls(edge, [CDNFixture.entry(.path, "/f/a")]) == [
          "PURGE http://10.0.0.5/f/a\nHost: media.example.com"
        ])
      #expect(try verdict(edge, 404) == .done)
      #expect(try verdict(edge, 502) == .later("it answers 502", afterMilliseconds: 0))
      guard case .later = try verdict(edge, 403) else {
        Issue.record("403 is to be tried again")
        continue
      }
    }
    let refreshing = try CDNFixture.edge("nginx", "servers = [\"http://10.0.0.5\"]\nrefresh = true")
    #expect(
      try calls(refreshing, [CDNFixture.entry(.path, "/f/a")]) == [
        "GET http://10.0.0.5/f/a\nHost: media.example.com"
      ])
    #expect(try verdict(refreshing, 404) == .done && verdict(refreshing, 410) == .done)
    guard case .refused = try verdict(refreshing, 403) else {
      Issue.record("a copy that stays is no success")
      return
    }
  }

  @Test func eachServerIsAnEdge() throws {
    let edges = try CDNFixture.config(
      """
      [[edges]]
      name = "pop"
      vendor = "varnish"
      urls = ["https://a.example.com", "https://b.example.com"]
      servers = ["http://10.0.0.5:6081", "http://10.0.0.6:6081"]
      """
    ).edges
    #expect(edges.map(\.name) == ["pop@10.0.0.5:6081", "pop@10.0.0.6:6081"])
    #expect(
      try calls(edges[1], [CDNFixture.entry(.path, "/f/a")]) == [
        "PURGE http://10.0.0.6:6081/f/a\nHost: a.example.com",
        "PURGE http://10.0.0.6:6081/f/a\nHost: b.example.com",
      ])
  }
}
