import Foundation
import Testing

@testable import Store

@Suite struct AssetPublishingTests {
  @Test func aNewAssetIsReadyWithItsGeneration() throws {
    let fixture = try Fixture()
    let record = try fixture.publish("one", "bytes", title: "Title")
    #expect(record.title == "Title")
    #expect(record.generation != nil)
    #expect(record.createdMilliseconds == fixture.clock.milliseconds)
    let (asset, generation, blob) = try fixture.store.read { reader throws(StoreError) in
      (
        try reader.asset(site: "demo", id: "one"),
        try reader.generation(
          site: "demo", id: "one", generation: record.generation!, nowMilliseconds: fixture.clock.milliseconds
        ),
        try reader.blob(record.source!)
      )
    }
    #expect(asset == record)
    #expect(generation?.source == record.source)
    #expect(generation?.ingestedMilliseconds == fixture.clock.milliseconds)
    #expect(blob?.sizeBytes == 5)
    #expect(
      try fixture.store.events(after: 0, limit: 10) == [
        Event(
          sequence: 1, atMilliseconds: fixture.clock.milliseconds, kind: .assetReady, site: "demo",
          subject: "one",
          generation: record.generation)
      ])
  }

  @Test func publishingTheSameAgainChangesNothing() throws {
    let fixture = try Fixture()
    let first = try fixture.publish("one", "bytes", title: "Title")
    fixture.clock.advance(seconds: 5)
    // No title in the draft keeps the one there is.
    #expect(try fixture.publish("one", "bytes") == first)
    #expect(try fixture.store.events(after: 0, limit: 10).count == 1)
  }

  @Test func otherMetadataIsAnUpdateOfTheSameGeneration() throws {
    let fixture = try Fixture()
    let first = try fixture.publish("one", "bytes", title: "Old")
    let second = try fixture.publish("one", "bytes", title: "New")
    #expect(second.generation == first.generation)
    #expect(second.updatedMilliseconds > first.updatedMilliseconds)
    #expect(second.createdMilliseconds == first.createdMilliseconds)
    #expect(try fixture.store.events(after: 1, limit: 10).map(\.kind) == [.assetUpdated])
  }

  @Test func otherBytesAreANewGenerationAndTheOldOneIsServedForTheGrace() throws {
    let fixture = try Fixture(graceSeconds: 100)
    let old = try fixture.publish("one", "old").generation!
    fixture.clock.advance(seconds: 1000)
    let replaced = fixture.clock.milliseconds
    let new = try fixture.publish("one", "new").generation!
    func served(_ generation: Generation, afterSeconds seconds: Int64) throws -> GenerationRecord? {
      try fixture.store.read { reader throws(StoreError) in
        try reader.generation(
          site: "demo", id: "one", generation: generation, nowMilliseconds: replaced + seconds * 1000)
      }
    }
    #expect(try served(old, afterSeconds: 0)?.replacedMilliseconds == replaced)
    #expect(try served(old, afterSeconds: 100) != nil)
    #expect(try served(old, afterSeconds: 101) == nil)
    #expect(try served(old, afterSeconds: -5000) != nil)
    #expect(try served(new, afterSeconds: 1_000_000)?.replacedMilliseconds == nil)
    let event = try #require(try fixture.store.events(after: 1, limit: 10).first)
    #expect(event.kind == .generationReplaced)
    #expect(event.generation == new)
    #expect(event.previous == old)
  }

  @Test func aGenerationThatComesBackKeepsItsDate() throws {
    let fixture = try Fixture(graceSeconds: 100)
    let ingested = fixture.clock.milliseconds
    let first = try fixture.publish("one", "a").generation!
    fixture.clock.advance(seconds: 10)
    _ = try fixture.publish("one", "b")
    fixture.clock.advance(seconds: 10)
    #expect(try fixture.publish("one", "a").generation == first)
    let record = try fixture.store.read { reader throws(StoreError) in
      try reader.generation(
        site: "demo", id: "one", generation: first, nowMilliseconds: fixture.clock.milliseconds)
    }
    #expect(record?.ingestedMilliseconds == ingested)
    #expect(record?.replacedMilliseconds == nil)
  }

  @Test func renditionsThatJoinMakeAGenerationAndReadiness() throws {
    let fixture = try Fixture()
    let source = try fixture.stage("source")
    var draft = AssetDraft(site: "demo", id: "one", status: .uploading)
    #expect(try fixture.store.publishAsset(draft).generation == nil)
    draft.source = source.id
    draft.status = .processing
    #expect(try fixture.store.publishAsset(draft).generation != nil)
    draft.renditions = [RenditionRecord(name: "240p", kind: .video, blob: try fixture.stage("240p").id)]
    draft.status = .ready
    let done = try fixture.store.publishAsset(draft)
    #expect(done.generation == draft.generation)
    #expect(
      try fixture.store.events(after: 0, limit: 10).map(\.kind) == [
        .assetUpdated, .assetUpdated, .generationReplaced, .assetReady,
      ])
  }

  @Test func aBlobThatIsNotStoredIsRefusedAndNothingHappens() throws {
    let fixture = try Fixture()
    let source = try fixture.stage("source")
    let draft = AssetDraft(
      site: "demo", id: "one", status: .ready, source: source.id,
      renditions: [RenditionRecord(name: "240p", kind: .video, blob: BlobID.digest(of: [1]))])
    #expect(code { try fixture.store.publishAsset(draft) } == .blobMissing)
    try fixture.store.read { reader throws(StoreError) in
      #expect(try reader.asset(site: "demo", id: "one") == nil)
      #expect(try reader.blob(source.id) == nil)
      #expect(try reader.eventsHead() == 0)
    }
  }

  @Test func aBlobOfAnotherSizeThanRecordedIsDamaged() throws {
    let fixture = try Fixture()
    let record = try fixture.publish("one", "bytes")
    #expect(truncate(fixture.store.blobs.path(of: record.source!), 2) == 0)
    let draft = AssetDraft(site: "demo", id: "two", status: .ready, source: record.source)
    #expect(code { try fixture.store.publishAsset(draft) } == .damaged)
  }

  @Test(arguments: [
    ("", "id"), ("demo", ""), ("demo", "a/b"), (String(repeating: "s", count: 65), "id"),
    ("demo", String(repeating: "i", count: 65)),
  ])
  func badNamesAreInvalidToWriteAndAbsentToRead(site: String, id: String) throws {
    let fixture = try Fixture()
    #expect(
      code { try fixture.store.publishAsset(AssetDraft(site: site, id: id, status: .uploading)) } == .invalid)
    #expect(code { try fixture.store.removeAsset(site: site, id: id) } == .invalid)
    #expect(
      try fixture.store.read { reader throws(StoreError) in try reader.asset(site: site, id: id) } == nil)
  }

  @Test func aRecordTooLargeIsInvalid() throws {
    let fixture = try Fixture()
    let draft = AssetDraft(
      site: "demo", id: "one", description: String(repeating: "x", count: 70_000), status: .uploading)
    #expect(code { try fixture.store.publishAsset(draft) } == .invalid)
  }

  @Test func updatesSeeTheNewestRecordAndMayRefuse() throws {
    let fixture = try Fixture()
    let first = try fixture.publish("one", "bytes")
    let second = try fixture.store.updateAsset(site: "demo", id: "one") { $0.title = "New" }
    // The clock stood still: the stamp grew all the same.
    #expect(second.updatedMilliseconds == first.updatedMilliseconds + 1)
    #expect(
      code {
        try fixture.store.updateAsset(site: "demo", id: "one") { record throws(StoreError) in
          record.title = "Lost"
          if record.updatedMilliseconds != first.updatedMilliseconds {
            throw StoreError(.conflict, operation: "update", message: "changed meanwhile")
          }
        }
      } == .conflict)
    #expect(
      try fixture.store.read { reader throws(StoreError) in try reader.asset(site: "demo", id: "one") }
        == second)
    #expect(code { try fixture.store.updateAsset(site: "demo", id: "none") { $0.title = "" } } == .notFound)
    #expect(try fixture.store.updateAsset(site: "demo", id: "one") { $0.title = "New" } == second)
    #expect(try fixture.store.events(after: 0, limit: 10).count == 2)
  }

  @Test func aDraftOfAnOlderRecordIsRefused() throws {
    let fixture = try Fixture()
    let first = try fixture.publish("one", "bytes")
    let second = try fixture.store.updateAsset(site: "demo", id: "one") { $0.title = "New" }
    let draft = AssetDraft(site: "demo", id: "one", status: .ready, source: first.source, reason: "late")
    let stale = code {
      try fixture.store.publishAsset(draft, ifUpdatedMilliseconds: first.updatedMilliseconds)
    }
    #expect(stale == .conflict)
    let absent = AssetDraft(site: "demo", id: "none", status: .ready, source: first.source)
    #expect(code { try fixture.store.publishAsset(absent, ifUpdatedMilliseconds: 1) } == .conflict)
    let third = try fixture.store.publishAsset(draft, ifUpdatedMilliseconds: second.updatedMilliseconds)
    #expect(third.reason == "late" && third.title == "New")
  }

  @Test func removingTakesTheGenerationsAlongButNoNeighbour() throws {
    let fixture = try Fixture()
    _ = try fixture.publish("one", "a")
    let record = try fixture.publish("one", "b")
    let neighbour = try fixture.publish("one-more", "c")
    #expect(
      code {
        try fixture.store.removeAsset(
          site: "demo", id: "one", ifUpdatedMilliseconds: record.updatedMilliseconds - 1)
      } == .conflict)
    #expect(try fixture.store.removeAsset(site: "demo", id: "one") == record)
    #expect(code { try fixture.store.removeAsset(site: "demo", id: "one") } == .notFound)
    try fixture.store.read { reader throws(StoreError) in
      #expect(try reader.asset(site: "demo", id: "one") == nil)
      let now = fixture.clock.milliseconds
      #expect(
        try reader.generation(site: "demo", id: "one", generation: record.generation!, nowMilliseconds: now)
          == nil)
      #expect(
        try reader.generation(
          site: "demo", id: "one-more", generation: neighbour.generation!, nowMilliseconds: now) != nil)
    }
    #expect(try fixture.store.events(after: 0, limit: 10).last?.kind == .assetRemoved)
  }
}

