// Samples encrypted in place, and what `traf` says about it.
//
//     saiz    how many bytes `senc` has for each sample
//     saio    where the first of them are, counted from `moof`
//     senc    for each sample its initialization vector, where it has one, and its subsamples, where it has any
//
// A constant vector without subsamples, sound under `cbcs`, leaves nothing to say, and none of the three is written.
//
// Counter mode: the counter block is the sample's vector of 64 bits and a block number of 64 bits, which goes on from
// one protected run of a sample to the next.
//
// Block chaining: pictures have one block encrypted and nine clear, over and over, and pattern, chain and vector start
// anew with each protected run (ISO/IEC 23001-7 §9.6, §10.4). Sound has all whole blocks of a sample encrypted. What is
// left at an end, less than a block, stays clear.
//
// A call of the cipher costs more than the blocks of a small sample, so neither scheme has one for each run: counter blocks of
// many runs are encrypted together (`CounterRuns`), and many chains side by side (`ChainLanes`).

/// Encrypts the samples of one segment, in decode order.
struct SampleEncryptor<Cipher: BlockCipher>: ~Copyable {
  private let cipher: Cipher
  private let scheme: ProtectionScheme
  private var chains: ChainLanes
  private var counters = CounterRuns()
  private var vector: UInt64
  private var pictures: PictureSubsamples?
  private var auxiliary = BoxWriter(capacityBytes: 4096)
  private var auxiliarySizesBytes: [UInt8] = []

  private static var blockBytes: Int { 16 }
  /// One encrypted block and nine clear ones.
  private static var patternBytes: Int { 160 }

  /// - Parameters:
  ///   - constantVector: of every sample in `cbcs`.
  ///   - firstVector: of the first sample in `cenc`; each sample after it has the next number.
  ///   - pictures: as they are before the first sample; `nil` where samples are encrypted whole.
  init(
    cipher: Cipher, scheme: ProtectionScheme, constantVector: UInt128, firstVector: UInt64,
    pictures: PictureSubsamples?
  ) {
    self.cipher = cipher
    self.scheme = scheme
    chains = ChainLanes(
      vector: constantVector, strideBytes: pictures == nil ? Self.blockBytes : Self.patternBytes)
    vector = firstVector
    self.pictures = pictures
  }

  private var vectorBytes: Int { scheme == .cenc ? 8 : 0 }

  /// Encrypts the next sample, at the latest with `finish()`, until when it must stay where it is. False where its subsamples
  /// cannot be told in the bytes there are.
  mutating func encrypt(_ sample: UnsafeMutableRawBufferPointer) -> Bool {
    let auxiliaryStart = auxiliary.bytes.count
    if scheme == .cenc { auxiliary.u64(vector) }
    if pictures != nil {
      let entryLimit = (Int(UInt8.max) - vectorBytes - 2) / 6
      guard let found = pictures?.find(in: UnsafeRawBufferPointer(sample), entryLimit: entryLimit) else {
        return false
      }
      write(found)
      var position = 0
      var blocksDone: UInt64 = 0
      for subsample in found {
        position += subsample.clearBytes
        let end = position + subsample.protectedBytes
        let protected = UnsafeMutableRawBufferPointer(rebasing: sample[position..<end])
        switch scheme {
        case .cenc:
          counter(protected, blocksDone: blocksDone)
          blocksDone += UInt64(protected.count / Self.blockBytes)
        case .cbcs: chains.append(protected)
        }
        position = end
      }
    } else {
      switch scheme {
      case .cenc: counter(sample, blocksDone: 0)
      case .cbcs: chains.append(sample)
      }
    }
    auxiliarySizesBytes.append(UInt8(truncatingIfNeeded: auxiliary.bytes.count - auxiliaryStart))
    vector &+= 1
    return true
  }

  private mutating func counter(_ bytes: UnsafeMutableRawBufferPointer, blocksDone: UInt64) {
    counters.encrypt(bytes, counter: UInt128(vector) << 64 | UInt128(blocksDone), cipher)
  }

  /// Ends the encryption of all samples so far.
  mutating func finish() {
    chains.encrypt(cipher)
    counters.finish(cipher)
  }

  /// The number of pairs and the pairs; a long clear run is spread over several.
  private mutating func write(_ subsamples: [Subsample]) {
    auxiliary.u16(UInt16(truncatingIfNeeded: subsamples.reduce(0) { $0 + $1.entryCount }))
    for subsample in subsamples {
      var clearBytes = subsample.clearBytes
      while clearBytes > Subsample.longestClearRun {
        auxiliary.u16(UInt16.max)
        auxiliary.u32(0)
        clearBytes -= Subsample.longestClearRun
      }
      auxiliary.u16(UInt16(truncatingIfNeeded: clearBytes))
      auxiliary.u32(UInt32(truncatingIfNeeded: subsample.protectedBytes))
    }
  }

  /// `saiz`, `saio` and `senc` of all samples so far, to be put `offset` bytes after the start of `moof`.
  borrowing func boxes(offset: Int) -> [UInt8] {
    guard !auxiliary.bytes.isEmpty, let first = auxiliarySizesBytes.first else { return [] }
    let isUniform = auxiliarySizesBytes.allSatisfy { $0 == first }
    var writer = BoxWriter(capacityBytes: 64 + auxiliarySizesBytes.count + auxiliary.bytes.count)
    let saiz = writer.begin("saiz", version: 0, flags: 0)
    writer.u8(isUniform ? first : 0)
    writer.u32(UInt32(truncatingIfNeeded: auxiliarySizesBytes.count))
    if !isUniform { writer.raw(auxiliarySizesBytes) }
    writer.end(saiz)
    let saio = writer.begin("saio", version: 0, flags: 0)
    let saioBytes = 20
    let sencHeaderBytes = 16
    writer.u32(1)
    writer.u32(UInt32(truncatingIfNeeded: offset + saio + saioBytes + sencHeaderBytes))
    writer.end(saio)
    let senc = writer.begin("senc", version: 0, flags: pictures == nil ? 0 : 2)
    writer.u32(UInt32(truncatingIfNeeded: auxiliarySizesBytes.count))
    writer.raw(auxiliary.bytes)
    writer.end(senc)
    return writer.bytes
  }
}
