// Which bytes of a picture are protected (ISO/IEC 23001-7 §9.5).
//
// A sample of AVC or HEVC is a run of NAL units, each behind its length. Lengths, headers and everything but slices of
// pictures stay in the clear, so that a player can find its way without the key; of a slice what follows its header is
// protected, by these rules:
//
//     cbcs    from the first whole byte after the slice header to the end of the unit. Where the header cannot be read
//             the whole unit stays clear: a guess would hand a decoder a damaged header.
//     cenc    the same, but a multiple of 16 bytes, so that every range begins with a fresh counter block; the rest is
//             added to the clear part. Where the header cannot be read, 96 bytes stand in for it.
//
// The result is a list of pairs of a clear run and a protected one. In the file a clear run has 16 bits, so longer ones
// take several pairs, and all that is said of one sample has to fit into 255 bytes, since `saiz` counts them in 8 bits.
// A sample of more slices than fit is protected in the first of them.

/// A run of clear bytes and the run of protected ones that follows it.
struct Subsample: Equatable {
  var clearBytes: Int
  var protectedBytes: Int

  static let longestClearRun = 65_535

  /// Pairs that the file needs for it.
  var entryCount: Int { max(1, (clearBytes + Self.longestClearRun - 1) / Self.longestClearRun) }
}

/// Finds the subsamples of the samples of a segment, in decode order.
struct NALSubsamples {
  private var headers: SliceHeaders
  private let scheme: ProtectionScheme
  /// The subsamples of the sample last looked at; never empty, and together as long as it.
  private(set) var found: [Subsample] = []

  /// What stands in for a slice header that cannot be read, under `cenc`: its length, as most packagers take it.
  private static let unreadHeaderBytes = 96

  init(headers: SliceHeaders, scheme: ProtectionScheme) {
    self.headers = headers
    self.scheme = scheme
  }

  /// Fills `found`. False where it cannot be told in `entryLimit` pairs.
  mutating func find(in sample: UnsafeRawBufferPointer, entryLimit: Int) -> Bool {
    found.removeAll(keepingCapacity: true)
    var clearBytes = 0
    var position = 0
    let lengthBytes = headers.lengthBytes
    while sample.count - position > lengthBytes {
      let unitBytes = sample[position..<position + lengthBytes].reduce(0) { $0 << 8 | Int($1) }
      let start = position + lengthBytes
      // A unit that claims to be longer than its sample is damage: what is left is passed on as it is.
      guard unitBytes <= sample.count - start else { break }
      let unit = UnsafeRawBufferPointer(rebasing: sample[start..<start + unitBytes])
      let protectedBytes = protectedBytes(of: unit)
      clearBytes += lengthBytes + unitBytes - protectedBytes
      if protectedBytes > 0 {
        found.append(Subsample(clearBytes: clearBytes, protectedBytes: protectedBytes))
        clearBytes = 0
      }
      position = start + unitBytes
    }
    clearBytes += sample.count - position
    if clearBytes > 0 || found.isEmpty { found.append(Subsample(clearBytes: clearBytes, protectedBytes: 0)) }
    return reduce(toEntries: entryLimit)
  }

  private mutating func protectedBytes(of unit: UnsafeRawBufferPointer) -> Int {
    switch headers.kind(of: unit) {
    case .other: return 0
    case .parameterSet:
      headers.store(unit)
      return 0
    case .slice:
      let headerBytes = headers.headerBytes(unit)
      switch scheme {
      case .cbcs:
        let protectedBytes = unit.count - (headerBytes ?? unit.count)
        return protectedBytes < 16 ? 0 : protectedBytes  // less than a block stays clear in any case
      case .cenc:
        let protectedBytes = unit.count - (headerBytes ?? Self.unreadHeaderBytes)
        return protectedBytes < 16 ? 0 : protectedBytes & ~15
      }
    }
  }

  /// Opens protected runs from the last one on until few enough pairs are left.
  private mutating func reduce(toEntries limit: Int) -> Bool {
    var entries = found.reduce(0) { $0 + $1.entryCount }
    while entries > limit {
      guard let last = found.popLast() else { return false }
      entries -= last.entryCount
      var opened = last.clearBytes + last.protectedBytes
      if last.protectedBytes == 0, let before = found.popLast() {
        entries -= before.entryCount
        opened += before.clearBytes + before.protectedBytes
      } else if last.protectedBytes == 0 {
        return false
      }
      let rest = Subsample(clearBytes: opened, protectedBytes: 0)
      found.append(rest)
      entries += rest.entryCount
    }
    return true
  }
}
