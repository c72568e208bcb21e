/// A run of clear bytes and the run of protected ones that follows it.
struct Subsample: Equatable {
  var clearBytes: Int
  var protectedBytes: Int

  static let longestClearRun = 65_535

  /// Pairs that the file needs for it.
  var entryCount: Int { max(1, (clearBytes + Self.longestClearRun - 1) / Self.longestClearRun) }
}

/// The subsamples of one sample, put together from its front to its end.
///
/// In the file a clear run has 16 bits, so longer ones take several pairs, and all that is said of one sample has to fit into 255
/// bytes, since `saiz` counts them in 8 bits. A sample of more protected runs than fit is protected in the first of them.
struct SubsampleRuns {
  /// Never empty once finished, and then together as long as the sample.
  private(set) var found: [Subsample] = []
  private var told = 0

  mutating func removeAll() {
    found.removeAll(keepingCapacity: true)
    told = 0
  }

  /// Protects a range of the sample; what lies between it and the one before stays clear.
  ///
  /// - Precondition: it begins at or behind the end of the one before.
  mutating func append(protected range: Range<Int>) {
    found.append(Subsample(clearBytes: range.lowerBound - told, protectedBytes: range.count))
    told = range.upperBound
  }

  /// What is left is clear.
  mutating func finish(sampleBytes: Int) {
    if sampleBytes > told || found.isEmpty {
      found.append(Subsample(clearBytes: sampleBytes - told, protectedBytes: 0))
    }
    told = sampleBytes
  }

  /// Opens protected runs from the last one on until few enough pairs are left. False where clear ones alone are too many.
  mutating func reduce(toEntries limit: Int) -> Bool {
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

/// How the pictures of a track are taken apart, with what is remembered of them within a segment.
struct PictureSubsamples {
  /// One of the three is there. They are apart so that each changes in place.
  private var units: NALSubsamples?
  private var av1: AV1Subsamples?
  private var vp9: VP9Subsamples?

  /// For a track of a coding that is protected by subsamples; nil where its sample entry cannot be read.
  init?(track: Track, scheme: ProtectionScheme) {
    switch track.codec {
    case .av1:
      guard let units = Self.configurationUnits(track.sampleEntry) else { return nil }
      av1 = AV1Subsamples(sequence: AV1SequenceHeader.first(units: units.span), scheme: scheme)
    case .vp9: vp9 = VP9Subsamples()
    default:
      guard let headers = SliceHeaders(track: track) else { return nil }
      units = NALSubsamples(headers: headers, scheme: scheme)
    }
  }

  /// The OBUs of `av1C`.
  private static func configurationUnits(_ sampleEntry: [UInt8]) -> [UInt8]? {
    var entry = BoxReader(sampleEntry.span)
    guard let box = entry.box() else { return nil }
    var fields = BoxReader(box.body)
    guard fields.skip(78) != nil, let child = fields.rest().firstBox(FourCC("av1C")) else { return nil }
    var body = BoxReader(child.body)
    guard body.skip(4) != nil else { return nil }
    return body.rest().copied()
  }

  /// The subsamples of the next sample in decode order; nil where they cannot be told in `entryLimit` pairs.
  mutating func find(in sample: UnsafeRawBufferPointer, entryLimit: Int) -> [Subsample]? {
    if let isTold = units?.find(in: sample, entryLimit: entryLimit) {
      return isTold ? units?.runs.found : nil
    }
    if let isTold = av1?.find(in: sample, entryLimit: entryLimit) { return isTold ? av1?.runs.found : nil }
    if let isTold = vp9?.find(in: sample, entryLimit: entryLimit) { return isTold ? vp9?.runs.found : nil }
    return nil
  }
}
