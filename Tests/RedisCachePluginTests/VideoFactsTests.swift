import Origin
import Testing

@testable import RedisCachePlugin

/// What an upstream's JSON decides, and the names in Redis.
@Suite struct VideoFactsTests {
  private func rights(_ json: String) throws -> VideoRights {
    try VideoFacts(upstream: Array(json.utf8)).rights
  }

  @Test func sixMembersDecide() throws {
    let rights = try rights(
      #"{"title": "x", "privacy": "private", "renditions": ["720p", "480p", "720p"], "countries": ["DE", "AT"], "blocked_countries": ["US"], "available_from": "2026-01-01T00:00:00Z", "available_until": "2026-12-24T21:15:00+01:00"}"#
    )
    #expect(rights.isPrivate)
    #expect(rights.renditions == ["480p", "720p"])
    #expect(rights.countries == ["AT", "DE"])
    #expect(rights.blockedCountries == ["US"])
    #expect(rights.availableFromSeconds == 1_767_225_600)
    #expect(rights.availableUntilSeconds == 1_798_143_300)
  }

  @Test(
    arguments: [
      ("1970-01-01T00:00:00Z", 0), ("2026-01-01t01:30:00.999z", 1_767_231_000),
      ("2026-01-01T00:00:00-05:30", 1_767_245_400), ("2024-02-29T23:59:60Z", 1_709_251_200),
      ("0000-01-01T00:00:00Z", -62_167_219_200), ("9999-12-31T23:59:59-23:59", 253_402_387_139),
    ] as [(String, Int64)])
  func instants(text: String, seconds: Int64) {
    #expect(AvailabilityDate.seconds(text) == seconds)
  }

  @Test(
    arguments: [
      "", "2026-01-01", "2026-01-01T00:00:00", "2026-01-01T00:00Z", "2026-01-01 00:00:00Z",
      "2026-13-01T00:00:00Z",
      "2025-02-29T00:00:00Z", "2026-01-01T24:00:00Z", "2026-01-01T00:00:00.Z", "2026-01-01T00:00:00+1:00",
      "2026-01-01T00:00:00+24:00", "2026-01-01T00:00:00+01:60", "2026-01-01T00:00:00Zx",
      "+026-01-01T00:00:00Z",
      "2026-01-01T00:00:00+0100", "2026-+1-01T00:00:00Z", "2026-01-01T00:00:00Ä", "1767225600",
    ])
  func whatIsNoInstantIsNone(text: String) { #expect(AvailabilityDate.seconds(text) == nil) }

  @Test func whatIsNotSaidIsNotRestricted() throws {
    for json in [
      "{}", #"{"privacy": "public"}"#,
      #"{"privacy": "unlisted", "renditions": null, "countries": null, "available_until": null}"#,
      #"{"rights": {"privacy": "private"}, "anything": [1, {"deep": true}]}"#,
    ] {
      #expect(try rights(json) == .unrestricted, "\(json)")
    }
    // An empty list is a list.
    #expect(try rights(#"{"renditions": []}"#).renditions == [])
  }

  @Test(
    arguments: [
      "", "[]", "null", "{", #"{"privacy": "secret"}"#, #"{"privacy": true}"#, #"{"renditions": "720p"}"#,
      #"{"renditions": [720]}"#, #"{"countries": ["de"]}"#, #"{"countries": ["DEU"]}"#, #"{"countries": {}}"#,
      #"{"blocked_countries": ["U1"]}"#, #"{"available_from": 1767225600}"#, #"{"available_until": "soon"}"#,
      #"{"title": "a", "title": "b"}"#,
    ])
  func whatCannotBeUnderstoodIsAnError(json: String) {
    #expect(throws: MetadataSourceError.self) { try rights(json) }
  }

  @Test func countries() {
    var rights = VideoRights()
    #expect(rights.allows(country: nil) && rights.allows(country: "DE"))
    rights.blockedCountries = ["US"]
    #expect(rights.allows(country: nil) && rights.allows(country: "DE") && !rights.allows(country: "US"))
    rights.countries = ["DE", "US"]
    #expect(!rights.allows(country: nil) && rights.allows(country: "DE"))
    #expect(!rights.allows(country: "US") && !rights.allows(country: "FR"))
  }

  @Test func keysAndTheirLocksShareASlot() {
    let plain = MetadataKey(template: "video:meta:{id}", site: "demo")
    #expect(plain.value(of: "film") == "video:meta:film")
    #expect(plain.lock(of: "film") == "{video:meta:film}:lock")
    #expect(MetadataKey(template: "{site}:{id}", site: "demo").value(of: "film") == "demo:film")
    let tagged = MetadataKey(template: "{{site}}:{id}", site: "demo")
    #expect(tagged.value(of: "film") == "{demo}:film")
    #expect(tagged.lock(of: "film") == "{demo}:film:lock")
  }
}
