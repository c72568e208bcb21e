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
struct SampleEncryptor: ~Copyable {
  /// A pair of `senc`: BytesOfClearData and BytesOfProtectedData.
  private struct Entry {
    var clearBytes: UInt16
    var protectedBytes: UInt32

    static let bytes = 6
  }

  // Not a parameter of the type: without one the layout is known where it is compiled.
  private let cipher: any BlockCipher
  private let scheme: ProtectionScheme
  private var chains: ChainLanes
  private var counters = CounterRuns()
  private let firstVector: UInt64
  private var pictures: PictureSubsamples?
  private var sampleCount = 0
  /// The pairs of all samples so far, and how many of them each sample has. Empty where samples are encrypted whole.
  private var entries: [Entry] = []
  private var entryCounts: [UInt8] = []

  private static var blockBytes: Int { 16 }
  /// One encrypted block and nine clear ones.
  private static var patternBytes: Int { 160 }

  /// - Parameters:
  ///   - constantVector: of every sample in `cbcs`.
  ///   - firstVector: of the first sample in `cenc`; each sample after it has the next number.
  ///   - pictures: as they are before the first sample; `nil` where samples are encrypted whole.
  init(
    cipher: any BlockCipher, scheme: ProtectionScheme, constantVector: UInt128, firstVector: UInt64,
    pictures: PictureSubsamples?
  ) {
    self.cipher = cipher
    self.scheme = scheme
    chains = ChainLanes(
      vector: constantVector, strideBytes: pictures == nil ? Self.blockBytes : Self.patternBytes)
    self.firstVector = firstVector
    self.pictures = pictures
  }

  private var vectorBytes: Int { scheme == .cenc ? 8 : 0 }

  /// Encrypts the next sample, at the latest with `finish()`, until when it must stay where it is. False where its subsamples
  /// cannot be told in the bytes there are.
  mutating func encrypt(_ sample: UnsafeMutableRawBufferPointer) -> Bool {
    if pictures != nil {
      // `saiz` has 8 bits for the vector, the number of pairs and the pairs.
      let entryLimit = (Int(UInt8.max) - vectorBytes - 2) / Entry.bytes
      guard let found = pictures?.find(in: UnsafeRawBufferPointer(sample), entryLimit: entryLimit) else {
        return false
      }
      let before = entries.count
      var position = 0
      var blocksDone: UInt64 = 0
      for subsample in found {
        append(subsample)
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
      entryCounts.append(UInt8(truncatingIfNeeded: entries.count - before))
    } else {
      switch scheme {
      case .cenc: counter(sample, blocksDone: 0)
      case .cbcs: chains.append(sample)
      }
    }
    sampleCount += 1
    return true
  }

  private mutating func counter(_ bytes: UnsafeMutableRawBufferPointer, blocksDone: UInt64) {
    let vector = firstVector &+ UInt64(sampleCount)
    counters.encrypt(bytes, counter: UInt128(vector) << 64 | UInt128(blocksDone), cipher)
  }

  /// Ends the encryption of all samples so far.
  mutating func finish() {
    chains.encrypt(cipher)
    counters.finish(cipher)
  }

  /// Notes a subsample; a long clear run is spread over several pairs.
  private mutating func append(_ subsample: Subsample) {
    var clearBytes = subsample.clearBytes
    while clearBytes > Subsample.longestClearRun {
      entries.append(Entry(clearBytes: .max, protectedBytes: 0))
      clearBytes -= Subsample.longestClearRun
    }
    entries.append(
      Entry(
        clearBytes: UInt16(truncatingIfNeeded: clearBytes),
        protectedBytes: UInt32(truncatingIfNeeded: subsample.protectedBytes)))
  }

  /// `saiz`, `saio` and `senc` of all samples so far, to be put `offset` bytes after the start of `moof`.
  borrowing func boxes(offset: Int) -> [UInt8] {
    let hasEntries = pictures != nil
    guard sampleCount > 0, hasEntries || vectorBytes > 0 else { return [] }
    let fixedBytes = vectorBytes + (hasEntries ? 2 : 0)
    let auxiliaryBytes = sampleCount * fixedBytes + entries.count * Entry.bytes
    var writer = BoxWriter(capacityBytes: 64 + entryCounts.count + auxiliaryBytes)
    let saiz = writer.begin("saiz", version: 0, flags: 0)
    let firstCount = entryCounts.first ?? 0
    let isUniform = entryCounts.allSatisfy { $0 == firstCount }
    writer.u8(isUniform ? UInt8(fixedBytes) + firstCount * UInt8(Entry.bytes) : 0)
    writer.u32(UInt32(truncatingIfNeeded: sampleCount))
    if !isUniform { writer.raw(entryCounts.map { UInt8(fixedBytes) + $0 * UInt8(Entry.bytes) }) }
    writer.end(saiz)
    let saio = writer.begin("saio", version: 0, flags: 0)
    let saioBytes = 20
    let sencHeaderBytes = 16
    writer.u32(1)
    writer.u32(UInt32(truncatingIfNeeded: offset + saio + saioBytes + sencHeaderBytes))
    writer.end(saio)
    let senc = writer.begin("senc", version: 0, flags: hasEntries ? 2 : 0)
    writer.u32(UInt32(truncatingIfNeeded: sampleCount))
    writer.rows(count: auxiliaryBytes, rowBytes: 1) { table, start in
      writeAuxiliary(into: &table, at: start)
    }
    writer.end(senc)
    return writer.bytes
  }

  /// What `senc` has of each sample.
  private borrowing func writeAuxiliary(into table: inout MutableRawSpan, at start: Int) {
    var offset = start
    var entry = 0
    for number in 0..<sampleCount {
      if vectorBytes > 0 {
        let vector = firstVector &+ UInt64(number)
        table.storeBytes(of: vector.bigEndian, toByteOffset: offset, as: UInt64.self)
        offset += 8
      }
      guard number < entryCounts.count else { continue }
      let count = Int(entryCounts[number])
      table.storeBytes(of: UInt16(count).bigEndian, toByteOffset: offset, as: UInt16.self)
      offset += 2
      for _ in 0..<count {
        table.storeBytes(of: entries[entry].clearBytes.bigEndian, toByteOffset: offset, as: UInt16.self)
        table.storeBytes(
          of: entries[entry].protectedBytes.bigEndian, toByteOffset: offset + 2, as: UInt32.self)
        offset += Entry.bytes
        entry += 1
      }
    }
  }
}
