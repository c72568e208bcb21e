import Testing

@testable import Store

@Suite struct RecordTests {
  private static let blob = BlobID.digest(of: [1])

  private static let renditions = [
    RenditionRecord(name: "source", kind: .video, blob: blob, trackIndex: 0),
    RenditionRecord(name: "audio", kind: .audio, blob: BlobID.digest(of: [2]), trackIndex: .max),
    RenditionRecord(name: "", kind: .subtitle, blob: blob),
    RenditionRecord(
      name: "subtitle-de", kind: .subtitle, blob: blob, language: "de-AT", label: "Schilder: 🪧",
      isForced: true),
    RenditionRecord(name: "f", kind: .file, blob: blob),
  ]

  private static let assets = [
    AssetRecord(
      site: "s", id: "a", title: "", description: "", tags: [], privacy: .public, status: .uploading,
      createdMilliseconds: 0, updatedMilliseconds: .max, generation: nil, source: nil, sourceName: "",
      mediaType: "", renditions: [], reason: nil, defects: []),
    AssetRecord(
      site: "søte", id: "a-1", title: "Tïtle 🎬", description: String(repeating: "long ", count: 400),
      tags: ["x", "", "yy"], privacy: .private, status: .failed, createdMilliseconds: .min,
      updatedMilliseconds: -1, generation: Generation(bits: .max), source: blob, sourceName: "a\"b\n.mp4",
      mediaType: "video/mp4", renditions: renditions, reason: "no key frames", defects: ["one", "two"],
      thumbnailMilliseconds: 12_345),
  ]

  private static let generations = assets.flatMap { asset in
    [nil, 5 as Int64].map { replaced in
      var record = GenerationRecord(of: asset, generation: Generation(bits: 1), ingestedMilliseconds: 77)
      record.replacedMilliseconds = replaced
      return record
    }
  }

  private static let events = EventKind.allCases.map {
    Event(
      sequence: .max, atMilliseconds: 5, kind: $0, site: "s", subject: "x/y", generation: Generation(bits: 3),
      previous: $0 == .assetReady ? nil : Generation(bits: 4))
  }

  private static let jobs: [JobRecord] = {
    let plain = JobRecord(JobDraft(site: "s", kind: "k", key: ""), sequence: 1, nowMilliseconds: 0)
    var whole = JobRecord(
      JobDraft(
        site: "søte", kind: "transcode.chunk", key: "film 🎬", asset: "film", priority: .max,
        payload: [0, 255, 123],
        dependencies: [plain.id, JobID(site: "a", kind: "b", key: "c")], servesDependantsOnly: true),
      sequence: .max, nowMilliseconds: .max)
    whole.state = .processing
    whole.notBeforeMilliseconds = .min
    whole.unmetDependencies = .max
    whole.attempt = 5
    whole.crashes = 2
    whole.owner = "host/1-abc/3"
    whole.fence = .max
    whole.leaseUntilMilliseconds = 30_000
    whole.startedMilliseconds = 7
    whole.progressPermille = 1000
    whole.note = "at the end"
    whole.result = [1]
    whole.keptBlobs = [blob, BlobID.digest(of: [2])]
    whole.error = JobError(code: "c", message: "m", log: "l\nl")
    return [plain, whole]
  }()

  /// Every record there is, encoded, with what reading it back gives.
  static let all: [(name: String, bytes: [UInt8], decode: @Sendable ([UInt8]) throws -> Bool)] = {
    var all: [(name: String, bytes: [UInt8], decode: @Sendable ([UInt8]) throws -> Bool)] = []
    for record in assets {
      all.append(
        ("asset", record.encode(), { try $0.withUnsafeBytes { try AssetRecord(decoding: $0) } == record }))
    }
    for record in generations {
      all.append(
        (
          "generation", record.encode(),
          { try $0.withUnsafeBytes { try GenerationRecord(decoding: $0) } == record }
        ))
    }
    for record in events {
      all.append(("event", record.encode(), { try $0.withUnsafeBytes { try Event(decoding: $0) } == record }))
    }
    let file = FileRecord(
      site: "s", path: "a/b", blob: blob, sizeBytes: .max, mediaType: "t", modifiedMilliseconds: -7)
    all.append(("file", file.encode(), { try $0.withUnsafeBytes { try FileRecord(decoding: $0) } == file }))
    for job in jobs {
      all.append(
        ("job", job.encode(), { try $0.withUnsafeBytes { try JobRecord(decoding: $0) } == job }))
    }
    let stored = BlobRecord(sizeBytes: 1 << 40, createdMilliseconds: 1, verifiedMilliseconds: 2)
    all.append(
      ("blob", stored.encode(), { try $0.withUnsafeBytes { try BlobRecord(decoding: $0) } == stored }))
    return all
  }()

  @Test(arguments: all.indices) func readsBackWhatWasWritten(index: Int) throws {
    let (_, bytes, decode) = Self.all[index]
    #expect(try decode(bytes))
  }

  @Test(arguments: all.indices) func everyTruncationIsDamage(index: Int) throws {
    let (name, bytes, decode) = Self.all[index]
    for count in 0..<bytes.count {
      #expect(code { try decode(Array(bytes[..<count])) } == .damaged, "\(name) cut to \(count) bytes")
    }
  }

