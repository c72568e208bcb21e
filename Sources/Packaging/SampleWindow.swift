/// Reads the samples of one part in order, many at a time where they lie close together in the blob.
///
/// A file has pictures and sound in turns, often one by one. Reading a gap of a few kilobytes along costs
/// less than another call into the system, so a run goes on over small gaps. Where gaps are large and samples small, sound
/// between pictures, many samples are gathered without what is between them.
///
/// What is read may be changed where it lies: each sample is given out once. The memory is reused from run to
/// run and grows only for a sample that is larger by itself; that the sample is in the blob is checked first,
/// so no table makes it larger than the blob.
struct SampleWindow<Source: ByteSource>: ~Copyable {
  /// Small enough to be in the second-level cache still when it is copied out.
  private static var runBytes: UInt64 { 128 << 10 }
  private static var gapBytes: UInt64 { 8 << 10 }
  /// A run of fewer is worth gathering instead; and so is a number of slices from this one on.
  private static var leastSamples: Int { 8 }

  private let source: Source
  private let samples: [Sample]
  private var memory: UnsafeMutableRawBufferPointer
  /// The samples in memory, and the offset in the blob of its first byte.
  private var loaded = 0..<0
  private var start: UInt64 = 0
  /// Where each of them begins in memory, if they were gathered.
  private var gathered: [Int] = []

  init(_ source: Source, _ samples: [Sample]) {
    self.source = source
    self.samples = samples
    memory = .allocate(byteCount: 0, alignment: 16)
  }

  deinit { memory.deallocate() }

  /// The bytes of a sample, valid until the next call. Numbers must rise from call to call.
  ///
  /// - Throws: `MediaError.damaged` (`sample-past-end`) for a sample that is not in the blob, or
  ///   `.sourceUnreadable`.
  mutating func next(_ number: Int) throws(MediaError) -> UnsafeMutableRawBufferPointer {
    if !loaded.contains(number) { try load(from: number) }
    let sample = samples[number]
    let first = gathered.isEmpty ? Int(sample.offset - start) : gathered[number - loaded.lowerBound]
    return UnsafeMutableRawBufferPointer(rebasing: memory[first..<first + Int(sample.sizeBytes)])
  }

  private mutating func load(from first: Int) throws(MediaError) {
    start = samples[first].offset
    let length = source.lengthBytes
    var end = start
    var last = first
    while last < samples.count, samples[last].offset >= end, samples[last].offset - end <= Self.gapBytes {
      let next = samples[last].offset.addingSaturating(UInt64(samples[last].sizeBytes))
      guard next <= length, last == first || next - start <= Self.runBytes else { break }
      end = next
      last += 1
    }
    guard last > first else {
      throw .damaged("sample-past-end", "A sample of the segment is not inside the file; upload it again.")
    }
    if last - first < Self.leastSamples, try gather(from: first, upTo: length) { return }
    gathered.removeAll(keepingCapacity: true)
    loaded = first..<last
    try read(Int(end - start), upTo: length)
  }

  /// Loads the next samples without what lies between them. False where that gains nothing.
  private mutating func gather(from first: Int, upTo length: UInt64) throws(MediaError) -> Bool {
    var slices: [BlobSlice] = []
    var starts: [Int] = []
    var total: UInt64 = 0
    for sample in samples[first...] {
      let (end, overflows) = sample.offset.addingReportingOverflow(UInt64(sample.sizeBytes))
      guard !overflows, end <= length, total + UInt64(sample.sizeBytes) <= Self.runBytes else { break }
      starts.append(Int(total))
      total += UInt64(sample.sizeBytes)
      if let before = slices.last, before.offset + before.count == sample.offset {
        slices[slices.count - 1].count += UInt64(sample.sizeBytes)
      } else {
        slices.append(BlobSlice(offset: sample.offset, count: UInt64(sample.sizeBytes)))
      }
    }
    guard slices.count >= Self.leastSamples, total > 0 else { return false }
    grow(to: Int(total), upTo: length)
    let whole = UnsafeMutableRawBufferPointer(rebasing: memory[..<Int(total)])
    guard try source.gather(slices, into: whole) == whole.count else { throw Self.short }
    loaded = first..<first + starts.count
    gathered = starts
    return true
  }

  private mutating func read(_ count: Int, upTo length: UInt64) throws(MediaError) {
    grow(to: count, upTo: length)
    var filled = 0
    while filled < count {
      let rest = UnsafeMutableRawBufferPointer(rebasing: memory[filled..<count])
      let taken = try source.read(at: start + UInt64(filled), into: rest)
      guard taken > 0 else { throw Self.short }
      filled += min(taken, count - filled)
    }
  }

  private mutating func grow(to count: Int, upTo length: UInt64) {
    guard count > memory.count else { return }
    memory.deallocate()
    memory = .allocate(byteCount: max(count, Int(min(Self.runBytes, length))), alignment: 16)
  }

  private static var short: MediaError {
    .sourceUnreadable(
      reason: MediaReason(
        code: "source-short", message: "The source ends before its stated length; try again."))
  }
}
