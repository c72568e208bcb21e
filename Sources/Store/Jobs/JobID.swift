/// The name of a job: 128 bits of the SHA-256 of site, kind and key, so that asking for the same work twice is one job.
///
/// Written as 26 characters of Crockford's base 32 in lower case (no i, l, o, u), the first of which carries 3 bits.
public struct JobID: Hashable, Sendable, Comparable, CustomStringConvertible {
  /// Bytes of an id as a key.
  public static let sizeBytes = 16
  /// Characters of an id as text.
  public static let characters = 26

  let high: UInt64
  let low: UInt64

  /// The id of the job that a site wants done once for a key.
  public init(site: String, kind: String, key: String) {
    // Lengths first, so that no two triples are the same bytes.
    var bytes: [UInt8] = []
    for text in [site, kind, key] {
      withUnsafeBytes(of: UInt64(text.utf8.count).bigEndian) { bytes.append(contentsOf: $0) }
      bytes.append(contentsOf: text.utf8)
    }
    let digest = BlobID.digest(of: bytes)
    (high, low) = (digest.words.0, digest.words.1)
  }

  /// An id read back from its 26 characters; nil for anything else, upper case included.
  public init?(_ text: some StringProtocol) {
    var value: (high: UInt64, low: UInt64) = (0, 0)
    var count = 0
    for byte in text.utf8 {
      guard count < JobID.characters, let digit = JobID.alphabet.firstIndex(of: byte) else { return nil }
      // 26 times 5 bits are 130: the first character has room for 3.
      if count == 0 && digit > 7 { return nil }
      value.high = value.high << 5 | value.low >> 59
      value.low = value.low << 5 | UInt64(digit)
      count += 1
    }
    guard count == JobID.characters else { return nil }
    (high, low) = value
  }

  init?(bytes: UnsafeRawBufferPointer) {
    guard bytes.count == JobID.sizeBytes else { return nil }
    high = UInt64(bigEndian: bytes.loadUnaligned(as: UInt64.self))
    low = UInt64(bigEndian: bytes.loadUnaligned(fromByteOffset: 8, as: UInt64.self))
  }

  private static let alphabet = Array("0123456789abcdefghjkmnpqrstvwxyz".utf8)

  public var description: String {
    String(unsafeUninitializedCapacity: JobID.characters) { text in
      var (high, low) = (high, low)
      for index in (0..<JobID.characters).reversed() {
        text[index] = JobID.alphabet[Int(low & 31)]
        low = low >> 5 | high << 59
        high >>= 5
      }
      return JobID.characters
    }
  }

  /// The 16 bytes, most significant first.
  var bytes: [UInt8] {
    withUnsafeBytes(of: high.bigEndian) { Array($0) } + withUnsafeBytes(of: low.bigEndian) { Array($0) }
  }

  public static func < (left: JobID, right: JobID) -> Bool {
    (left.high, left.low) < (right.high, right.low)
  }
}
