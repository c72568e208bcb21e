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

/// Finds the subsamples of the samples of a segment, in decode order.
struct NALSubsamples {
  private var headers: SliceHeaders
  private let scheme: ProtectionScheme
  /// The subsamples of the sample last looked at.
  private(set) var runs = SubsampleRuns()

  /// What stands in for a slice header that cannot be read, under `cenc`: its length, as most packagers take it.
  private static let unreadHeaderBytes = 96

  init(headers: SliceHeaders, scheme: ProtectionScheme) {
    self.headers = headers
    self.scheme = scheme
  }

  /// Fills `runs`. False where it cannot be told in `entryLimit` pairs.
  mutating func find(in sample: UnsafeRawBufferPointer, entryLimit: Int) -> Bool {
    runs.removeAll()
    var position = 0
    let lengthBytes = headers.lengthBytes
    while sample.count - position > lengthBytes {
      var unitBytes = 0
      for index in position..<position + lengthBytes { unitBytes = unitBytes << 8 | Int(sample[index]) }
      let start = position + lengthBytes
      // A unit that claims to be longer than its sample is damage: what is left is passed on as it is.
      guard unitBytes <= sample.count - start else { break }
      let end = start + unitBytes
      let protectedBytes = protectedBytes(of: UnsafeRawBufferPointer(rebasing: sample[start..<end]))
      if protectedBytes > 0 { runs.append(protected: end - protectedBytes..<end) }
      position = end
    }
    runs.finish(sampleBytes: sample.count)
    return runs.reduce(toEntries: entryLimit)
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
}