  @Test(arguments: all.indices) func trailingBytesAndNewerVersionsAreDamage(index: Int) throws {
    let (_, bytes, decode) = Self.all[index]
    #expect(code { try decode(bytes + [0]) } == .damaged)
    for version: UInt8 in [0, 5, 255] {
      #expect(code { try decode([version] + bytes.dropFirst()) } == .damaged)
    }
  }

  /// Renditions as version 1 wrote them: they end with the track.
  private static func putFirstVersion(_ renditions: [RenditionRecord], into writer: inout RecordWriter) {
    writer.put(list: renditions) { writer, rendition in
      writer.put(rendition.name)
      writer.put(byte: rendition.kind.rawValue)
      writer.put(rendition.blob)
      writer.put(UInt64(rendition.trackIndex))
    }
  }

  @Test func readsTheFirstVersion() throws {
    let renditions = Array(Self.renditions.prefix(2))
    var asset = RecordWriter(version: 1)
    for text in ["s", "a", "title", "text"] { asset.put(text) }
    asset.put(list: ["tag"]) { $0.put($1) }
    asset.put(byte: Privacy.public.rawValue)
    asset.put(byte: AssetStatus.ready.rawValue)
    asset.put(signed: 5)
    asset.put(signed: 6)
    asset.put(optional: Generation(bits: 7)) { $0.put($1) }
    asset.put(optional: Self.blob) { $0.put($1) }
    asset.put("film.mp4")
    asset.put("video/mp4")
    Self.putFirstVersion(renditions, into: &asset)
    asset.put(optional: String?.none) { $0.put($1) }
    asset.put(list: ["one"]) { $0.put($1) }
    let found = try asset.bytes.withUnsafeBytes { try AssetRecord(decoding: $0) }
    #expect(found.renditions == renditions && found.defects == ["one"] && found.title == "title")
    // Written again it is of the newest version, and the same.
    let again = try found.encode().withUnsafeBytes { try AssetRecord(decoding: $0) }
    #expect(again == found && found.encode().first == 4 && found.views == 0)
    #expect(found.thumbnailMilliseconds == nil)

    var generation = RecordWriter(version: 1)
    generation.put("s")
    generation.put("a")
    generation.put(Generation(bits: 7))
    generation.put(optional: Self.blob) { $0.put($1) }
    Self.putFirstVersion(renditions, into: &generation)
    generation.put("video/mp4")
    generation.put("film.mp4")
    generation.put(optional: String?.none) { $0.put($1) }
    generation.put(signed: 5)
    generation.put(optional: Int64?.none) { $0.put(signed: $1) }
    let old = try generation.bytes.withUnsafeBytes { try GenerationRecord(decoding: $0) }
    #expect(old.renditions == renditions && old.ingestedMilliseconds == 5)
  }

  @Test func whatIsNotSetAddsNothingToTheGeneration() {
    let plain = RenditionRecord(name: "source", kind: .video, blob: Self.blob)
    func generation(_ rendition: RenditionRecord) -> Generation? {
      AssetDraft(site: "s", id: "a", status: .ready, source: Self.blob, renditions: [rendition]).generation
    }
    #expect(
      generation(plain) == Generation.make(roles: [("source", Self.blob), ("video:source:0", Self.blob)]))
    var changed = [plain, plain, plain, plain]
    changed[1].language = "en"
    changed[2].label = "en"
    changed[3].isForced = true
    #expect(Set(changed.map { generation($0) }).count == 4)
  }

  @Test(arguments: all.indices) func changedBytesNeverTrap(index: Int) throws {
    let (_, bytes, decode) = Self.all[index]
    var random = SplitMix64(seed: 0x5eed + UInt64(index))
    for _ in 0..<3000 {
      var changed = bytes
      for _ in 0..<Int.random(in: 1...4, using: &random) {
        changed[Int.random(in: 0..<changed.count, using: &random)] = UInt8(truncatingIfNeeded: random.next())
      }
      let found = code { try decode(changed) }
      #expect(found == nil || found == .damaged)
    }
  }

  @Test(arguments: [0, 1, 127, 128, 16_383, 16_384, 1 << 63, UInt64.max])
  func numbersReadBack(number: UInt64) throws {
    var writer = RecordWriter(version: 1)
    writer.put(number)
    writer.put(signed: Int64(bitPattern: number))
    try writer.bytes.withUnsafeBytes { bytes in
      var reader = try RecordReader(bytes, "test", newest: 1)
      #expect(try reader.number() == number)
      #expect(try reader.signed() == Int64(bitPattern: number))
      try reader.end()
    }
  }

  @Test func numbersBeyond64BitsAreDamage() {
    for last: UInt8 in [2, 0x7f, 0x81] {
      let bytes = [1] + [UInt8](repeating: 0xff, count: 9) + [last, 0]
      #expect(
        code {
          try bytes.withUnsafeBytes { bytes in
            var reader = try RecordReader(bytes, "test", newest: 1)
            return try reader.number()
          }
        } == .damaged)
    }
  }

  @Test func textThatIsNoUTF8IsDamage() {
    #expect(
      code {
        try ([1, 2, 0xc3, 0x28] as [UInt8]).withUnsafeBytes { (bytes: UnsafeRawBufferPointer) in
          var reader = try RecordReader(bytes, "test", newest: 1)
          return try reader.text()
        }
      } == .damaged)
  }
}
