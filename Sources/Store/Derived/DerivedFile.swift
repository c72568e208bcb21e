internal import Glibc

// One derived file: what it holds, behind a digest of it.
//
//     magic "HWDF"   4 bytes
//     version u32    1, little-endian
//     length u64     of the payload, little-endian
//     digest         32 bytes, SHA-256 of the payload
//     payload        from offset 48
//
// A derived file is never synced: what a power cut leaves of it has another length or another digest, is removed by the
// first who reads it, and made again. So is what a disk has changed since.

/// The payload of a derived file, whole when this was made.
public struct DerivedFile: Sendable {
  static let magic: [UInt8] = Array("HWDF".utf8)
  static let headBytes = 48

  /// Open for reading; the payload begins at `offset`.
  public let file: BlobFile
  public let offset: UInt64 = UInt64(DerivedFile.headBytes)
  public let sizeBytes: UInt64
  /// SHA-256 of the payload.
  public let digest: BlobID

  /// nil for what is not a whole derived file.
  init?(_ file: BlobFile, limitBytes: Int) throws(StoreError) {
    guard file.sizeBytes >= UInt64(Self.headBytes), file.sizeBytes <= UInt64(limitBytes) else { return nil }
    let bytes = try file.readAll(limitBytes: limitBytes)
    let payload = bytes[Self.headBytes...]
    guard bytes.starts(with: Self.magic), Self.number(bytes, 4, 4) == 1,
      Self.number(bytes, 8, 8) == UInt64(payload.count)
    else { return nil }
    let digest = BlobID.digest(of: Array(payload))
    guard bytes[16..<48].elementsEqual(digest.withUnsafeBytes { Array($0) }) else { return nil }
    self.file = file
    self.digest = digest
    sizeBytes = UInt64(payload.count)
  }

  static func head(of payload: [UInt8]) -> [UInt8] {
    var bytes = magic
    for shift in 0..<4 { bytes.append(UInt8(truncatingIfNeeded: 1 >> (8 * shift))) }
    for shift in 0..<8 { bytes.append(UInt8(truncatingIfNeeded: payload.count >> (8 * shift))) }
    return bytes + BlobID.digest(of: payload).withUnsafeBytes { Array($0) }
  }

  private static func number(_ bytes: [UInt8], _ offset: Int, _ count: Int) -> UInt64 {
    bytes[offset..<offset + count].reversed().reduce(0) { $0 << 8 | UInt64($1) }
  }

  /// The payload in memory.
  public func bytes() throws(StoreError) -> [UInt8] {
    Array(try file.readAll(limitBytes: Int(clamping: file.sizeBytes)).dropFirst(Self.headBytes))
  }
}
