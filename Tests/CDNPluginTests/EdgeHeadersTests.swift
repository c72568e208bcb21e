import Origin
import Testing

@testable import CDNPlugin

@Suite struct EdgeHeadersTests {
  private func fields(
    _ edges: [Edge], kind: AnswerKind = .manifest, isImmutable: Bool = false, status: Int = 200,
    control: String = "public, max-age=60"
  ) -> HeaderFields {
    var fields = HeaderFields()
    fields.set("Cache-Control", control)
    EdgeHeaders(edges).filter(
      &fields,
      of: AnswerInfo(
        site: "demo", kind: kind, isImmutable: isImmutable, assetID: "film", rendition: "720p", status: status
      ))
    return fields
  }

  private func text(_ fields: HeaderFields, _ name: String) -> String? {
    fields[name].map { String(decoding: $0, as: UTF8.self) }
  }

  private let varnish = "servers = [\"http://10.0.0.5\"]\nedge_max_age = \"24h\""

  @Test func eachEdgeHasItsOwnField() throws {
    let edges = try [
      CDNFixture.edge("varnish", varnish),
      CDNFixture.edge("cloudflare", "zone = \"z\"\ntoken_env = \"TOKEN\"\nedge_max_age = \"1h\""),
      CDNFixture.edge("bunny", "zone = \"z\"\ntoken_env = \"TOKEN\""),
    ]
    let answer = fields(edges)
    #expect(text(answer, "xkey") == "site-demo asset-film latest-film rendition-film-720p kind-manifest")
    #expect(text(answer, "Cache-Tag") == "site-demo,asset-film,latest-film,rendition-film-720p,kind-manifest")
    #expect(text(answer, "CDN-Tag") == text(answer, "Cache-Tag"))
    #expect(text(answer, "Surrogate-Control") == "max-age=86400")
    #expect(text(answer, "Cloudflare-CDN-Cache-Control") == "max-age=3600")
    #expect(text(answer, "Cache-Control") == "public, max-age=60")
  }

  @Test func whatNeverChangesIsNotTheLatestAndNeedsNoRule() throws {
    let answer = fields([try CDNFixture.edge("varnish", varnish)], kind: .segment, isImmutable: true)
    #expect(text(answer, "xkey") == "site-demo asset-film rendition-film-720p kind-segment")
    #expect(answer["Surrogate-Control"] == nil)
  }

  @Test func whatEndsIsKeptNoLonger() {
    for (rule, most, value) in [
      ("max-age=86400", 90, "max-age=90"), ("max-age=60", 90, "max-age=60"), ("3600", 0, "0"),
    ] as [(String, Int64, String)] {
      #expect(EdgeHeaders.value(rule, most: most) == value)
    }
  }

  @Test func whatNobodyKeepsGetsNoRule() throws {
    let edges = [try CDNFixture.edge("varnish", varnish)]
    for answer in [
      fields(edges, kind: .error, status: 404), fields(edges, kind: .key), fields(edges, kind: .api),
      fields(edges, kind: .blob), fields(edges, control: "no-store"), fields(edges, control: "private"),
    ] {
      #expect(answer["Surrogate-Control"] == nil)
    }
    #expect(fields(edges, kind: .api)["xkey"] == nil)
  }

  @Test func limitsCutTheEnd() {
    let tags = ["site-demo", "asset-a", "latest-a", "kind-file"]
    func value(_ change: (inout Edge.TagField) -> Void) -> String {
      var field = Edge.TagField(name: "T", separator: ",")
      change(&field)
      return EdgeHeaders.value(tags, field)
    }
    #expect(value { $0.mostTags = 2 } == "site-demo,asset-a")
    #expect(value { $0.mostBytes = 26 } == "site-demo,asset-a,latest-a")
    #expect(value { $0.mostBytes = 25 } == "site-demo,asset-a")
    #expect(value { $0.mostTagBytes = 8 } == "asset-a,latest-a")
  }

  @Test func aSharedFieldKeepsTheTighterLimits() throws {
    let edges = try [
      CDNFixture.edge("cloudflare", "zone = \"z\"\ntoken_env = \"TOKEN\""),
      CDNFixture.edge("cloudfront", "zone = \"z\"\nkey_id = \"k\"\nkey_secret_env = \"SECRET\""),
    ]
    #expect(
      EdgeHeaders(edges).tagFields == [
        .init(name: "Cache-Tag", separator: ",", mostTags: 50, mostTagBytes: 256, mostBytes: 16_384)
      ])
  }
}
