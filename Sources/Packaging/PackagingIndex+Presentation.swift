extension PackagingIndex {
  /// The presentation of one sidecar by itself: every track of picture and sound that has segments, named `track0` and so
  /// on by its place in the index. What a catalog adds (names, labels, further sources) is not known here.
  ///
  /// - Parameter sidecar: the whole file.
  public func presentation(sidecar: Span<UInt8>) throws(IndexError) -> Presentation {
    var renditions: [PresentationRendition] = []
    for (number, track) in tracks.enumerated()
    where (track.kind == .video || track.kind == .audio) && !segments[number].isEmpty {
      var rendition = PresentationRendition(name: "track\(number)", track: track, segments: segments[number])
      if let range = keyFrameRange(track: number) {
        rendition.keyFrames = try keyFrames(track: number, in: Self.part(range, of: sidecar))
      }
      renditions.append(rendition)
    }
    return Presentation(renditions: renditions, durationMilliseconds: durationMilliseconds)
  }

  /// The samples of one segment, from the whole sidecar.
  public func samples(track: Int, segment: Int, sidecar: Span<UInt8>) throws(IndexError) -> [Sample] {
    guard let range = sampleRange(track: track, segment: segment) else { throw .corrupt("no such segment") }
    return try samples(track: track, segment: segment, in: Self.part(range, of: sidecar))
  }

  @_lifetime(copy sidecar)
  private static func part(
    _ range: (offset: UInt64, count: Int), of sidecar: Span<UInt8>
  ) throws(IndexError) -> Span<UInt8> {
    guard let offset = Int(exactly: range.offset), offset <= sidecar.count,
      range.count <= sidecar.count - offset
    else { throw .corrupt("sidecar cut short") }
    return sidecar.extracting(offset..<offset + range.count)
  }
}
