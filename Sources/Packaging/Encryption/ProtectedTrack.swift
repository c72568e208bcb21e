// Common Encryption (ISO/IEC 23001-7:2016) of one track in fragmented MP4.
//
// Init segment: the sample entry becomes `encv` or `enca` and says at its end how to get back:
//
//     sinf
//       frma    the code that the entry had
//       schm    cenc or cbcs, version 1.0
//       schi/tenc
//         cenc  version 0: protected, vectors of 8 bytes in `senc`, KID
//         cbcs  version 1: protected, pattern 1:9 for pictures and 0:0 for sound, KID, the constant vector
//
// and `moov` ends with a `pssh` box for each protection system. Media segment: as `MediaSegment` makes it, with `saiz`,
// `saio` and `senc` at the end of `traf` (`SampleEncryptor`) and the samples encrypted. Nothing changes its length, so
// times, sizes and `trun` are those of the clear segment.
//
// Unlike a clear segment this one is bytes and not slices: the samples are read into the array that is sent and
// encrypted there. How long `senc` is depends on the NAL units, so the length of a segment of pictures is known only
// when it is made.
//
// What is protected: pictures by subsamples (`NALSubsamples`, `AV1Subsamples`, `VP9Subsamples`), sound of any coding as whole
// samples. VP9 under `cbcs` is refused, since its binding has `cenc` alone, and so are subtitles.
//
// Vectors. Under one key no counter block may ever come twice, or the XOR of two pictures lies open. A `cenc` vector is
// the 64-bit number
//
//     vectorBase + index of the sample in its track
//
// the same on every node and after every restart. `vectorBase` is the caller's, who alone knows what else the key is
// used for:
//   - a key of one asset generation: `vectorBase(renditionNumber:)` gives each rendition 2^48 vectors of its own;
//   - a key of many assets, or one that outlives a generation: 64 bits of a digest of all that the bytes depend on, as
//     `PackagerVersion` lists it. Of 100,000 tracks of a million samples any two overlap with a chance of 1 in 2,000;
//     better to have more keys.
// The same bytes encrypted twice, on another node, are the same counter blocks over the same bytes and do no harm; a
// version that drew the ranges of a picture otherwise would put other bytes under the same blocks.
// `cbcs` uses the constant vector of the key for every run, as the scheme wants.

/// A media segment that is all bytes.
public struct ProtectedSegment: Sendable, Equatable {
  /// `styp`, `moof` and the header of `mdat`.
  public let head: [UInt8]
  /// The payload of `mdat`.
  public let media: [UInt8]

  /// The `Content-Length`.
  public var totalBytes: UInt64 { UInt64(head.count) + UInt64(media.count) }
}

/// A track whose init and media segments are protected with one key.
public struct ProtectedTrack: Sendable {
  public let track: Track
  public let scheme: ProtectionScheme
  public let key: ContentKey
  public let systems: [ProtectionSystem]
  /// Vector of the track's sample 0 under `cenc`; see the head of this file.
  public let vectorBase: UInt64
  private let protectedEntry: [UInt8]
  /// `nil` where samples are encrypted whole.
  private let pictures: PictureSubsamples?

  /// A segment is made in memory; one that would take more is refused.
  public static let largestSegmentBytes: UInt64 = 256 << 20

  /// - Parameters:
  ///   - key: under `cbcs` with its constant vector.
  ///   - systems: for `pssh` boxes; may be empty, since playlists and MPDs have them too.
  ///   - vectorBase: no other track under the same key may use the numbers from here to the number of its samples.
  /// - Throws: `MediaError.unsupported`: `encryption-codec` for a coding that is not protected here, `encryption-iv`
  ///   where the scheme wants a constant vector and the key has none, `sample-entry` where that of the track cannot
  ///   be read.
  public init(
    track: Track, scheme: ProtectionScheme, key: ContentKey, systems: [ProtectionSystem] = [],
    vectorBase: UInt64
  ) throws(MediaError) {
    guard scheme == .cenc || key.iv != nil else {
      throw .unsupported("encryption-iv", "The scheme cbcs needs a constant IV of 16 bytes beside the key.")
    }
    switch (track.kind, track.codec) {
    case (.audio, .unsupported), (.subtitle, _), (.other, _), (.video, .unsupported):
      throw .unsupported(
        "encryption-codec", "A track of \(track.codecString) is not encrypted by this version.")
    case (.video, .vp9) where scheme == .cbcs:
      throw .unsupported(
        "encryption-codec", "VP9 is encrypted under cenc alone; its binding to MP4 knows no cbcs.")
    case (.audio, _):
      pictures = nil
    case (.video, _):
      pictures = PictureSubsamples(track: track, scheme: scheme)
      guard pictures != nil else {
        throw .unsupported(
          "sample-entry", "The sample entry has no configuration box (avcC, hvcC, av1C) that can be read.")
      }
    }
    guard let entry = Self.protectedEntry(track, scheme: scheme, key: key) else {
      throw .unsupported("sample-entry", "The sample entry is cut short.")
    }
    protectedEntry = entry
    self.track = track
    self.scheme = scheme
    self.key = key
    self.systems = systems
    self.vectorBase = vectorBase
  }

  /// The base of a rendition under a key that protects one generation of one asset and nothing else: two bytes of
  /// number, then room for 2^48 samples.
  public static func vectorBase(renditionNumber: UInt16) -> UInt64 { UInt64(renditionNumber) << 48 }

  /// The init segment, as `InitSegment.bytes` with the protected sample entry and the `pssh` boxes.
  ///
  /// - Parameter firstDecodeTicks: see `InitSegment.bytes`.
  public func initSegment(firstDecodeTicks: UInt64 = 0) -> [UInt8] {
    var described = track
    described.sampleEntry = protectedEntry
    return InitSegment.bytes(
      for: described, firstDecodeTicks: firstDecodeTicks, movieBoxes: systems.flatMap(\.box))
  }