@Suite struct CatalogReaderTests {
  @Test func sitesDoNotSeeEachOther() throws {
    let fixture = try Fixture()
    // "a" + "bc" and "ab" + "c" would be one key without the length before the site.
    _ = try fixture.publish("bc", "1", site: "a")
    _ = try fixture.publish("c", "2", site: "ab")
    try fixture.store.read { reader throws(StoreError) in
      #expect(try reader.listAssets(site: "a", limit: 10).map(\.id) == ["bc"])
      #expect(try reader.listAssets(site: "ab", limit: 10).map(\.id) == ["c"])
      #expect(try reader.asset(site: "ab", id: "bc") == nil)
      #expect(try reader.listAssets(site: "abc", limit: 10).isEmpty)
      #expect(try reader.listAssets(site: "", limit: 10).isEmpty)
    }
  }

  @Test func listingsPageInBothDirections() throws {
    let fixture = try Fixture()
    let ids = (0..<25).map { "id-\(10 + $0)" }
    for id in ids.shuffled() { _ = try fixture.publish(id, "x") }
    _ = try fixture.publish("zz", "x", site: "aaaa")
    _ = try fixture.publish("zz", "x", site: "zzzz")
    for (order, expected) in [(ScanOrder.ascending, ids), (.descending, ids.reversed())] {
      var found: [String] = []
      while true {
        let page = try fixture.store.read { reader throws(StoreError) in
          try reader.listAssets(site: "demo", after: found.last, limit: 7, order: order)
        }
        if page.isEmpty { break }
        #expect(page.count <= 7)
        found += page.map(\.id)
      }
      #expect(found == expected)
    }
    try fixture.store.read { reader throws(StoreError) in
      // A cursor whose asset has gone still continues.
      #expect(try reader.listAssets(site: "demo", after: "id-105", limit: 1).map(\.id) == ["id-11"])
      #expect(try reader.listAssets(site: "demo", limit: 0).isEmpty)
      #expect(try reader.listAssets(site: "demo", limit: -1).isEmpty)
    }
  }

