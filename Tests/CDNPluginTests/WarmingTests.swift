import HTTP
import Testing

@testable import CDNPlugin

/// What a playlist names, and where that is.
@Suite struct WarmingTests {
  @Test func aMultivariantPlaylist() {
    let links = PlaylistLinks(
      Array(
        """
        #EXTM3U
        #EXT-X-VERSION:7
        #EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="a",NAME="En, glish",DEFAULT=YES,URI="g/1/audio/playlist.m3u8"
        #EXT-X-MEDIA:TYPE=CLOSED-CAPTIONS,GROUP-ID="c",NAME="CC",INSTREAM-ID="CC1"
        #EXT-X-STREAM-INF:BANDWIDTH=1,CODECS="avc1.64,mp4a.40",RESOLUTION=1280x720,AUDIO="a"
        g/1/720p/playlist.m3u8
        #EXT-X-I-FRAME-STREAM-INF:BANDWIDTH=1,URI="g/1/720p/iframes.m3u8"
        #EXT-X-STREAM-INF:BANDWIDTH=1
        g/1/sound/playlist.m3u8?a=b
        """.utf8))
    #expect(
      links.variants == [
        .init(uri: "g/1/720p/playlist.m3u8", height: 720),
        .init(uri: "g/1/sound/playlist.m3u8?a=b", height: nil),
      ])
    #expect(links.media == ["g/1/audio/playlist.m3u8"])
    #expect(links.segments.isEmpty && links.maps.isEmpty)
  }

  @Test func aMediaPlaylist() {
    let links = PlaylistLinks(
      Array(
        "#EXTM3U\r\n#EXT-X-MAP:URI=\"init.mp4\"\r\n#EXTINF:6,\r\nsegment_0000.m4s\r\n#EXTINF:6,\r\nsegment_0001.m4s\r\n"
          .utf8))
    #expect(links.maps == ["init.mp4"])
    #expect(links.segments == ["segment_0000.m4s", "segment_0001.m4s"])
  }

  @Test func whatIsWatchedIsFetchedInTheUsualHeights() {
    func chosen(_ heights: [Int?], isTrend: Bool = true) -> [String] {
      var links = PlaylistLinks([])
      links.variants = heights.map { .init(uri: $0.map { "\($0)p" } ?? "sound", height: $0) }
      return Warmer.chosen(links, isTrend: isTrend)
    }
    #expect(chosen([240, 720, 1080, 2160, 720]) == ["720p", "1080p"])
    #expect(chosen([240, 480]) == ["480p"])
    #expect(chosen([nil]) == ["sound"])
    #expect(chosen([]) == [])
    #expect(chosen([240, 720, nil], isTrend: false) == ["240p", "720p", "sound"])
  }

  @Test(arguments: [
    ("segment_0000.m4s", "/v/a/g/1/720p/segment_0000.m4s"),
    ("../../../master.m3u8?x=../y", "/v/a/master.m3u8?x=../y"), ("/f/a", "/f/a"),
    ("./init.mp4", "/v/a/g/1/720p/init.mp4"),
    ("../../../../../../../f/a", "/f/a"),
  ])
  func references(reference: String, path: String) {
    #expect(ViewerURL.resolve(reference, from: "/v/a/g/1/720p/playlist.m3u8?expires=1") == path)
  }

  @Test(arguments: ["https://evil.example.com/x", "//evil.example.com/x"])
  func otherHostsAreLeftOut(reference: String) {
    #expect(ViewerURL.resolve(reference, from: "/v/a/master.m3u8") == nil)
  }

  @Test func paceFollowsTheRate() {
    let start = ContinuousClock.now
    var pace = Pace(
      VendorLimits(callsPerMinute: 60, callBurst: 2, itemsPerMinute: 600, itemBurst: 100), at: start)
    #expect(pace.take(items: 1, at: start) == .zero)
    #expect(pace.take(items: 1, at: start) == .zero)
    #expect(pace.take(items: 1, at: start) == .seconds(1))
    // Three seconds on, the debt is paid and two calls are saved up; items run out first.
    #expect(pace.take(items: 107, at: start + .seconds(3)) == .milliseconds(700))
    #expect(pace.take(items: 1, at: start + .seconds(600)) == .zero)
  }

  @Test func percentEncoding() {
    let encoded = PercentEncoding.encode(path: Array("a b/ü?".utf8).span)
    #expect(String(decoding: encoded, as: UTF8.self) == "a%20b/%C3%BC%3F")
    #expect(ViewerURL.decoded("a%20b/%C3%BC%") == "a b/ü%")
  }
}