  /// The segment of `samples`, in decode order, read from `source` and encrypted.
  ///
  /// - Parameters:
  ///   - sequenceNumber, firstDecodeTicks: see `MediaSegment.make`.
  ///   - firstSampleIndex: `Segment.firstSample`, the place of the first sample in the track.
  ///   - cipher: AES-128 under `key.key`.
  /// - Throws: what `source` throws; `MediaError.damaged` with code `sample-past-end` where a sample is not in the
  ///   source; `.unsupported` with code `encryption-segment` where the segment is larger than `largestSegmentBytes`
  ///   or `encryption-subsamples` where a sample has more clear bytes than can be told.
  /// - Complexity: linear in the bytes, in one pass; two large allocations.
  public func segment(
    sequenceNumber: UInt32, samples: [Sample], firstSampleIndex: UInt64, firstDecodeTicks: UInt64 = 0,
    reading source: some ByteSource, cipher: some BlockCipher
  ) throws(MediaError) -> ProtectedSegment {
    var layout = FragmentLayout(kind: track.kind, samples: samples)
    guard layout.mediaBytes <= Self.largestSegmentBytes else {
      throw .unsupported(
        "encryption-segment",
        "A segment of \(layout.mediaBytes) bytes is too large to be encrypted in memory; use shorter segments."
      )
    }
    var media = try Self.read(samples, layout, from: source)
    var encryptor = SampleEncryptor(
      cipher: cipher, scheme: scheme, constantVector: key.iv.map { UInt128(bigEndianBytes: $0) } ?? 0,
      firstVector: vectorBase &+ firstSampleIndex, pictures: pictures)
    let isTold = media.withUnsafeMutableBytes { bytes in
      var position = 0
      for sample in samples {
        let end = position + Int(sample.sizeBytes)
        guard encryptor.encrypt(UnsafeMutableRawBufferPointer(rebasing: bytes[position..<end])) else {
          return false
        }
        position = end
      }
      encryptor.finish()
      return true
    }
    guard isTold else {
      throw .unsupported(
        "encryption-subsamples",
        "A picture has more bytes outside of readable slices than a segment can tell; encode it anew.")
    }
    layout.trackFragmentBoxes = encryptor.boxes(offset: layout.trackFragmentBoxesOffset)
    let timing = FragmentTiming(track: track, firstDecodeTicks: firstDecodeTicks)
    return ProtectedSegment(
      head: layout.head(sequenceNumber: sequenceNumber, timing: timing, samples: samples), media: media)
  }

  /// All samples, one behind the other.
  private static func read(
    _ samples: [Sample], _ layout: FragmentLayout, from source: some ByteSource
  ) throws(MediaError) -> [UInt8] {
    let totalBytes = Int(layout.mediaBytes)
    // A typed error cannot leave the closure that lends the memory, so it leaves as a value.
    var failure: MediaError?
    let media = [UInt8](unsafeUninitializedCapacity: totalBytes) { memory, filled in
      let whole = UnsafeMutableRawBufferPointer(
        rebasing: UnsafeMutableRawBufferPointer(memory)[..<totalBytes])
      do throws(MediaError) {
        guard try source.gather(layout.slices(of: samples), into: whole) == totalBytes else {
          throw .damaged(
            "sample-past-end", "A sample lies past the end of its file; import the file again.")
        }
        filled = totalBytes
      } catch {
        failure = error
      }
    }
    if let failure { throw failure }
    return media
  }

  /// The sample entry under its new code, with `sinf` as its last box. `nil` where its size is not what it says.
  ///
  /// QuickTime ends entries with four zero bytes, behind which no reader looks for a box: what follows the last whole
  /// box is dropped.
  private static func protectedEntry(_ track: Track, scheme: ProtectionScheme, key: ContentKey) -> [UInt8]? {
    let entry = track.sampleEntry
    let fixedBytes = track.kind == .video ? 86 : 36
    var reader = BoxReader(entry.span)
    guard entry.count >= fixedBytes, reader.u32().map({ Int($0) }) == entry.count,
      reader.skip(fixedBytes - 4) != nil
    else { return nil }
    var end = fixedBytes
    while let child = reader.box(), !child.isTruncated, entry[end..<end + 4].contains(where: { $0 != 0 }) {
      end = reader.position
    }
    var writer = BoxWriter(capacityBytes: entry.count + 128)
    let box = writer.begin(track.kind == .video ? "encv" : "enca")
    writer.raw(Array(entry[8..<end]))
    let sinf = writer.begin("sinf")
    let frma = writer.begin("frma")
    writer.raw(Array(entry[4..<8]))
    writer.end(frma)
    let schm = writer.begin("schm", version: 0, flags: 0)
    writer.fourCC(scheme.name)
    writer.u32(0x0001_0000)
    writer.end(schm)
    let schi = writer.begin("schi")
    let tenc = writer.begin("tenc", version: scheme == .cbcs ? 1 : 0, flags: 0)
    writer.u8(0)
    writer.u8(scheme == .cbcs && track.kind == .video ? 0x19 : 0)  // one block of ten, or no pattern
    writer.u8(1)  // protected
    writer.u8(scheme == .cenc ? 8 : 0)
    writer.raw(key.id)
    if scheme == .cbcs, let iv = key.iv {
      writer.u8(16)
      writer.raw(iv)
    }
    writer.end(tenc)
    writer.end(schi)
    writer.end(sinf)
    writer.end(box)
    return writer.bytes
  }
}
