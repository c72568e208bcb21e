import Packaging
import Store
import Testing

@testable import Origin

@Suite struct PathLocatorTests {
  private func locate(_ path: String) throws -> Target? {
    PathLocator().locate(Array(path.utf8), in: try OriginFixture.site())
  }

  static let resources: [(String, AssetResource)] = [
    ("master.m3u8", .multivariantPlaylist(.fragments)),
    ("master_ts.m3u8", .multivariantPlaylist(.transport)),
    ("master_byterange.m3u8", .multivariantPlaylist(.byteRanges)),
    ("manifest.mpd", .mpd(.fragments)),
    ("ondemand.mpd", .mpd(.byteRanges)),
    ("source", .source),
    ("source.mp4", .rendition("source", .progressive)),
    ("720p.mp4", .rendition("720p", .progressive)),
    ("a.b.mp4", .rendition("a.b", .progressive)),
    ("720p.cmaf", .rendition("720p", .fragmentedFile)),
    ("subtitle-en.vtt", .rendition("subtitle-en", .subtitleFile)),
    ("source/playlist.m3u8", .rendition("source", .playlist(.fragments))),
    ("source/playlist_ts.m3u8", .rendition("source", .playlist(.transport))),
    ("source/playlist_byterange.m3u8", .rendition("source", .playlist(.byteRanges))),
    ("source/iframes.m3u8", .rendition("source", .iFramePlaylist(.fragments))),
    ("source/iframes_ts.m3u8", .rendition("source", .iFramePlaylist(.transport))),
    ("g/playlist.m3u8", .rendition("g", .playlist(.fragments))),
    ("audio/init.mp4", .rendition("audio", .initSegment)),
    ("source/segment_0000.m4s", .rendition("source", .segment(0, .fragments))),
    ("source/segment_0012.m4s", .rendition("source", .segment(12, .fragments))),
    ("source/segment_12345.m4s", .rendition("source", .segment(12345, .fragments))),
    ("source/segment_999999999.m4s", .rendition("source", .segment(999_999_999, .fragments))),
    ("source/segment_0001.ts", .rendition("source", .segment(1, .transport))),
    ("source/iframe_0007.m4s", .rendition("source", .iFrame(7, .fragments))),
    ("source/iframe_0007.ts", .rendition("source", .iFrame(7, .transport))),
    ("subtitle-en/segment_0002.vtt", .rendition("subtitle-en", .subtitleSegment(2, .fragments))),
    ("subtitle-en/ts_segment_0002.vtt", .rendition("subtitle-en", .subtitleSegment(2, .transport))),
    ("storyboard.vtt", .other(name: "storyboard.vtt")),
    ("poster.jpg", .other(name: "poster.jpg")),
    ("thumbs/1.jpg", .other(name: "thumbs/1.jpg")),
    ("a/b/c", .other(name: "a/b/c")),
  ]

  @Test(arguments: resources) func namesBelowAnAsset(name: String, resource: AssetResource) throws {
    let newest = AssetTarget(id: "film-1_A", generation: nil, resource: resource)
    #expect(try locate("/v/film-1_A/\(name)") == .asset(newest))
    let pinned = AssetTarget(
      id: "film-1_A", generation: Generation(hex: "0123456789ab"), resource: resource)
    #expect(try locate("/v/film-1_A/g/0123456789ab/\(name)") == .asset(pinned))
    var clip = pinned
    clip.clip = ClipRange(startMilliseconds: 0, endMilliseconds: 4500)
    #expect(try locate("/v/film-1_A/g/0123456789ab/clip/0-4500/\(name)") == .asset(clip))
    #expect(resource.canonicalName == name)
  }

  @Test(arguments: ["aes-128-01234567", "cbcs-89abcdef", "cenc-00000000"])
  func namesBelowAnEncryption(name: String) throws {
    let protection = try #require(ProtectionName(name))
    #expect(protection.description == name)
    let generation = Generation(hex: "0123456789ab")
    for (path, resource) in Self.resources {
      var target = AssetTarget(
        id: "film", generation: generation, protection: protection, resource: resource)
      #expect(try locate("/v/film/g/0123456789ab/enc/\(name)/\(path)") == .asset(target))
      target.clip = ClipRange(startMilliseconds: 5, endMilliseconds: 10)
      #expect(try locate("/v/film/g/0123456789ab/enc/\(name)/clip/5-10/\(path)") == .asset(target))
    }
    let key = AssetTarget(id: "film", generation: generation, protection: protection, resource: .contentKey)
    #expect(try locate("/v/film/g/0123456789ab/enc/\(name)/key") == .asset(key))
    #expect(AssetResource.contentKey.canonicalName == "key")
    // Without a generation, and without an encryption, there is neither.
    for path in ["/v/film/enc/\(name)/key", "/v/film/g/0123456789ab/key", "/v/film/key"] {
      guard case .asset(let target) = try locate(path), case .other = target.resource else {
        Issue.record("\(path) names something")
        continue
      }
      #expect(target.protection == nil)
    }
  }

  @Test(arguments: [
    "", "cbcs", "cbcs-", "cbcs-0123456", "cbcs-012345678", "cbcs-0123456G", "cbcs-ABCDEF01", "none-01234567",
    "aes-01234567", "aes-128", "-01234567", "CBCS-01234567", "cbcs-0123４567",
  ])
  func otherSpellingsAreNoEncryptions(name: String) throws {
    #expect(ProtectionName(name) == nil)
    #expect(try locate("/v/film/g/0123456789ab/enc/\(name)/master.m3u8") == nil)
  }

