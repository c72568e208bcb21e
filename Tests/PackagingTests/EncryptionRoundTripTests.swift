import Packaging
import Testing

/// What is protected comes back, sample by sample, for a reader that knows the standard and the key.
@Suite("Encryption: round trips")
struct EncryptionRoundTripTests {
  @Test(arguments: MediaFolder.packageable, [ProtectionScheme.cenc, .cbcs])
  func everySampleOfSharedMediaComesBack(name: String, scheme: ProtectionScheme) throws {
    let bytes = try #require(try MediaFolder.bytes(name))
    let movie = try MovieReader.read(ArraySource(bytes))
    let key = try EncryptionFixture.key()
    for (number, movieTrack) in movie.tracks.enumerated() {
      let protected: ProtectedTrack
      do throws(MediaError) {
        protected = try ProtectedTrack(
          track: movieTrack.track, scheme: scheme, key: key,
          vectorBase: ProtectedTrack.vectorBase(renditionNumber: UInt16(number)))
      } catch {
        #expect(error.code == "encryption-codec")
        #expect(
          movieTrack.track.kind == .subtitle || movieTrack.track.codec == .vp9 && scheme == .cbcs,
          "\(movieTrack.track.codecString): \(error)")
        continue
      }
      try Self.check(protected, movieTrack.columns.samples(), of: bytes, renditionNumber: UInt64(number))
    }
  }

  static func check(
    _ protected: ProtectedTrack, _ samples: [Sample], of bytes: [UInt8], renditionNumber: UInt64
  ) throws {
    // Headers of AV1 and VP9 are read from a key frame on, where segments begin.
    let isWhole = [.av1, .vp9].contains(protected.track.codec)
    let length = isWhole ? max(1, samples.count) : 100
    let made = try EncryptionFixture.protect(protected, samples, of: bytes, length: length)
    let track = try #require(TrackEncryption(initSegment: made.initSegment))
    #expect(track.originalCode == String(decoding: protected.track.sampleEntry[4..<8], as: UTF8.self))
    let decryptor = Decryptor(key: EncryptionFixture.keyBytes)
    var vectors: Set<[UInt8]> = []
    var protectedBytes = 0
    var sampleBytes = 0
    for (number, segment) in made.segments.enumerated() {
      let slice = Array(samples[number * length..<min(samples.count, (number + 1) * length)])
      let said = try #require(SampleEncryption.all(segment.head, sampleCount: slice.count, track))
      #expect(said.isEmpty == (protected.scheme == .cbcs && protected.track.kind == .audio))
      var position = 0
      for (index, sample) in slice.enumerated() {
        let end = position + Int(sample.sizeBytes)
        let encrypted = Array(segment.media[position..<end])
        let clear = Array(bytes[Int(sample.offset)..<Int(sample.offset) + Int(sample.sizeBytes)])
        let how = said.isEmpty ? SampleEncryption(vector: [], subsamples: []) : said[index]
        guard try how.decrypt(encrypted, track, decryptor) == clear else {
          Issue.record(
            "sample \(number * length + index) of \(protected.track.codecString) does not come back")
          return
        }
        if protected.scheme == .cenc {
          let value = how.vector.reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
          #expect(value == renditionNumber << 48 + UInt64(number * length + index))
          #expect(vectors.insert(how.vector).inserted)
        }
        if protected.scheme == .cenc, !how.subsamples.isEmpty {
          #expect(how.subsamples.allSatisfy { $0[1] % 16 == 0 })
        }
        protectedBytes += how.subsamples.isEmpty ? clear.count : how.subsamples.reduce(0) { $0 + $1[1] }
        sampleBytes += clear.count
        if how.subsamples.isEmpty, clear.count >= 16 { #expect(encrypted != clear) }
        position = end
      }
      #expect(position == segment.media.count)
    }
    // Most of real pictures and sound is slice data; the smallest pictures are nothing but headers.
    if sampleBytes > 50_000 {
      #expect(protectedBytes * 2 > sampleBytes, "\(protectedBytes) of \(sampleBytes)")
    }
  }

  /// The same samples give the same bytes however they are cut into segments, and apart from the head.
  @Test(arguments: [ProtectionScheme.cenc, .cbcs])
  func segmentsDoNotDependOnWhatWasMadeBefore(scheme: ProtectionScheme) throws {
    guard let bytes = try MediaFolder.bytes("h264-aac-2997.mp4") else { return }
    for movieTrack in try MovieReader.read(ArraySource(bytes)).tracks {
      let protected = try ProtectedTrack(
        track: movieTrack.track, scheme: scheme, key: try EncryptionFixture.key(), vectorBase: 77)
      let samples = movieTrack.columns.samples()
      let long = try EncryptionFixture.protect(protected, samples, of: bytes, length: samples.count)
      let short = try EncryptionFixture.protect(protected, samples, of: bytes, length: 7)
      #expect(short.segments.flatMap(\.media) == long.segments.flatMap(\.media))
      #expect(
        try EncryptionFixture.protect(protected, samples, of: bytes, length: 7).segments == short.segments)
    }
  }
}
