import COpenSSL
import Packaging
import Testing

/// AES-128 of OpenSSL, as the packager asks for it.
final class OpenSSLCipher: BlockCipher {
  private let chained: OpaquePointer
  private let counted: OpaquePointer
  private let single: OpaquePointer

  init(_ key: [UInt8]) throws {
    chained = try #require(EVP_CIPHER_CTX_new())
    counted = try #require(EVP_CIPHER_CTX_new())
    try #require(EVP_EncryptInit_ex(chained, EVP_aes_128_cbc(), nil, key, nil) == 1)
    try #require(EVP_EncryptInit_ex(counted, EVP_aes_128_ctr(), nil, key, nil) == 1)
    single = try #require(EVP_CIPHER_CTX_new())
    try #require(EVP_EncryptInit_ex(single, EVP_aes_128_ecb(), nil, key, nil) == 1)
    EVP_CIPHER_CTX_set_padding(chained, 0)
    EVP_CIPHER_CTX_set_padding(single, 0)
  }

  deinit {
    EVP_CIPHER_CTX_free(chained)
    EVP_CIPHER_CTX_free(counted)
    EVP_CIPHER_CTX_free(single)
  }

  func encryptCBC(_ blocks: UnsafeMutableRawBufferPointer, vector: inout UInt128) {
    precondition(blocks.count % 16 == 0)
    guard blocks.count > 0 else { return }
    Self.run(chained, blocks, vector)
    vector = UInt128(
      bigEndian: blocks.loadUnaligned(fromByteOffset: blocks.count - 16, as: UInt128.self))
  }

  func encryptBlocks(_ blocks: UnsafeMutableRawBufferPointer) {
    let memory = blocks.baseAddress?.assumingMemoryBound(to: UInt8.self)
    var count: Int32 = 0
    let status = EVP_EncryptUpdate(single, memory, &count, memory, Int32(blocks.count))
    precondition(status == 1 && count == blocks.count, "OpenSSL does not encrypt")
  }

  func encryptCTR(_ bytes: UnsafeMutableRawBufferPointer, counter: UInt128) {
    Self.run(counted, bytes, counter)
  }

  private static func run(_ context: OpaquePointer, _ bytes: UnsafeMutableRawBufferPointer, _ vector: UInt128)
  {
    let memory = bytes.baseAddress?.assumingMemoryBound(to: UInt8.self)
    var count: Int32 = 0
    let status = withUnsafeBytes(of: vector.bigEndian) { iv in
      EVP_EncryptInit_ex(context, nil, nil, nil, iv.baseAddress?.assumingMemoryBound(to: UInt8.self)) == 1
        && EVP_EncryptUpdate(context, memory, &count, memory, Int32(bytes.count)) == 1
    }
    precondition(status && count == bytes.count, "OpenSSL does not encrypt")
  }
}

/// Decryption, written anew from the standard and with nothing taken from the code under test.
struct Decryptor {
  let key: [UInt8]

  /// One whole message or run of blocks.
  func run(_ cipher: OpaquePointer?, _ bytes: [UInt8], iv: [UInt8], isPadded: Bool = false) throws -> [UInt8]
  {
    let context = try #require(EVP_CIPHER_CTX_new())
    defer { EVP_CIPHER_CTX_free(context) }
    try #require(EVP_DecryptInit_ex(context, cipher, nil, key, iv) == 1)
    EVP_CIPHER_CTX_set_padding(context, isPadded ? 1 : 0)
    var clear = [UInt8](repeating: 0, count: bytes.count + 16)
    var count: Int32 = 0
    var rest: Int32 = 0
    try #require(EVP_DecryptUpdate(context, &clear, &count, bytes, Int32(bytes.count)) == 1)
    let last = clear.withUnsafeMutableBytes { memory in
      EVP_DecryptFinal_ex(
        context, memory.baseAddress?.advanced(by: Int(count)).assumingMemoryBound(to: UInt8.self), &rest)
    }
    try #require(last == 1)
    return Array(clear.prefix(Int(count + rest)))
  }

