/// AES-128 under one key, supplied by whoever has an implementation: Packaging imports none.
///
/// All work in place and know no padding. A vector is the 16 bytes of an initialization vector or a counter as
/// one big-endian number. No call may fail: what comes back is sent as protected, so an implementation that
/// cannot go on has to stop the process rather than return. Short runs are put together before (`ChainLanes`, `CounterRuns`),
/// so a setup of some hundred nanoseconds in a call of a mode does not show.
public protocol BlockCipher {
  /// Cipher block chaining (NIST SP 800-38A §6.2) over whole blocks.
  ///
  /// - Parameters:
  ///   - blocks: a multiple of 16 bytes, possibly none.
  ///   - vector: XORed into the first block. On return it is the last block of the result, so that a further call goes
  ///     on with the chain; unchanged where there are no blocks.
  func encryptCBC(_ blocks: UnsafeMutableRawBufferPointer, vector: inout UInt128)

  /// Each block by itself (NIST SP 800-38A §6.1): no mode to protect anything with, but what others are put together from.
  ///
  /// - Parameter blocks: a multiple of 16 bytes, at least one block.
  func encryptBlocks(_ blocks: UnsafeMutableRawBufferPointer)

  /// Counter mode (NIST SP 800-38A §6.5) over any number of bytes.
  ///
  /// - Parameter counter: the first counter block; each further block of 16 bytes uses the next number.
  func encryptCTR(_ bytes: UnsafeMutableRawBufferPointer, counter: UInt128)
}

extension UInt128 {
  /// The number that sixteen bytes are, most significant first. Further bytes are not looked at.
  init(bigEndianBytes bytes: [UInt8]) {
    self = bytes.prefix(16).reduce(0) { $0 << 8 | UInt128($1) }
  }
}
