import Packaging
import Testing

@Suite("Encryption: boxes and subsamples")
struct EncryptionBoxTests {
  /// An AVC track with the parameter sets of its configuration box, which may be none.
  private static func avc(parameterSets: [UInt8] = [0xE0, 0]) -> Track {
    var track = WriterFixture.video()
    let body: [UInt8] = [1, 0x64, 0, 0x1F, 0xFF] + parameterSets
    track.sampleEntry = WriterFixture.sampleEntry(
      "avc1", boxes: [0, 0, 0, UInt8(8 + body.count)] + Array("avcC".utf8) + body)
    return track
  }

  private static func unit(_ header: UInt8, _ count: Int) -> [UInt8] {
    [UInt8(count >> 24), UInt8(count >> 16 & 255), UInt8(count >> 8 & 255), UInt8(count & 255), header]
      + [UInt8](repeating: 0xAB, count: count - 1)
  }

  private func protect(
    _ track: Track, _ scheme: ProtectionScheme, samples bytes: [[UInt8]], vectorBase: UInt64 = 0,
    systems: [ProtectionSystem] = []
  ) throws -> (initSegment: [UInt8], segment: ProtectedSegment) {
    let protected = try ProtectedTrack(
      track: track, scheme: scheme, key: try EncryptionFixture.key(), systems: systems, vectorBase: vectorBase
    )
    let samples = WriterFixture.samples(
      count: bytes.count, durationTicks: 1024, offset: 0, size: { UInt32(bytes[$0].count) })
    let made = try EncryptionFixture.protect(
      protected, samples, of: bytes.flatMap { $0 }, length: max(1, bytes.count))
    return (made.initSegment, try #require(made.segments.first))
  }

  @Test func theInitSegmentDiffersByEntryAndSystemsAlone() throws {
    let systems = [
      ProtectionSystem.common(keyIDs: [EncryptionFixture.keyID]),
      try #require(ProtectionSystem(id: ProtectionSystem.widevineID, data: [1])),
    ]
    let track = WriterFixture.audio()
    let made = try protect(track, .cenc, samples: [[1]], systems: systems)
    let clear = InitSegment.bytes(for: track)
    let walk = BoxWalk(bytes: made.initSegment)
    let moov = try #require(walk.box("moov"))
    #expect(walk.boxes(in: moov.payload)?.map(\.type) == ["mvhd", "trak", "mvex", "pssh", "pssh"])
    let sinf: [UInt8] =
      [0, 0, 0, 80] + Array("sinf".utf8) + [0, 0, 0, 12] + Array("frmamp4a".utf8)
      + [0, 0, 0, 20] + Array("schm".utf8) + [0, 0, 0, 0] + Array("cenc".utf8) + [0, 1, 0, 0]
      + [0, 0, 0, 40] + Array("schi".utf8) + [0, 0, 0, 32] + Array("tenc".utf8)
      + [0, 0, 0, 0, 0, 0, 1, 8] + EncryptionFixture.keyID
    let stsd = try #require(walk.box("moov/trak/mdia/minf/stbl/stsd")).payload
    var entry = track.sampleEntry
    entry.replaceSubrange(0..<8, with: [0, 0, 0, UInt8(entry.count + 80)] + Array("enca".utf8))
    #expect(Array(made.initSegment[stsd.lowerBound + 8..<stsd.upperBound]) == entry + sinf)
    #expect(made.initSegment.count == clear.count + 80 + systems.reduce(0) { $0 + $1.box.count })
    #expect(made.initSegment.suffix(52 + 33) == (systems[0].box + systems[1].box)[...])
  }

  /// QuickTime ends sample entries with four zero bytes, behind which no reader would find `sinf`.
  @Test func whatEndsAQuickTimeEntryIsDropped() throws {
    var track = Self.avc()
    let plain = try protect(track, .cbcs, samples: [[1]])
    for end in [[0, 0, 0, 0], [0, 0, 0, 0, 0, 0, 0, 0], [0, 0, 0, 99, 1, 2, 3, 4], [1]] as [[UInt8]] {
      track.sampleEntry = Self.avc().sampleEntry + end
      track.sampleEntry[3] += UInt8(end.count)
      #expect(try protect(track, .cbcs, samples: [[1]]).initSegment == plain.initSegment)
    }
  }

  @Test func tencStatesPatternAndConstantVector() throws {
    for (track, pattern) in [(Self.avc(), [1, 9]), (WriterFixture.audio(), [0, 0])] {
      let made = try protect(track, .cbcs, samples: [[1]])
      let said = try #require(TrackEncryption(initSegment: made.initSegment))
      #expect(said.scheme == "cbcs")
      #expect([said.cryptBlocks, said.skipBlocks] == pattern)
      #expect(said.vectorBytes == 0)
      #expect(said.constantVector == EncryptionFixture.iv)
      #expect(said.keyID == EncryptionFixture.keyID)
    }
  }

  /// The smallest fragment of `MediaSegmentTests`, byte for byte, under counter mode.
  @Test func soundUnderCencHasAVectorForEachSample() throws {
    let made = try protect(
      WriterFixture.audio(), .cenc, samples: [[1, 2, 3, 4, 5], [6, 7, 8, 9, 10]],
      vectorBase: 0x0102_0304_0506_07FF)
    let expected: [UInt8] =
      [0, 0, 0, 24] + Array("stypmsdh".utf8) + [0, 0, 0, 0] + Array("msdhcmfs".utf8)
      + [0, 0, 0, 169] + Array("moof".utf8)
      + [0, 0, 0, 16] + Array("mfhd".utf8) + [0, 0, 0, 0, 0, 0, 0, 1]
      + [0, 0, 0, 145] + Array("traf".utf8)
      + [0, 0, 0, 28] + Array("tfhd".utf8) + [0, 2, 0, 0x38, 0, 0, 0, 1]
      + [0, 0, 4, 0, 0, 0, 0, 5, 2, 0, 0, 0]
      + [0, 0, 0, 20] + Array("tfdt".utf8) + [1, 0, 0, 0] + [UInt8](repeating: 0, count: 8)
      + [0, 0, 0, 20] + Array("trun".utf8) + [1, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 177]
      + [0, 0, 0, 17] + Array("saiz".utf8) + [0, 0, 0, 0, 8, 0, 0, 0, 2]
      + [0, 0, 0, 20] + Array("saio".utf8) + [0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 153]
      + [0, 0, 0, 32] + Array("senc".utf8) + [0, 0, 0, 0, 0, 0, 0, 2]
      + [1, 2, 3, 4, 5, 6, 7, 0xFF, 1, 2, 3, 4, 5, 6, 8, 0]
      + [0, 0, 0, 18] + Array("mdat".utf8)
    #expect(made.segment.head == expected)
    #expect(made.segment.totalBytes == UInt64(expected.count + 10))
    let clear = try Decryptor(key: EncryptionFixture.keyBytes).ctr(
      Array(made.segment.media[5...]), iv: [1, 2, 3, 4, 5, 6, 8, 0] + [UInt8](repeating: 0, count: 8))
    #expect(clear == [6, 7, 8, 9, 10])
  }

  /// Nothing is said of each sample, and a sample's last bytes, less than a block, are as they were.
  @Test func soundUnderCbcsHasWholeBlocksEncrypted() throws {
    let sample = (0..<39).map { UInt8($0) }
    let made = try protect(WriterFixture.audio(), .cbcs, samples: [sample, [1, 2]])
    let track = WriterFixture.audio()
    let samples = WriterFixture.samples(count: 2, durationTicks: 1024, offset: 0, size: { [39, 2][$0] })
    #expect(made.segment.head == MediaSegment.make(track: track, sequenceNumber: 1, samples: samples).head)
    #expect(made.segment.media[32...] == sample[32...] + [1, 2])
    let clear = try Decryptor(key: EncryptionFixture.keyBytes).cbc(
      Array(made.segment.media[..<32]), iv: EncryptionFixture.iv)
    #expect(clear == Array(sample[..<32]))
  }

  private func subsamples(_ scheme: ProtectionScheme, _ sample: [UInt8]) throws -> [[Int]] {
    let made = try protect(Self.avc(), scheme, samples: [sample])
    let track = try #require(TrackEncryption(initSegment: made.initSegment))
    let said = try #require(SampleEncryption.all(made.segment.head, sampleCount: 1, track)?.first)
    #expect(try said.decrypt(made.segment.media, track, Decryptor(key: EncryptionFixture.keyBytes)) == sample)
    return said.subsamples
  }

  /// Without parameter sets no slice header can be read: `cenc` guesses on the safe side, `cbcs` leaves it.
  @Test func slicesOfUnknownHeadersStayDecodable() throws {
    let sample =
      Self.unit(9, 2) + Self.unit(0x65, 1000) + Self.unit(6, 30) + Self.unit(0x41, 111) + Self.unit(0x41, 112)
    #expect(try subsamples(.cenc, sample) == [[6 + 4 + 104, 896], [34 + 4 + 111 + 4 + 96, 16]])
    #expect(try subsamples(.cbcs, sample) == [[sample.count, 0]])
  }

  @Test func longClearRunsTakeSeveralPairs() throws {
    let sample = Self.unit(6, 140_000) + Self.unit(0x65, 500)
    #expect(
      try subsamples(.cenc, sample) == [[65_535, 0], [65_535, 0], [140_004 + 4 + 100 - 131_070, 400]])
    #expect(try subsamples(.cenc, Self.unit(6, 65_531)) == [[65_535, 0]])
    #expect(try subsamples(.cenc, Self.unit(6, 65_532)) == [[65_535, 0], [1, 0]])
  }