  @Test func oneStateUntilRenewedThenWhatAnotherThreadCommitted() async throws {
    let fixture = try Fixture()
    let reader = try fixture.store.makeReader()
    let before = try reader.renew()
    let store = fixture.store
    let blob = try fixture.stage("bytes").id
    _ = try await Task.detached {
      try store.publishAsset(AssetDraft(site: "demo", id: "one", status: .ready, source: blob))
    }.value
    #expect(try reader.asset(site: "demo", id: "one") == nil)
    #expect(try reader.renew() > before)
    #expect(try reader.asset(site: "demo", id: "one") != nil)
    let unchanged = try reader.renew()
    #expect(try reader.renew() == unchanged)
    reader.end()
    reader.end()
    #expect(code { try reader.asset(site: "demo", id: "one") } == .io)
    try reader.renew()
    #expect(try reader.asset(site: "demo", id: "one") != nil)
  }

  @Test func lookupsAtAHundredThousandAssets() throws {
    let fixture = try Fixture()
    let store = fixture.store
    let blob = try fixture.stage("one for all")
    let count = 100_000
    let template = try store.publishAsset(
      AssetDraft(
        site: "demo", id: "template", title: "A title of usual length", tags: ["one", "two"], status: .ready,
        source: blob.id, renditions: [RenditionRecord(name: "240p", kind: .video, blob: blob.id)]))
    // Written below the catalog, in one transaction: 100,000 commits would measure the disk.
    try store.index.write { transaction throws(StoreError) in
      var key = IndexKey()
      for index in 0..<count {
        var record = template
        record.id = "asset-\(index)"
        _ = key.setAsset(site: "demo", id: record.id)
        try transaction.put(store.tables.assets, key.bytes, record.encode())
      }
    }
    let reader = try store.makeReader()
    var random = SplitMix64(seed: 11)
    let ids = (0..<count).map { _ in Array("asset-\(Int.random(in: 0..<count, using: &random))".utf8) }
    var found = 0
    let clock = ContinuousClock()
    let elapsed = try clock.measure {
      for id in ids {
        try reader.renew()
        if try id.withUnsafeBytes({ try reader.asset(site: "demo", id: $0) })?.title == template.title {
          found += 1
        }
        reader.end()
      }
    }
    #expect(found == count)
    print("Lookup of one in \(count) assets, renew and decode included: \(elapsed / count)")
  }
}

