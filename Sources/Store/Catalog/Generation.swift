/// The exact set of blobs behind an asset: 12 hex digits, a digest of ordered blob names and roles.
///
/// 48 bits tell the generations of one asset apart; they are no defence against somebody who looks for collisions,
/// and need not be, since only the owner of an asset adds to it and blobs are found by their full names.
public struct Generation: Hashable, Sendable, Comparable, CustomStringConvertible {
  /// Bytes of a generation as a key.
  public static let sizeBytes = 6

  /// The 48 bits, right-aligned.
  public let bits: UInt64

  /// The low 48 bits of a number.
  init(bits: UInt64) { self.bits = bits & 0xffff_ffff_ffff }

  init?(bytes: UnsafeRawBufferPointer) {
    guard bytes.count == Generation.sizeBytes else { return nil }
    bits = bytes.reduce(0) { $0 << 8 | UInt64($1) }
  }

  /// The generation written as 12 lower-case hex digits; `nil` for anything else.
  public init?(hex: some StringProtocol) {
    self.init(hexBytes: hex.utf8)
  }

  /// The generation written as 12 lower-case hex digits in ASCII bytes, as in a URL; `nil` for anything else.
  public init?(hexBytes: some Sequence<UInt8>) {
    var bits: UInt64 = 0
    var count = 0
    for byte in hexBytes {
      guard count < 12, let digit = Hex.value(byte) else { return nil }
      bits = bits << 4 | UInt64(digit)
      count += 1
    }
    guard count == 12 else { return nil }
    self.bits = bits
  }

  /// 12 lower-case hex digits.
  public var hex: String { withUnsafeBytes { Hex.string($0) } }

  public var description: String { hex }

  public static func < (left: Generation, right: Generation) -> Bool { left.bits < right.bits }

  /// The generation of blobs in their roles; order counts, and so does every name.
  ///
  /// The first 48 bits of the SHA-256 over, for each pair, the role's length (8 bytes, big-endian), the role in
  /// UTF-8 and the 32 bytes of the blob's name. Equal on every machine and in every version.
  public static func make(roles: [(role: String, blob: BlobID)]) -> Generation {
    var material: [UInt8] = []
    for (role, blob) in roles {
      Swift.withUnsafeBytes(of: UInt64(role.utf8.count).bigEndian) { material.append(contentsOf: $0) }
      material.append(contentsOf: role.utf8)
      blob.withUnsafeBytes { material.append(contentsOf: $0) }
    }
    return Generation(bits: BlobID.digest(of: material).words.0 >> 16)
  }

  func withUnsafeBytes<Result>(_ body: (UnsafeRawBufferPointer) -> Result) -> Result {
    Swift.withUnsafeBytes(of: (bits << 16).bigEndian) { bytes in
      body(UnsafeRawBufferPointer(rebasing: bytes[..<Generation.sizeBytes]))
    }
  }
}
