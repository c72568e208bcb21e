/// Reads the samples of one part in order, many at a time.
///
/// A file has pictures and sound in turns, often one by one, so samples that follow each other are gathered without what lies
/// between them (`ByteSource.gather`), up to 128 KiB of them.
///
/// What is read may be changed where it lies: each sample is given out once. The memory is reused from run to
/// run and grows only for a sample that is larger by itself; that the sample is in the blob is checked first,
/// so no table makes it larger than the blob.
struct SampleWindow: ~Copyable {
  /// Small enough to be in the second-level cache still when it is copied out.
  private static var runBytes: UInt64 { 128 << 10 }
  /// As many as sound of six seconds may have.
  private static var expectedSlices: Int { 512 }

  // Not a parameter of the type: without one the layout of the window is known where it is compiled.
  private let source: any ByteSource
  private let samples: [Sample]
  private var memory: UnsafeMutableRawBufferPointer
  private var slices: [BlobSlice] = []
  /// The first sample in memory that has not been passed, where it lies, and the end of the samples in memory.
  private var number = 0
  private var position = 0
  private var loadedEnd = 0

  init(_ source: some ByteSource, _ samples: [Sample]) {
    self.source = source
    self.samples = samples
    memory = .allocate(byteCount: 0, alignment: 16)
  }

  deinit { memory.deallocate() }

  /// The bytes of a sample, valid until the next call. Numbers must rise from call to call.
  ///
  /// - Throws: `MediaError.damaged` (`sample-past-end`) for a sample that is not in the blob, or
  ///   `.sourceUnreadable`.
  mutating func next(_ wanted: Int) throws(MediaError) -> UnsafeMutableRawBufferPointer {
    precondition(wanted >= number, "samples are given out in their order")
    if wanted >= loadedEnd { try load(from: wanted) }
    while number < wanted {
      position += Int(samples[number].sizeBytes)
      number += 1
    }
    let start = position
    position += Int(samples[wanted].sizeBytes)
    number = wanted + 1
    return UnsafeMutableRawBufferPointer(rebasing: memory[start..<position])
  }

  private mutating func load(from first: Int) throws(MediaError) {
    let length = source.lengthBytes
    // Taken out, so that it is not asked at each sample who else holds it.
    var slices = slices
    self.slices = []
    slices.removeAll(keepingCapacity: true)
    slices.reserveCapacity(min(samples.count - first, Self.expectedSlices))
    var run = BlobSlice(offset: samples[first].offset, count: 0)
    var total: UInt64 = 0
    var end = first
    while end < samples.count {
      let sample = samples[end]
      let bytes = UInt64(sample.sizeBytes)
      guard sample.offset <= length, bytes <= length - sample.offset,
        end == first || total + bytes <= Self.runBytes
      else { break }
      if sample.offset == run.offset + run.count {
        run.count += bytes
      } else {
        if run.count > 0 { slices.append(run) }
        run = BlobSlice(offset: sample.offset, count: bytes)
      }
      total += bytes
      end += 1
    }
    guard end > first else {
      throw .damaged("sample-past-end", "A sample of the segment is not inside the file; upload it again.")
    }
    if run.count > 0 { slices.append(run) }
    grow(to: Int(total))
    let whole = UnsafeMutableRawBufferPointer(rebasing: memory[..<Int(total)])
    guard try source.gather(slices, into: whole) == whole.count else { throw Self.short }
    self.slices = slices
    (number, position, loadedEnd) = (first, 0, end)
  }

  private mutating func grow(to count: Int) {
    guard count > memory.count else { return }
    memory.deallocate()
    // A short part has one run; of a long one the next are about as long as the first.
    memory = .allocate(
      byteCount: count < Self.runBytes / 2 ? count : max(count, Int(Self.runBytes)), alignment: 16)
  }

  private static var short: MediaError {
    .sourceUnreadable(
      reason: MediaReason(
        code: "source-short", message: "The source ends before its stated length; try again."))
  }
}