  @Test func moreSlicesThanCanBeToldLeaveTheLastOnesClear() throws {
    let slices = (0..<60).flatMap { _ in Self.unit(0x65, 496) }
    let found = try subsamples(.cenc, slices)
    #expect(found.count == 40)
    #expect(found.dropLast().allSatisfy { $0 == [100, 400] })
    #expect(found.last == [21 * 500, 0])
    let long = (0..<60).flatMap { _ in Self.unit(0x65, 19_996) }
    let few = try subsamples(.cenc, long)
    #expect(few.count <= 40)
    #expect(few.filter { $0[1] > 0 }.count == 31)
  }

  @Test func damagedUnitsPassAsTheyAre() throws {
    for sample in [
      [], [1], [0, 0, 0], [0, 0, 0, 0], [0, 0, 0, 9, 0x65], [255, 255, 255, 255, 0x65, 1, 2],
    ] as [[UInt8]] {
      for scheme in [ProtectionScheme.cenc, .cbcs] {
        #expect(try subsamples(scheme, sample) == [[sample.count, 0]])
      }
    }
    let behind = Self.unit(0x65, 496) + [0, 0, 1, 0] + [UInt8](repeating: 0x65, count: 200)
    #expect(try subsamples(.cenc, behind) == [[100, 400], [204, 0]])
  }