  /// One clip has one URL.
  @Test(arguments: [
    "0-0", "5-4", "05-9", "5-09", "-5", "5-", "5", "5-6-7", "0-4294967296", "+1-2", "1- 2", "",
  ])
  func otherSpellingsAreNoClips(range: String) throws {
    #expect(try locate("/v/film/clip/\(range)/master.m3u8") == nil)
  }

  /// One segment has one URL: no sign, no zeros in front, no other base, nothing behind.
  @Test(arguments: [
    "segment_0.m4s", "segment_012.m4s", "segment_00012.m4s", "segment_012345.m4s", "segment_-001.m4s",
    "segment_+001.m4s", "segment_00 1.m4s", "segment_0x10.m4s", "segment_1000000000.m4s",
    "segment_18446744073709551616.m4s", "segment_.m4s", "segment_0001.M4S", "SEGMENT_0001.m4s",
    "segment_0001.m4s.m4s", "segment_٠٠٠١.m4s", "segment_0001.tS",
    "ts_segment_0001.ts", "ts_segment_0001.m4s", "iframe_001.ts", "playlist_dash.m3u8",
  ])
  func otherSpellingsAreNoSegments(name: String) throws {
    let target = try locate("/v/film/source/\(name)")
    #expect(
      target == .asset(AssetTarget(id: "film", generation: nil, resource: .other(name: "source/\(name)"))))
  }

  @Test func idsAreTakenToTheirLongest() throws {
    let longest = String(repeating: "x", count: 64)
    #expect(try locate("/v/\(longest)/source") != nil)
    #expect(try locate("/v/\(longest)x/source") == nil)
  }

  @Test(arguments: [
    "/", "/v", "/v/", "/v/film", "/v/film/", "/v//source", "/v/../source", "/v/./source", "/v/a.b/source",
    "/v/a%20b/source", "/v/a b/source", "/v/ä/source", "/V/film/source", "/vv/film/source", "/film",
    "/v/film/g/0123456789ab/", "/v/film/g/0123456789AB/source", "/v/film/g/0123456789a/source",
    "/v/film/g/0123456789abc/source", "/v/film/g/0123456789ag/source", "/v/film/g//source", "",
    "/f", "/f/", "/blob", "/blob/", "/blob/00",
  ])
  func pathsWithoutMeaning(path: String) throws {
    #expect(try locate(path) == nil)
  }

  @Test func bytesThatAreNoTextNameNothing() throws {
    let site = try OriginFixture.site()
    for path in [
      Array("/v/film/".utf8) + [0xFF], Array("/v/".utf8) + [0xC3] + Array("/source".utf8),
      Array("/f/".utf8) + [0xFF], Array("/blob/".utf8) + [0xFF],
    ] { #expect(PathLocator().locate(path, in: site) == nil) }
  }

  static let files: [(String, String?)] = [
    ("/f/a.txt", "a.txt"), ("/f/a/b/c.txt", "a/b/c.txt"), ("/f/a%20b", "a b"), ("/f/%C3%A4", "ä"),
    ("/f/100%25", "100%"), ("/f/%2525", "%25"), ("/f/a+b", "a+b"), ("/f/v/film/source", "v/film/source"),
    ("/f/a%2Fb", nil), ("/f/a%2fb", nil), ("/f/a%00b", nil), ("/f/a%5Cb", nil), ("/f/%", nil),
    ("/f/%4", nil), ("/f/%4g", nil), ("/f/%FF", nil), ("/f/%C0%AE", nil), ("/f/%ED%A0%80", nil),
  ]

  @Test(arguments: files) func filesAreDecodedOnce(path: String, name: String?) throws {
    #expect(try locate(path) == name.map { .file(path: Array($0.utf8)) })
  }

  @Test func blobsAreNamedInOneWay() throws {
    let hex = BlobID.digest(of: Array("bytes".utf8)).hex
    #expect(try locate("/blob/\(hex)") == .blob(try #require(BlobID(hex: hex))))
    #expect(try locate("/blob/\(hex.uppercased())") == nil)
    #expect(try locate("/blob/\(hex)/") == nil)
    #expect(try locate("/blob/\(hex.dropLast())") == nil)
    #expect(try locate("/blob/\(hex)0") == nil)
    #expect(try locate("/blob/x/\(hex)") == nil)
  }

  /// Any bytes at all: an answer, and never an asset whose id is none.
  @Test func randomPaths() throws {
    let site = try OriginFixture.site()
    let seed = UInt64.random(in: .min ... .max)
    var random = ConfigRandom(seed: seed)
    let pieces = [
      "/", "v", "f", "g", "blob", "..", "%2e", "%", "segment_0001.m4s", "0123456789ab", "\u{0}", "é",
    ]
    for _ in 0..<20_000 {
      var path = Array("/".utf8)
      for _ in 0..<Int.random(in: 0...8, using: &random) {
        path += pieces.randomElement(using: &random).map { Array($0.utf8) } ?? []
        if Bool.random(using: &random) { path.append(UInt8.random(in: 0...255, using: &random)) }
      }
      guard case .asset(let asset) = PathLocator().locate(path, in: site) else { continue }
      #expect(AssetID.isValid(asset.id), "seed \(seed), path \(path)")
    }
  }
}
