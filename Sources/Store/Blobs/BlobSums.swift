internal import Glibc

// How a part of a blob is checked
// -------------------------------
// A blob's name is the SHA-256 of all of it, and says nothing of a part before the whole has been read. A store that
// verifies what it reads does so by the mebibyte, so a larger blob has a second sidecar, `<sha256>.sums`:
//
//       0   8   "HWSUMS1" and a line feed
//       8   8   the size of the blob, little endian
//      16  16   the first half of the SHA-256 of its first mebibyte, then those of the others; the last may be shorter
//     end  32   the SHA-256 of all that precedes
//
// It is made while the blob is written, or else in one pass over the blob that checks its name as well. It is derived: one
// that is not what its own last bytes say, or that is missing, is made again, and a crash leaves the old one or the new one.
// A blob of no more than a mebibyte has none, because its name says as much.

/// The sums of a blob's mebibytes.
struct BlobSums: Sendable, Equatable {
  static let suffix = ".sums"
  static let chunkBytes = 1 << 20
  static let digestBytes = 16
  private static let magic = Array("HWSUMS1\n".utf8)

  let sizeBytes: UInt64
  /// `digestBytes` for each mebibyte.
  let digests: [UInt8]

  static func chunks(of sizeBytes: UInt64) -> Int {
    Int((sizeBytes + UInt64(chunkBytes) - 1) / UInt64(chunkBytes))
  }

  /// Whether the bytes of a mebibyte are those that the sum was made of.
  func vouch(for bytes: UnsafeRawBufferPointer, chunk: Int) -> Bool {
    let start = chunk * Self.digestBytes
    guard start + Self.digestBytes <= digests.count else { return false }
    return BlobID.digest(of: bytes).withUnsafeBytes {
      $0.prefix(Self.digestBytes).elementsEqual(digests[start..<start + Self.digestBytes])
    }
  }

  func encoded() -> [UInt8] {
    var bytes = Self.magic
    for shift in stride(from: 0, to: 64, by: 8) {
      bytes.append(UInt8(truncatingIfNeeded: sizeBytes >> shift))
    }
    bytes += digests
    BlobID.digest(of: bytes).withUnsafeBytes { bytes += $0 }
    return bytes
  }

  init(sizeBytes: UInt64, digests: [UInt8]) {
    self.sizeBytes = sizeBytes
    self.digests = digests
  }

  /// Nil for bytes that are not the sums of a blob of that size.
  init?(decoding bytes: [UInt8], sizeBytes: UInt64) {
    let head = Self.magic.count + 8
    let count = Self.chunks(of: sizeBytes) * Self.digestBytes
    guard bytes.count == head + count + BlobID.sizeBytes, bytes.starts(with: Self.magic) else { return nil }
    let digests = Array(bytes[head..<head + count])
    let sums = BlobSums(sizeBytes: sizeBytes, digests: digests)
    guard sums.encoded() == bytes else { return nil }
    self = sums
  }
}

/// Sums bytes that come one after the other, in parts of any size.
struct BlobSumsMaker: ~Copyable, Sendable {
  private var hasher: SHA256Hasher
  private var filledBytes = 0
  private var sizeBytes: UInt64 = 0
  private var digests: [UInt8] = []

  init() throws(StoreError) { hasher = try SHA256Hasher() }

  mutating func update(_ bytes: UnsafeRawBufferPointer) throws(StoreError) {
    var rest = bytes[...]
    while !rest.isEmpty {
      let part = rest.prefix(BlobSums.chunkBytes - filledBytes)
      hasher.update(UnsafeRawBufferPointer(rebasing: part))
      filledBytes += part.count
      sizeBytes += UInt64(part.count)
      rest = rest.dropFirst(part.count)
      if filledBytes == BlobSums.chunkBytes { try endChunk() }
    }
  }

  private mutating func endChunk() throws(StoreError) {
    var full = try SHA256Hasher()
    swap(&full, &hasher)
    full.finish().withUnsafeBytes { digests += $0.prefix(BlobSums.digestBytes) }
    filledBytes = 0
  }

  consuming func finish() throws(StoreError) -> BlobSums {
    if filledBytes > 0 { try endChunk() }
    return BlobSums(sizeBytes: sizeBytes, digests: digests)
  }
}
