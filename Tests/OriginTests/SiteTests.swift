import Testing

@testable import Origin

@Suite struct SiteTests {
  private static let settings = """
    [cache]
    manifest_max_age = "2s"
    segment_max_age = "24h"
    progressive_max_age = "30s"
    file_max_age = "40s"
    error_max_age = "3s"
    stale_while_revalidate = "5s"
    stale_if_error = "6s"
    """

  static let classes: [(AnswerInfo, String)] = {
    func info(_ kind: AnswerKind, immutable: Bool = false, status: Int = 200) -> AnswerInfo {
      AnswerInfo(site: "default", kind: kind, isImmutable: immutable, status: status)
    }
    let short = "public, max-age=2, stale-while-revalidate=5, stale-if-error=6"
    let forever = "public, max-age=86400, immutable"
    return [
      (info(.manifest), short), (info(.segment), short), (info(.thumbnail), short),
      (info(.manifest, immutable: true), forever), (info(.segment, immutable: true), forever),
      (info(.progressive, immutable: true), forever),
      (info(.key, immutable: true), "no-store"),
      // Only for who holds a token.
      (info(.blob, immutable: true), "private, max-age=86400, immutable"),
      (info(.progressive), "public, max-age=30, stale-while-revalidate=5, stale-if-error=6"),
      (info(.file), "public, max-age=40, stale-while-revalidate=5, stale-if-error=6"),
      (info(.error, status: 404), "public, max-age=3"), (info(.error, status: 410), "public, max-age=3"),
      (info(.error, status: 422), "public, max-age=3"), (info(.error, status: 400), "no-store"),
      (info(.error, status: 401), "no-store"), (info(.error, status: 403), "no-store"),
      (info(.error, status: 416), "no-store"), (info(.error, status: 500), "no-store"),
      (info(.error, status: 503), "no-store"), (info(.error, immutable: true, status: 503), "no-store"),
    ]
  }()

  @Test(arguments: classes) func cachingByClass(info: AnswerInfo, expected: String) throws {
    let site = try OriginFixture.site(Self.settings)
    #expect(String(decoding: site.cacheControl(info), as: UTF8.self) == expected)
  }

  @Test func everyAnswerCarriesTagsAndSharing() throws {
    let site = try OriginFixture.site(
      "[cache]\ncdn_cache_control = \"max-age=9\"\n[tags]\nsurrogate_key = \"Surrogate-Key\"\ncache_tag = \"Cache-Tag\"\n",
      name: "demo")
    var fields = HeaderFields()
    site.addFields(
      to: &fields,
      for: AnswerInfo(site: "demo", kind: .segment, isImmutable: true, assetID: "film", rendition: "720p"))
    func value(_ name: String) -> String? { fields[name].map { String(decoding: $0, as: UTF8.self) } }
    #expect(value("Surrogate-Key") == "site-demo asset-film rendition-film-720p kind-segment")
    #expect(value("Cache-Tag") == "site-demo,asset-film,rendition-film-720p,kind-segment")
    #expect(value("Access-Control-Allow-Origin") == "*")
    #expect(value("CDN-Cache-Control") == "max-age=9")
    #expect(value("X-Content-Type-Options") == "nosniff")
    var problem = HeaderFields()
    site.addFields(to: &problem, for: AnswerInfo(site: "demo", kind: .error, status: 404))
    #expect(problem["CDN-Cache-Control"] == nil, "an error must not be kept as long as an answer")
  }

  @Test func withoutSharingNothingSaysSo() throws {
    let site = try OriginFixture.site("[cors]\nallow_origin = \"\"\n")
    var fields = HeaderFields()
    site.addFields(to: &fields, for: AnswerInfo(site: "default", kind: .file))
    for name in [
      "Access-Control-Allow-Origin", "Access-Control-Expose-Headers", "Timing-Allow-Origin",
      "Cross-Origin-Resource-Policy",
    ] { #expect(fields[name] == nil) }
    #expect(String(decoding: site.preflightLines, as: UTF8.self) == "Allow: GET, HEAD, OPTIONS\r\n")
  }

  @Test func hostsChooseTheSite() throws {
    let one = Site(
      try OriginFixture.siteConfiguration("hosts = [\"one.example\", \"uno.example\"]", name: "one"),
      number: 0, plugins: [])
    let rest = Site(
      try OriginFixture.siteConfiguration("hosts = [\"*\"]", name: "rest"), number: 1, plugins: [])
    func name(_ table: SiteTable, _ host: String) -> String? {
      let bytes = Array(host.utf8)
      return table.site(for: bytes.span)?.name
    }
    let both = SiteTable([one, rest])
    #expect(name(both, "one.example") == "one")
    #expect(name(both, "UNO.Example") == "one")
    #expect(name(both, "two.example") == "rest")
    #expect(name(both, "") == "rest")
    let strict = SiteTable([one])
    #expect(name(strict, "one.example") == "one")
    #expect(name(strict, "two.example") == nil)
    #expect(name(strict, "one.example.evil") == nil)
    #expect(name(SiteTable([rest]), "anything") == "rest")
    #expect(both.site(named: "one") === one)
    #expect(both.site(named: "none") == nil)
  }
}