@Suite struct FilePublishingTests {
  private func draft(_ fixture: Fixture, _ path: String, _ text: String = "x") throws -> FileDraft {
    FileDraft(site: "demo", path: path, blob: try fixture.stage(text).id, mediaType: "text/plain")
  }

  @Test func aFileIsFoundByItsPathAndReplaced() throws {
    let fixture = try Fixture()
    let first = try fixture.store.publishFile(draft(fixture, "a/b.txt", "one"))
    #expect(first.sizeBytes == 3)
    #expect(try fixture.store.publishFile(draft(fixture, "a/b.txt", "one")) == first)
    fixture.clock.advance(seconds: 1)
    let second = try fixture.store.publishFile(draft(fixture, "a/b.txt", "three"))
    try fixture.store.read { reader throws(StoreError) in
      #expect(try reader.file(site: "demo", path: "a/b.txt") == second)
      #expect(try reader.file(site: "demo", path: "a/b.tx") == nil)
      #expect(try reader.file(site: "other", path: "a/b.txt") == nil)
    }
    #expect(try fixture.store.removeFile(site: "demo", path: "a/b.txt") == second)
    #expect(code { try fixture.store.removeFile(site: "demo", path: "a/b.txt") } == .notFound)
    #expect(
      try fixture.store.events(after: 0, limit: 10).map(\.kind) == [
        .filePublished, .filePublished, .fileRemoved,
      ])
  }

  @Test func pathsUpTo1024BytesKeepApart() throws {
    let fixture = try Fixture()
    let lengths = [1, 367, 368, 369, 398, 399, 400, 401, 511, 512, 1023, 1024]
    let paths =
      lengths.map { String(repeating: "p", count: $0) } + [String(repeating: "p", count: 1023) + "q"]
    try fixture.store.publishFiles(paths.map { try draft(fixture, $0, "\($0.count)\($0.suffix(1))") })
    try fixture.store.read { reader throws(StoreError) in
      for path in paths {
        #expect(try reader.file(site: "demo", path: path)?.path == path)
      }
      #expect(try reader.file(site: "demo", path: String(repeating: "p", count: 600)) == nil)
      #expect(try Set(reader.listFiles(site: "demo", limit: 100).map(\.path)) == Set(paths))
      var paged: [String] = []
      while let next = try reader.listFiles(site: "demo", after: paged.last, limit: 1).first {
        paged.append(next.path)
      }
      #expect(Set(paged) == Set(paths) && paged.count == paths.count)
    }
  }

  @Test(arguments: [
    "", "/a", "a/", "a//b", ".", "..", "a/../b", "a/./b", "a\0b", "a\nb", String(repeating: "p", count: 1025),
  ])
  func pathsThatNoURLNamesAreInvalid(path: String) throws {
    let fixture = try Fixture()
    #expect(code { try fixture.store.publishFile(try draft(fixture, path)) } == .invalid)
  }

  @Test(arguments: ["...", "a/..b", "ä/ö.m3u8", "with space", ".hidden"])
  func unusualPathsAreFine(path: String) throws {
    let fixture = try Fixture()
    _ = try fixture.store.publishFile(draft(fixture, path))
    #expect(
      try fixture.store.read { reader throws(StoreError) in try reader.file(site: "demo", path: path) } != nil
    )
  }

  @Test func manyArePublishedAllOrNone() throws {
    let fixture = try Fixture()
    var drafts = try (0..<5).map { try draft(fixture, "f\($0)") }
    drafts.append(FileDraft(site: "demo", path: "f5", blob: BlobID.digest(of: [7]), mediaType: ""))
    #expect(code { try fixture.store.publishFiles(drafts) } == .blobMissing)
    #expect(
      try fixture.store.read { reader throws(StoreError) in try reader.listFiles(site: "demo", limit: 9) }
        .isEmpty)
  }
}

