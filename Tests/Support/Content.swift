/// Bytes to compare in an expectation: equal byte for byte, and described by their number and a digest.
///
/// A failed comparison of two arrays prints both and looks for the difference, which takes minutes for a film.
public struct Content: Equatable, Sendable, CustomStringConvertible {
  public let bytes: [UInt8]

  public init(_ bytes: some Sequence<UInt8>) { self.bytes = Array(bytes) }

  public init(ofFile path: String) throws { self.init(try Support.bytes(ofFile: path)) }

  public var description: String {
    // FNV-1a, 64 bits.
    let digest = bytes.reduce(0xcbf2_9ce4_8422_2325 as UInt64) { ($0 ^ UInt64($1)) &* 0x0000_0100_0000_01b3 }
    return "\(bytes.count) bytes, digest \(String(digest, radix: 16))"
  }
}