  func cbc(_ bytes: [UInt8], iv: [UInt8], isPadded: Bool = false) throws -> [UInt8] {
    try run(EVP_aes_128_cbc(), bytes, iv: iv, isPadded: isPadded)
  }

  func ctr(_ bytes: [UInt8], iv: [UInt8]) throws -> [UInt8] {
    try run(EVP_aes_128_ctr(), bytes, iv: iv)
  }
}

/// What `tenc` of an init segment says.
struct TrackEncryption: Equatable {
  var entryCode: String
  var originalCode: String
  var scheme: String
  var cryptBlocks: Int
  var skipBlocks: Int
  var vectorBytes: Int
  var keyID: [UInt8]
  var constantVector: [UInt8]

  init?(initSegment: [UInt8]) {
    let walk = BoxWalk(bytes: initSegment)
    guard let stsd = walk.box("moov/trak/mdia/minf/stbl/stsd") else { return nil }
    let start = stsd.payload.lowerBound + 8
    entryCode = String(decoding: initSegment[start + 4..<start + 8], as: UTF8.self)
    let fixedBytes = entryCode == "encv" ? 86 : 36
    guard start + Int(walk.word(start)) == stsd.payload.upperBound,
      let sinf = walk.boxes(in: start + fixedBytes..<stsd.payload.upperBound)?.last, sinf.type == "sinf",
      let children = walk.boxes(in: sinf.payload), children.map(\.type) == ["frma", "schm", "schi"],
      let tenc = walk.boxes(in: children[2].payload)?.first, tenc.type == "tenc"
    else { return nil }
    originalCode = String(decoding: initSegment[children[0].payload], as: UTF8.self)
    let schm = children[1].payload.lowerBound
    guard walk.word(schm) == 0, walk.word(schm + 8) == 0x1_0000 else { return nil }
    scheme = String(decoding: initSegment[schm + 4..<schm + 8], as: UTF8.self)
    let fields = Array(initSegment[tenc.payload])
    guard fields[4] == 0, fields[6] == 1, fields[0] == 1 || fields[5] == 0 else { return nil }
    (cryptBlocks, skipBlocks) = (Int(fields[5] >> 4), Int(fields[5] & 15))
    vectorBytes = Int(fields[7])
    keyID = Array(fields[8..<24])
    constantVector = vectorBytes == 0 ? Array(fields[25..<25 + Int(fields[24])]) : []
    guard fields.count == (vectorBytes == 0 ? 25 + constantVector.count : 24) else { return nil }
  }
}

/// What a fragment says of the encryption of its samples, found by way of `saiz` and `saio`.
struct SampleEncryption: Equatable {
  var vector: [UInt8]
  /// Clear and protected bytes; empty where the sample is encrypted whole.
  var subsamples: [[Int]]