  @Test func aPictureThatCannotBeToldIsRefused() throws {
    let sample = Self.unit(6, 40 * 65_535)
    let code = #expect(throws: MediaError.self) { try subsamples(.cenc, sample) }?.code
    #expect(code == "encryption-subsamples")
  }

  @Test func whatCannotBeProtectedIsRefused() throws {
    func code(_ track: Track, _ scheme: ProtectionScheme, _ key: ContentKey) -> String? {
      do throws(MediaError) {
        _ = try ProtectedTrack(track: track, scheme: scheme, key: key, vectorBase: 0)
        return nil
      } catch {
        return error.code
      }
    }
    let key = try EncryptionFixture.key()
    let bare = try #require(ContentKey(id: EncryptionFixture.keyID, key: EncryptionFixture.keyBytes))
    for (codec, cenc, cbcs) in [
      (TrackCodec.av1, "sample-entry", "sample-entry"), (.vp9, nil, "encryption-codec"),
      (.unsupported(FourCC(rawValue: 0)), "encryption-codec", "encryption-codec"),
    ] as [(TrackCodec, String?, String)] {
      var track = Self.avc()
      track.codec = codec
      #expect(code(track, .cenc, key) == cenc)
      #expect(code(track, .cbcs, key) == cbcs)
    }
    var subtitle = WriterFixture.audio()
    subtitle.kind = .subtitle
    #expect(code(subtitle, .cbcs, key) == "encryption-codec")
    #expect(code(Self.avc(), .cbcs, bare) == "encryption-iv")
    #expect(code(Self.avc(), .cenc, bare) == nil)
    #expect(code(WriterFixture.video(), .cenc, key) == "sample-entry")
    var short = WriterFixture.audio()
    short.sampleEntry.removeLast()
    #expect(code(short, .cenc, key) == "sample-entry")
    for codec in [TrackCodec.aac, .mp3, .ac3, .eac3, .flac, .opus, .alac] {
      var track = WriterFixture.audio()
      track.codec = codec
      #expect(code(track, .cbcs, key) == nil)
    }
  }

  @Test func samplesOutsideOfTheSourceAreRefused() throws {
    let protected = try ProtectedTrack(
      track: WriterFixture.audio(), scheme: .cenc, key: try EncryptionFixture.key(), vectorBase: 0)
    func code(_ offset: UInt64, _ sizeBytes: UInt32, count: Int = 1) -> String? {
      let sample = Sample(
        offset: offset, sizeBytes: sizeBytes, durationTicks: 1, decodeTicks: 0, compositionOffsetTicks: 0,
        isSync: true)
      do {
        _ = try EncryptionFixture.protect(
          protected, Array(repeating: sample, count: count), of: [1, 2, 3], length: count)
        return nil
      } catch {
        return (error as? MediaError)?.code
      }
    }
    #expect(code(0, 3) == nil)
    #expect(code(1, 3) == "sample-past-end")
    #expect(code(.max, 3) == "sample-past-end")
    #expect(code(0, .max) == "encryption-segment")
    #expect(code(0, 1 << 27, count: 3) == "encryption-segment")
  }

  @Test func vectorsOfRenditionsAreFarApart() {
    #expect(ProtectedTrack.vectorBase(renditionNumber: 0x1234) == 0x1234_0000_0000_0000)
  }
}
