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
// left at an end, less than a block, stays clear; its samples are encrypted together at the end (`ChainLanes`). Blocks of a
// pattern lie 160 bytes apart; they are gathered, encrypted
// in one call and put back, since a call for each block would cost more than the cipher.

/// Encrypts the samples of one segment, in decode order.
struct SampleEncryptor<Cipher: BlockCipher>: ~Copyable {
  private let cipher: Cipher
  private let scheme: ProtectionScheme
  private let constantVector: UInt128
  private var chains: ChainLanes
  private var vector: UInt64
  private var subsamples: NALSubsamples?
  private var auxiliary = BoxWriter(capacityBytes: 4096)
  private var auxiliarySizesBytes: [UInt8] = []
  private let gathered: UnsafeMutableRawBufferPointer

  private static var blockBytes: Int { 16 }
  /// One encrypted block and nine clear ones.
  private static var patternBytes: Int { 160 }
  private static var gatheredBytes: Int { 4096 }

  /// - Parameters:
  ///   - constantVector: of every sample in `cbcs`.
  ///   - firstVector: of the first sample in `cenc`; each sample after it has the next number.
  ///   - headers: of a track of NAL units; `nil` where samples are encrypted whole.
  init(
    cipher: Cipher, scheme: ProtectionScheme, constantVector: UInt128, firstVector: UInt64,
    headers: SliceHeaders?
  ) {
    self.cipher = cipher
    self.scheme = scheme
    self.constantVector = constantVector
    chains = ChainLanes(vector: constantVector)
    vector = firstVector
    subsamples = headers.map { NALSubsamples(headers: $0, scheme: scheme) }
    gathered = .allocate(byteCount: Self.gatheredBytes, alignment: 16)
  }

  deinit { gathered.deallocate() }

  private var vectorBytes: Int { scheme == .cenc ? 8 : 0 }

  /// Encrypts the next sample, at the latest with `finish()`, until when it must stay where it is. False where its subsamples cannot be told in the bytes there are.
  mutating func encrypt(_ sample: UnsafeMutableRawBufferPointer) -> Bool {
    let auxiliaryStart = auxiliary.bytes.count
    if scheme == .cenc { auxiliary.u64(vector) }
    if subsamples != nil {
      let entryLimit = (Int(UInt8.max) - vectorBytes - 2) / 6
      guard subsamples?.find(in: UnsafeRawBufferPointer(sample), entryLimit: entryLimit) == true else {
        return false
      }
      let found = subsamples?.found ?? []
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
        case .cbcs: pattern(protected)
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

  private func counter(_ bytes: UnsafeMutableRawBufferPointer, blocksDone: UInt64) {
    guard !bytes.isEmpty else { return }
    cipher.encryptCTR(bytes, counter: UInt128(vector) << 64 | UInt128(blocksDone))
  }

  /// Ends the encryption of all samples so far.
  mutating func finish() { chains.encrypt(cipher) }

  private func pattern(_ bytes: UnsafeMutableRawBufferPointer) {
    var vector = constantVector
    var first = 0
    while bytes.count - first >= Self.blockBytes {
      var count = 0
      var position = first
      while bytes.count - position >= Self.blockBytes, count < gathered.count {
        gathered.storeBytes(
          of: bytes.loadUnaligned(fromByteOffset: position, as: UInt128.self), toByteOffset: count,
          as: UInt128.self)
        count += Self.blockBytes
        position += Self.patternBytes
      }
      cipher.encryptCBC(UnsafeMutableRawBufferPointer(rebasing: gathered[..<count]), vector: &vector)
      for index in 0..<count / Self.blockBytes {
        bytes.storeBytes(
          of: gathered.load(fromByteOffset: index * Self.blockBytes, as: UInt128.self),
          toByteOffset: first + index * Self.patternBytes, as: UInt128.self)
      }
      first = position
    }
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
    let senc = writer.begin("senc", version: 0, flags: subsamples == nil ? 0 : 2)
    writer.u32(UInt32(truncatingIfNeeded: auxiliarySizesBytes.count))
    writer.raw(auxiliary.bytes)
    writer.end(senc)
    return writer.bytes
  }
}