  /// `nil` where the boxes contradict each other; empty where there are none.
  static func all(_ head: [UInt8], sampleCount: Int, _ track: TrackEncryption) -> [SampleEncryption]? {
    let walk = BoxWalk(bytes: head)
    guard let moof = walk.box("moof"), let traf = walk.box("moof/traf"),
      let boxes = walk.boxes(in: traf.payload)
    else { return nil }
    if boxes.map(\.type) == ["tfhd", "tfdt", "trun"] { return [] }
    guard boxes.map(\.type) == ["tfhd", "tfdt", "trun", "saiz", "saio", "senc"] else { return nil }
    let saiz = boxes[3].payload.lowerBound
    let uniform = Int(head[saiz + 4])
    guard walk.word(saiz) == 0, Int(walk.word(saiz + 5)) == sampleCount,
      boxes[3].payload.count == 9 + (uniform == 0 ? sampleCount : 0)
    else { return nil }
    let sizes = (0..<sampleCount).map { uniform == 0 ? Int(head[saiz + 9 + $0]) : uniform }
    let saio = boxes[4].payload.lowerBound
    let senc = boxes[5].payload.lowerBound
    guard walk.word(saio) == 0, walk.word(saio + 4) == 1, Int(walk.word(senc + 4)) == sampleCount else {
      return nil
    }
    let hasSubsamples = walk.word(senc) == 2
    var offset = moof.range.lowerBound + Int(walk.word(saio + 8))
    guard offset == senc + 8, offset + sizes.reduce(0, +) == boxes[5].payload.upperBound else { return nil }
    var samples: [SampleEncryption] = []
    for size in sizes {
      var sample = SampleEncryption(vector: Array(head[offset..<offset + track.vectorBytes]), subsamples: [])
      if hasSubsamples {
        let pairs = offset + track.vectorBytes + 2
        let count = Int(walk.half(pairs - 2))
        guard size == track.vectorBytes + 2 + 6 * count, count > 0 else { return nil }
        sample.subsamples = (0..<count).map {
          [Int(walk.half(pairs + 6 * $0)), Int(walk.word(pairs + 6 * $0 + 2))]
        }
      } else {
        guard size == track.vectorBytes else { return nil }
      }
      samples.append(sample)
      offset += size
    }
    return samples
  }

  /// The sample in clear.
  func decrypt(_ sample: [UInt8], _ track: TrackEncryption, _ decryptor: Decryptor) throws -> [UInt8] {
    let runs = subsamples.isEmpty ? [[0, sample.count]] : subsamples
    try #require(runs.reduce(0) { $0 + $1[0] + $1[1] } == sample.count)
    var clear = sample
    var position = 0
    if track.scheme == "cenc" {
      var ranges: [Range<Int>] = []
      for run in runs {
        ranges.append(position + run[0]..<position + run[0] + run[1])
        position += run[0] + run[1]
      }
      let plain = try decryptor.ctr(
        ranges.flatMap { sample[$0] }, iv: vector + [UInt8](repeating: 0, count: 8))
      var done = 0
      for range in ranges {
        clear.replaceSubrange(range, with: plain[done..<done + range.count])
        done += range.count
      }
      return clear
    }
    for run in runs {
      position += run[0]
      let end = position + run[1]
      let step = track.cryptBlocks == 0 ? 16 : 16 * (track.cryptBlocks + track.skipBlocks)
      let starts = stride(from: position, to: end - 15, by: step)
      let plain = try decryptor.cbc(starts.flatMap { sample[$0..<$0 + 16] }, iv: track.constantVector)
      for (index, start) in starts.enumerated() {
        clear.replaceSubrange(start..<start + 16, with: plain[16 * index..<16 * index + 16])
      }
      position = end
    }
    return clear
  }
}

enum EncryptionFixture {
  static let keyBytes: [UInt8] = (0..<16).map { UInt8($0 * 7 + 3) }
  static let keyID: [UInt8] = (0..<16).map { UInt8(0xA0 + $0) }
  static let iv: [UInt8] = (0..<16).map { UInt8(0xF0 - 9 * $0) }

  static func key() throws -> ContentKey {
    try #require(ContentKey(id: keyID, key: keyBytes, iv: iv))
  }

  /// Init segment and segments of at most `length` samples of a track.
  static func protect(
    _ protected: ProtectedTrack, _ samples: [Sample], of bytes: [UInt8], length: Int
  ) throws -> (initSegment: [UInt8], segments: [ProtectedSegment]) {
    let cipher = try OpenSSLCipher(keyBytes)
    let source = ArraySource(bytes)
    let first = samples.first?.decodeTicks ?? 0
    var segments: [ProtectedSegment] = []
    for start in stride(from: 0, to: samples.count, by: length) {
      segments.append(
        try protected.segment(
          sequenceNumber: UInt32(segments.count + 1),
          samples: Array(samples[start..<min(samples.count, start + length)]),
          firstSampleIndex: UInt64(start),
          firstDecodeTicks: first, reading: source, cipher: cipher))
    }
    return (protected.initSegment(firstDecodeTicks: first), segments)
  }
}
