internal import COpenSSL

/// The name of a blob: the SHA-256 of its bytes.
///
/// Four big-endian words, so that comparing ids compares bytes and hashing one costs no allocation.
public struct BlobID: Hashable, Sendable, Comparable, CustomStringConvertible {
  /// Bytes of an id, in memory and as a key.
  public static let sizeBytes = 32

  let words: (UInt64, UInt64, UInt64, UInt64)

  init(words: (UInt64, UInt64, UInt64, UInt64)) { self.words = words }

  /// The id whose 32 digest bytes are given; `nil` where there are not exactly 32.
  public init?(bytes: UnsafeRawBufferPointer) {
    guard bytes.count == BlobID.sizeBytes else { return nil }
    func word(_ index: Int) -> UInt64 {
      UInt64(bigEndian: bytes.loadUnaligned(fromByteOffset: index * 8, as: UInt64.self))
    }
    words = (word(0), word(1), word(2), word(3))
  }

  /// The id written as 64 lower-case hex digits; `nil` for anything else, upper case included.
  public init?(hex: some StringProtocol) {
    var words: [UInt64] = [0, 0, 0, 0]
    var count = 0
    for byte in hex.utf8 {
      guard count < 64, let digit = Hex.value(byte) else { return nil }
      words[count / 16] = words[count / 16] << 4 | UInt64(digit)
      count += 1
    }
    guard count == 64 else { return nil }
    self.words = (words[0], words[1], words[2], words[3])
  }

  /// 64 lower-case hex digits, the blob's file name.
  public var hex: String {
    withUnsafeBytes { bytes in Hex.string(bytes) }
  }

  public var description: String { hex }

  /// The 32 digest bytes, valid within `body`.
  public func withUnsafeBytes<Result, Failure: Error>(
    _ body: (UnsafeRawBufferPointer) throws(Failure) -> Result
  ) throws(Failure) -> Result {
    var big = (words.0.bigEndian, words.1.bigEndian, words.2.bigEndian, words.3.bigEndian)
    return try Swift.withUnsafeBytes(of: &big, body)
  }

  /// The id of `bytes`, hashed in one go.
  public static func digest(of bytes: UnsafeRawBufferPointer) -> BlobID {
    var output: (UInt64, UInt64, UInt64, UInt64) = (0, 0, 0, 0)
    let done = Swift.withUnsafeMutableBytes(of: &output) { digest in
      EVP_Digest(
        bytes.baseAddress, bytes.count, digest.baseAddress!.assumingMemoryBound(to: UInt8.self), nil,
        EVP_sha256(), nil)
    }
    precondition(done == 1, "OpenSSL offers no SHA-256, without which no blob has a name")
    return BlobID(
      words: (
        output.0.bigEndian, output.1.bigEndian, output.2.bigEndian, output.3.bigEndian
      ))
  }

  /// The id of `bytes`, hashed in one go.
  public static func digest(of bytes: [UInt8]) -> BlobID {
    bytes.withUnsafeBytes { digest(of: $0) }
  }

  public static func == (left: BlobID, right: BlobID) -> Bool {
    left.words.0 == right.words.0 && left.words.1 == right.words.1
      && left.words.2 == right.words.2 && left.words.3 == right.words.3
  }

  public static func < (left: BlobID, right: BlobID) -> Bool { left.words < right.words }

  public func hash(into hasher: inout Hasher) {
    // A SHA-256 is uniform already: one word of it is as good as four.
    hasher.combine(words.0)
  }
}

/// Lower-case hexadecimal text.
enum Hex {
  static func value(_ byte: UInt8) -> UInt8? {
    switch byte {
    case UInt8(ascii: "0")...UInt8(ascii: "9"): byte - UInt8(ascii: "0")
    case UInt8(ascii: "a")...UInt8(ascii: "f"): byte - UInt8(ascii: "a") + 10
    default: nil
    }
  }

  static func string(_ bytes: UnsafeRawBufferPointer) -> String {
    let digits: StaticString = "0123456789abcdef"
    return String(unsafeUninitializedCapacity: bytes.count * 2) { text in
      for (index, byte) in bytes.enumerated() {
        text[index * 2] = digits.utf8Start[Int(byte >> 4)]
        text[index * 2 + 1] = digits.utf8Start[Int(byte & 15)]
      }
      return bytes.count * 2
    }
  }
}
