// The fuzz target of the media reader and the sidecar. It is compiled together with the sources of Packaging:
//
//   swiftc -O -sanitize=fuzzer,address -parse-as-library -enable-experimental-feature Lifetimes \
//     Sources/Packaging/**/*.swift Tests/Fuzz/Packaging/PackagingFuzz.swift
//
// Seeds are in Corpus: the movies and the sidecar are made by Tests/PackagingTests/FuzzCorpusTests.swift, subtitles by hand.
//
// Every input is a file to be ingested and, by itself, a sidecar to be opened. What is accepted is taken all the way:
// index, segments, samples, another plan. Any trap, sanitizer report or broken promise is a finding.

@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzPackaging(_ data: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
  let bytes = Array(UnsafeBufferPointer(start: data, count: count))
  fuzzFile(bytes)
  fuzzSidecar(bytes)
  fuzzSidecar(withValidHeader(bytes))
  fuzzBlock(bytes)
  fuzzSubtitles(bytes)
  return 0
}

private func fuzzFile(_ bytes: [UInt8]) {
  var limits = MediaLimits()
  limits.samplesPerTrack = 100_000
  guard case .packageable(let movie) = MediaInspector.inspect(ArraySource(bytes), limits: limits) else {
    return
  }
  let sidecar = PackagingIndex.encode(movie, targetMilliseconds: 1000, sourceBytes: UInt64(bytes.count))
  do throws(IndexError) {
    try checkIndex(sidecar, of: movie)
  } catch {
    preconditionFailure("an index that was just made cannot be read: \(error)")
  }
}

private func checkIndex(_ sidecar: [UInt8], of movie: Movie) throws(IndexError) {
  let index = try PackagingIndex(resident: sidecar.span)
  precondition(index.tracks == movie.tracks.map(\.track), "the index lost a track")
  try readAll(index, sidecar, of: movie)
  let replanned = try index.replanned(targetMilliseconds: 317, columns: sidecar.span)
  try readAll(replanned, sidecar, of: movie)
}

private func readAll(_ index: PackagingIndex, _ sidecar: [UInt8], of movie: Movie) throws(IndexError) {
  for track in index.tracks.indices {
    var samples: [Sample] = []
    for segment in index.segments[track].indices {
      guard let range = index.sampleRange(track: track, segment: segment) else { continue }
      let part = sidecar.span.extracting(Int(range.offset)..<Int(range.offset) + range.count)
      samples += try index.samples(track: track, segment: segment, in: part)
    }
    precondition(samples == movie.tracks[track].columns.samples(), "the index changed a sample")
  }
}

private func fuzzSidecar(_ bytes: [UInt8]) {
  do throws(IndexError) {
    try openSidecar(bytes)
  } catch {
    // Refusing is what most inputs deserve.
  }
}

/// The same sidecar with both checksums of its resident part made right, so that the checks behind them are reached.
private func withValidHeader(_ bytes: [UInt8]) -> [UInt8] {
  guard bytes.count >= PackagingIndex.headerBytes else { return bytes }
  var result = Array("HWPI".utf8) + [1, 0] + bytes[6...]
  let resident = result[8..<16].reversed().reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
  let end = Int(min(max(resident, UInt64(PackagingIndex.headerBytes)), UInt64(bytes.count)))
  func store(_ value: UInt64, at offset: Int) {
    for index in 0..<8 { result[offset + index] = UInt8(truncatingIfNeeded: value >> UInt64(8 * index)) }
  }
  store(Checksum.of(result, PackagingIndex.headerBytes..<end), at: 40)
  store(Checksum.of(result, 0..<48), at: 48)
  return result
}

/// The input as one block of samples with the right length and checksum.
private func fuzzBlock(_ bytes: [UInt8]) {
  guard bytes.count >= SampleBlock.headBytes, bytes.count <= 0xFFFF else { return }
  var block = bytes
  block[4] = UInt8(truncatingIfNeeded: bytes.count)
  block[5] = UInt8(truncatingIfNeeded: bytes.count >> 8)
  let sum = Checksum.of(block, 4..<block.count)
  for index in 0..<4 { block[index] = UInt8(truncatingIfNeeded: sum >> UInt64(8 * index)) }
  var samples: [Sample] = []
  do throws(IndexError) {
    _ = try SampleBlock.decode(block.span, at: 0, skip: Int(bytes[0] & 7), take: 64, into: &samples)
    precondition(
      !samples.isEmpty && samples.count <= SampleBlock.samples, "a block of no or too many samples")
  } catch {
    precondition(samples.isEmpty, "a block gave samples and then failed")
  }
}

private func openSidecar(_ bytes: [UInt8]) throws(IndexError) {
  _ = try PackagingIndex.residentBytes(header: bytes.span)
  let index = try PackagingIndex(resident: bytes.span)
  for track in index.tracks.indices {
    for segment in index.segments[track].indices {
      guard let range = index.sampleRange(track: track, segment: segment),
        range.offset <= UInt64(bytes.count), range.count <= bytes.count - Int(range.offset)
      else { continue }
      let part = bytes.span.extracting(Int(range.offset)..<Int(range.offset) + range.count)
      _ = try index.samples(track: track, segment: segment, in: part)
    }
  }
  _ = try index.replanned(targetMilliseconds: 500, columns: bytes.span)
}