@Suite struct EventLogTests {
  private func events(_ fixture: Fixture, count: Int) throws {
    for index in 0..<count { _ = try fixture.publish("a\(index)", "x") }
  }

  @Test func cursorsStartAtTheHeadAndNeverGoBack() throws {
    let fixture = try Fixture()
    try events(fixture, count: 3)
    let store = fixture.store
    #expect(try store.cursor(for: "hooks") == 0)
    #expect(try store.registerConsumer("hooks") == 3)
    try events(fixture, count: 5)
    #expect(try store.events(after: store.cursor(for: "hooks"), limit: 10).map(\.sequence) == [4, 5])
    try store.advance(consumer: "hooks", to: 5)
    try store.advance(consumer: "hooks", to: 4)
    #expect(try store.cursor(for: "hooks") == 5)
    #expect(try store.registerConsumer("hooks") == 5)
    #expect(code { try store.advance(consumer: "hooks", to: 6) } == .invalid)
    #expect(code { try store.registerConsumer("") } == .invalid)
    #expect(try store.removeConsumer("hooks"))
    #expect(try !store.removeConsumer("hooks"))
  }

  @Test func pagesInOrderWithoutGaps() throws {
    let fixture = try Fixture()
    try events(fixture, count: 20)
    var seen: [UInt64] = []
    while true {
      let page = try fixture.store.events(after: seen.last ?? 0, limit: 6)
      if page.isEmpty { break }
      seen += page.map(\.sequence)
    }
    #expect(seen == Array(1...20))
    #expect(try fixture.store.events(after: .max, limit: 5).isEmpty)
    #expect(try fixture.store.events(after: 0, limit: 0).isEmpty)
  }

  @Test func trimmingKeepsWhatIsYoungUnreadOrNewest() throws {
    let fixture = try Fixture()
    let store = fixture.store
    try store.registerConsumer("slow")
    try events(fixture, count: 6)
    fixture.clock.advance(seconds: 100)
    #expect(try store.trimEvents(olderThanMilliseconds: 50_000) == 0)
    try store.advance(consumer: "slow", to: 4)
    #expect(try store.trimEvents(olderThanMilliseconds: 100_000) == 0)
    #expect(try store.trimEvents(olderThanMilliseconds: 50_000, limit: 3) == 3)
    #expect(try store.trimEvents(olderThanMilliseconds: 50_000) == 1)
    #expect(try store.events(after: 0, limit: 10).map(\.sequence) == [5, 6])
    try store.removeConsumer("slow")
    #expect(try store.trimEvents(olderThanMilliseconds: 50_000) == 1)
    #expect(try store.trimEvents(olderThanMilliseconds: 50_000) == 0)
    // The sequence goes on from the one that stayed.
    _ = try fixture.publish("later", "x")
    #expect(try store.events(after: 0, limit: 10).map(\.sequence) == [6, 7])
  }
}
