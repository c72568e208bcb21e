import Origin
import Testing

@testable import RedisCachePlugin

/// What an upstream's JSON decides, and the names in Redis.
@Suite struct VideoFactsTests {
  private func rights(_ json: String) throws -> VideoRights {
    try VideoFacts(upstream: Array(json.utf8)).rights
  }

  @Test func fourMembersDecide() throws {
    let rights = try rights(
      #"{"title": "x", "privacy": "private", "renditions": ["720p", "480p", "720p"], "countries": ["DE", "AT"], "blocked_countries": ["US"]}"#
    )
    #expect(rights.isPrivate)
    #expect(rights.renditions == ["480p", "720p"])
    #expect(rights.countries == ["AT", "DE"])
    #expect(rights.blockedCountries == ["US"])
  }

  @Test func whatIsNotSaidIsNotRestricted() throws {
    for json in [
      "{}", #"{"privacy": "public"}"#, #"{"privacy": "unlisted", "renditions": null, "countries": null}"#,
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
      #"{"blocked_countries": ["U1"]}"#, #"{"title": "a", "title": "b"}"#,
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
