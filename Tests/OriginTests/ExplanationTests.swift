import Glibc
import Store
import Testing

@testable import Origin

/// `explain` says what the server does, since it is the same code.
@Suite struct ExplanationTests {
  private func explain(_ url: String, _ folder: StoreFolder, _ text: String = "") throws -> [String] {
    let configuration = OriginFixture.configuration([try OriginFixture.siteConfiguration(text)])
    let explanation = try Explanation(url: url, configuration, PluginRegistry([]), folder.store)
    return explanation.entries.map { "\($0.name): \($0.value)" }
  }

  @Test func aFileWithItsFields() throws {
    let folder = try StoreFolder()
    let record = try folder.publish(file: "a/b.txt", "hello")
    let story = try explain("http://localhost:8080/f/a/b.txt?x=1#part", folder)
    #expect(story.contains("site: default"))
    #expect(story.contains("path: /f/a/b.txt"))
    #expect(story.contains("plugins: none"))
    #expect(story.contains("file: a/b.txt"))
    #expect(story.contains("answer: 200 by FileContent, 5 bytes in 1 slice(s)"))
    #expect(story.contains("header: ETag: \"\(record.blob.hex)\""))
    #expect(story.contains("header: Content-Type: text/plain"))
    // What it lists is what a client gets.
    let server = try OriginUnderTest(folder.store, sites: [try OriginFixture.site()])
    defer { server.stop() }
    let answer = try TestClient.get("/f/a/b.txt", from: server.address)
    for line in story where line.hasPrefix("header: ") {
      let parts = line.dropFirst(8).split(separator: ": ", maxSplits: 1).map(String.init)
      #expect(answer.fields[parts[0].lowercased()] == parts[1], "\(line)")
    }
  }

  @Test func anAssetThatIsBytesOnly() throws {
    let folder = try StoreFolder()
    let record = try folder.publish(asset: "film", "bytes", reason: "It is no media.")
    let generation = try #require(record.generation)
    let whole = try explain("/v/film/source", folder)
    #expect(whole.contains("asset: film"))
    #expect(whole.contains("generation: \(generation.hex), the newest"))
    #expect(whole.contains("bytes only: It is no media."))
    #expect(whole.contains("answer: 200 by AssetContent, 5 bytes in 1 slice(s)"))
    let pinned = try explain("/v/film/g/\(generation.hex)/source", folder)
    #expect(pinned.contains("generation: \(generation.hex), pinned by the path"))
    #expect(pinned.contains("class: progressive, immutable under this URL"))
    let playlist = try explain("/v/film/master.m3u8", folder)
    #expect(playlist.contains("answer: 422 media-not-packageable: It is no media."))
  }

  @Test func aReplacedGenerationSaysUntilWhen() throws {
    let folder = try StoreFolder(graceSeconds: 3600)
    let old = try #require(try folder.publish(asset: "film", "old").generation)
    try folder.publish(asset: "film", "new")
    let story = try explain("/v/film/g/\(old.hex)/source", folder)
    #expect(story.contains { $0.hasPrefix("replaced: served until 20") })
    let expired = try StoreFolder(graceSeconds: 3600, clockMilliseconds: -7_200_000)
    try expired.publish(asset: "film", "old")
    try expired.publish(asset: "film", "new")
    let gone = try explain("/v/film/g/\(old.hex)/source", expired)
    #expect(gone.last?.hasPrefix("answer: 404") == true)
  }

  @Test(arguments: [
    ("/v/none/source", "answer: 404 not-found: Nothing is published under this path."),
    ("/f/none", "answer: 404 not-found: Nothing is published under this path."),
    ("/elsewhere", "answer: 404: no handler knows this path"),
    ("elsewhere", "answer: 404: no handler knows this path"),
    ("/f/%zz", "answer: 404: no handler knows this path"),
    ("", "answer: 404: no handler knows this path"),
  ])
  func whatIsNotThere(url: String, answer: String) throws {
    let story = try explain(url, try StoreFolder())
    #expect(story.last == answer || story.last?.hasPrefix("refused: 400") == true, "\(story)")
  }

  /// A path that no index key can hold is a path where nothing is, not an error of the server.
  @Test(arguments: [500, 600, 1024, 1025, 5000]) func longPaths(count: Int) throws {
    let story = try explain("/f/" + String(repeating: "x", count: count), try StoreFolder())
    #expect(story.last?.hasPrefix("answer: 404") == true, "\(story)")
  }

  @Test func aHostThatNoSiteAnswersFor() throws {
    let story = try explain("http://other.example/f/a", try StoreFolder(), "hosts = [\"one.example\"]")
    #expect(story == ["site: none answers for other.example; add it to the hosts of a site"])
  }

  @Test func aBlobNeedsItsToken() throws {
    let folder = try StoreFolder()
    let blob = try folder.publish(file: "a", "hello").blob
    let story = try explain("/blob/\(blob.hex)", folder)
    #expect(story.contains { $0.hasPrefix("access: BlobAccess refuses with 401") })
    #expect(story.contains("answer: 200 by BlobContent, 5 bytes in 1 slice(s)"))
  }

  @Test func ingestedMediaTellsItsSegments() throws {
    guard let film = SharedMediaFile.path("h264-video-only.mp4") else { return }
    let folder = try StoreFolder()
    let ingest = Ingest(store: folder.store, site: "default", segmentMilliseconds: 6000)
    let record = try ingest.importFile(path: film, id: "film", title: nil)
    #expect(record.reason == nil)
    let playlist = try explain("/v/film/source/playlist.m3u8", folder)
    let segments = playlist.filter { $0.hasPrefix("segment: ") }
    #expect(!segments.isEmpty)
    #expect(segments.first?.hasPrefix("segment: 0: 0.000 s to ") == true)
    let segment = try explain("/v/film/source/segment_0000.m4s", folder)
    #expect(segment.filter { $0.hasPrefix("segment: ") } == [segments[0]])
    #expect(segment.contains { $0.hasPrefix("answer: 200 by AssetContent") })
    let beyond = try explain("/v/film/source/segment_9999.m4s", folder)
    #expect(beyond.contains { $0.contains("9999 does not exist") })
    #expect(beyond.last?.hasPrefix("answer: 404") == true)
  }
}

/// Real media that is shared outside of the repository.
enum SharedMediaFile {
  /// The path of a file in the folder that HEADWATER_MEDIA names, or in `shared/media` beside the package.
  static func path(_ name: String) -> String? {
    let named = getenv("HEADWATER_MEDIA").map { String(cString: $0) }
    let beside = ConfigFixture.packageFolder + "/../shared/media"
    for folder in [named, beside].compactMap({ $0 }) where access("\(folder)/\(name)", R_OK) == 0 {
      return "\(folder)/\(name)"
    }
    print("note: \(name) is in no media folder (HEADWATER_MEDIA); what needs it checks nothing")
    return nil
  }
}
