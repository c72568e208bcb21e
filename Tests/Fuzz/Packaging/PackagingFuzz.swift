// The fuzz target of the media reader and the sidecar. It is compiled together with the sources of Packaging:
//
//   swiftc -O -sanitize=fuzzer,address -parse-as-library -enable-experimental-feature Lifetimes \
//     Sources/Packaging/**/*.swift Tests/Fuzz/Packaging/PackagingFuzz.swift
//
// Every input is a file to be ingested and, by itself, a sidecar to be opened. What is accepted is taken all the way:
// index, segments, samples, another plan. Any trap, sanitizer report or broken promise is a finding.

@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzPackaging(_ data: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
  let bytes = Array(UnsafeBufferPointer(start: data, count: count))
  fuzzFile(bytes)
  fuzzSidecar(bytes)
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
    let index = try PackagingIndex(resident: sidecar.span)
    precondition(index.tracks == movie.tracks.map(\.track), "the index lost a track")
    try readAll(index, sidecar, of: movie)
    try readAll(try index.replanned(targetMilliseconds: 317, columns: sidecar.span), sidecar, of: movie)
  } catch {
    preconditionFailure("an index that was just made cannot be read: \(error)")
  }
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
  } catch {
    // Refusing is what most inputs deserve.
  }
}
