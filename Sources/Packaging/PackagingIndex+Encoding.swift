extension PackagingIndex {
  private static let magic: [UInt8] = [0x48, 0x57, 0x50, 0x49]
  private static let checksumStart = 40
  private static let segmentBytes = 40
  /// No track takes fewer bytes: bounds a track count before it is believed.
  private static let smallestTrackBytes = 128

  /// The whole sidecar for a movie.
  ///
  /// - Parameters:
  ///   - targetMilliseconds: wished segment length; 0 counts as 1.
  ///   - sourceBytes: length of the blob the movie was read from.
  /// - Complexity: linear in the number of samples.
  public static func encode(_ movie: Movie, targetMilliseconds: UInt32, sourceBytes: UInt64) -> [UInt8] {
    let plan = SegmentPlan.make(movie.tracks, targetMilliseconds: targetMilliseconds)
    let samples = movie.tracks.reduce(0) { $0 + $1.columns.count }
    var columns = ByteOutput(capacityBytes: samples * 6 + 4096)
    var regions: [(start: Int, byteCount: Int)] = []
    var ranges: [[BlockRange]] = []
    for (number, track) in movie.tracks.enumerated() {
      let start = columns.count
      let blockStarts = SampleBlock.encode(track.columns, into: &columns)
      regions.append((start, columns.count - start))
      ranges.append(blockRanges(of: plan[number], blockStarts: blockStarts))
    }
    var keyFrames: [(start: Int, count: Int)] = []
    for track in movie.tracks {
      let frames = KeyFrameTable.select(PlanTimeline(track))
      keyFrames.append((columns.count, frames.count))
      KeyFrameTable.encode(frames, into: &columns)
    }

    let segmentCount = plan.reduce(0) { $0 + $1.count }
    var output = ByteOutput(capacityBytes: 8192 + segmentCount * segmentBytes + columns.count)
    output.append(contentsOf: [UInt8](repeating: 0, count: headerBytes))
    output.append(movie.durationMilliseconds)
    output.append(UInt32(movie.tracks.count))
    output.append(UInt32(movie.leftOut.count))
    output.append(UInt32(movie.defects.count))
    for (number, track) in movie.tracks.enumerated() {
      encode(track.track, into: &output)
      output.append(UInt64(regions[number].start))
      output.append(UInt32(regions[number].byteCount))
      output.append(UInt32(plan[number].count))
      output.append(UInt64(keyFrames[number].start))
      output.append(UInt32(keyFrames[number].count))
    }
    for track in movie.leftOut {
      output.append(track.id)
      output.append(track.kind.rawValue)
      output.append(track.codec.rawValue)
      output.append(text: track.language)
      encode(track.reason, into: &output)
    }
    for defect in movie.defects { encode(defect, into: &output) }
    for (number, segments) in plan.enumerated() {
      for (position, segment) in segments.enumerated() {
        output.append(segment.firstSample)
        output.append(ranges[number][position].start)
        output.append(ranges[number][position].byteCount)
        output.append(segment.startTicks)
        output.append(segment.decodeTicks)
        output.append(segment.mediaBytes)
        output.append(segment.headBytes)
      }
    }
    let resident = output.count
    output.append(contentsOf: columns.finish())

    for (position, byte) in magic.enumerated() { output.store(byte, at: position) }
    output.store(version, at: 4)
    output.store(UInt64(resident), at: 8)
    output.store(UInt64(output.count), at: 16)
    output.store(sourceBytes, at: 24)
    output.store(targetMilliseconds, at: 32)
    output.store(output.checksum(headerBytes..<resident), at: checksumStart)
    output.store(output.checksum(0..<checksumStart + 8), at: checksumStart + 8)
    return output.finish()
  }

  /// Length of the resident part, header included, in bytes.
  ///
  /// - Parameter header: the first `headerBytes` bytes of the sidecar, or more.
  public static func residentBytes(header: Span<UInt8>) throws(IndexError) -> Int {
    try Header(header).residentBytes
  }

  /// The index from the resident part of its sidecar.
  ///
  /// - Parameter resident: the first `residentBytes(header:)` bytes of the sidecar, or more.
  /// - Throws: `IndexError`, whatever the bytes are; a value that is returned is consistent.
  public init(resident: Span<UInt8>) throws(IndexError) {
    let header = try Header(resident)
    guard resident.count >= header.residentBytes else { throw .corrupt("resident part cut short") }
    let body = resident.extracting(Self.headerBytes..<header.residentBytes)
    guard Checksum.of(body, 0..<body.count) == header.residentChecksum else {
      throw .corrupt("resident checksum")
    }
    var input = ByteInput(body)
    sourceBytes = header.sourceBytes
    totalBytes = header.totalBytes
    targetMilliseconds = header.targetMilliseconds
    durationMilliseconds = try input.u64()
    let trackCount = Int(try input.u32())
    let leftOutCount = Int(try input.u32())
    let defectCount = Int(try input.u32())
    guard trackCount <= input.remaining / Self.smallestTrackBytes else { throw .corrupt("track count") }
    let columnBytes = header.totalBytes - UInt64(header.residentBytes)
    var tracks: [Track] = []
    var regions: [ColumnRegion] = []
    var counts: [Int] = []
    var keyFrames: [KeyFrameRegion] = []
    for _ in 0..<trackCount {
      tracks.append(try Self.decodeTrack(&input))
      let start = try input.u64()
      let byteCount = try input.u32()
      guard start <= columnBytes, UInt64(byteCount) <= columnBytes - start else {
        throw .corrupt("column region")
      }
      regions.append(ColumnRegion(offset: UInt64(header.residentBytes) + start, byteCount: byteCount))
      counts.append(Int(try input.u32()))
      let frames = try input.u64()
      let frameCount = try input.u32()
      let frameBytes = UInt64(KeyFrameTable.headBytes) + UInt64(frameCount) * UInt64(KeyFrameTable.rowBytes)
      guard frameCount == 0 || (frames <= columnBytes && frameBytes <= columnBytes - frames) else {
        throw .corrupt("key frame region")
      }
      keyFrames.append(KeyFrameRegion(offset: UInt64(header.residentBytes) + frames, count: frameCount))
    }
    var leftOut: [LeftOutTrack] = []
    for _ in 0..<leftOutCount {
      let id = try input.u32()
      guard let kind = TrackKind(rawValue: try input.u8()) else { throw .corrupt("track kind") }
      let codec = FourCC(rawValue: try input.u32())
      let language = try input.text()
      let reason = try Self.decodeReason(&input)
      leftOut.append(LeftOutTrack(id: id, kind: kind, codec: codec, language: language, reason: reason))
    }
    var defects: [Defect] = []
    for _ in 0..<defectCount { defects.append(try Self.decodeReason(&input)) }
    var segments: [[Segment]] = []
    var ranges: [[BlockRange]] = []
    for number in tracks.indices {
      guard counts[number] <= input.remaining / Self.segmentBytes else { throw .corrupt("segment count") }
      let table = try Self.decodeSegments(
        &input, count: counts[number], track: tracks[number], region: regions[number])
      segments.append(table.segments)
      ranges.append(table.ranges)
    }
    guard input.remaining == 0 else { throw .corrupt("resident part too long") }
    self.tracks = tracks
    self.leftOut = leftOut
    self.defects = defects
    self.segments = segments
    columnRegions = regions
    keyFrameRegions = keyFrames
    blockRanges = ranges
  }

  private struct Header {
    var residentBytes: Int
    var totalBytes: UInt64
    var sourceBytes: UInt64
    var targetMilliseconds: UInt32
    var residentChecksum: UInt64

    init(_ bytes: Span<UInt8>) throws(IndexError) {
      guard bytes.count >= PackagingIndex.headerBytes else { throw .corrupt("header cut short") }
      var input = ByteInput(bytes)
      for byte in PackagingIndex.magic where try input.u8() != byte { throw .notAnIndex }
      let version = try input.u16()
      guard version == PackagingIndex.version else { throw .unknownVersion(version) }
      _ = try input.u16()
      let resident = try input.u64()
      totalBytes = try input.u64()
      sourceBytes = try input.u64()
      targetMilliseconds = try input.u32()
      _ = try input.u32()
      residentChecksum = try input.u64()
      let sum = Checksum.of(bytes, 0..<PackagingIndex.checksumStart + 8)
      guard try input.u64() == sum else { throw .corrupt("header checksum") }
      guard let count = Int(exactly: resident), count >= PackagingIndex.headerBytes, resident <= totalBytes,
        totalBytes <= UInt64(Int.max)
      else { throw .corrupt("header lengths") }
      residentBytes = count
    }
  }

  private static func decodeSegments(
    _ input: inout ByteInput, count: Int, track: Track, region: ColumnRegion
  ) throws(IndexError) -> (segments: [Segment], ranges: [BlockRange]) {
    var segments: [Segment] = []
    var ranges: [BlockRange] = []
    segments.reserveCapacity(count)
    ranges.reserveCapacity(count)
    for position in 0..<count {
      let segment = Segment(
        firstSample: try input.u32(), sampleCount: 0, startTicks: 0, durationTicks: 0, decodeTicks: 0,
        mediaBytes: 0)
      let range = BlockRange(start: try input.u32(), byteCount: try input.u32())
      segments.append(segment)
      segments[position].startTicks = try input.u64()
      segments[position].decodeTicks = try input.u64()
      segments[position].mediaBytes = try input.u64()
      segments[position].headBytes = try input.u32()
      guard range.start <= region.byteCount, range.byteCount <= region.byteCount - range.start else {
        throw .corrupt("segment columns")
      }
      ranges.append(range)
    }
    guard
      segments.first.map({ $0.firstSample == 0 && $0.startTicks == track.visibleStartTicks })
        ?? (track.sampleCount == 0)
    else { throw .corrupt("first segment") }
    for position in segments.indices {
      let isLast = position + 1 == segments.count
      let nextSample = isLast ? track.sampleCount : segments[position + 1].firstSample
      let nextTicks = isLast ? track.endTicks : segments[position + 1].startTicks
      guard nextSample > segments[position].firstSample, nextTicks >= segments[position].startTicks else {
        throw .corrupt("segments do not touch")
      }
      segments[position].sampleCount = nextSample - segments[position].firstSample
      segments[position].durationTicks = nextTicks - segments[position].startTicks
    }
    return (segments, ranges)
  }

  /// A codec is stored as its place here, from 1; 0 is one that is not packaged. Only ever appended to.
  private static let codecNumbers: [TrackCodec] = [
    .avc, .hevc, .aac, .av1, .vp9, .mp3, .ac3, .eac3, .flac, .opus, .alac,
  ]

  private static func encode(_ track: Track, into output: inout ByteOutput) {
    output.append(track.id)
    output.append(track.kind.rawValue)
    if case .unsupported(let code) = track.codec {
      output.append(UInt8(0))
      output.append(code.rawValue)
    } else {
      output.append(UInt8(clamping: (Self.codecNumbers.firstIndex(of: track.codec) ?? 0) + 1))
    }
    output.append(blob: track.sampleEntry)
    output.append(text: track.codecString)
    output.append(track.timescale)
    output.append(text: track.language)
    output.append(track.widthPixels)
    output.append(track.heightPixels)
    output.append(track.displayWidthPixels)
    output.append(track.displayHeightPixels)
    output.append(UInt8(clamping: track.matrix.count))
    for word in track.matrix.prefix(255) { output.append(UInt32(bitPattern: word)) }
    output.append(track.transferCharacteristics)
    output.append(track.closedCaptions.rawValue)
    output.append(UInt32(bitPattern: track.leastCompositionOffsetTicks))
    output.append(track.channelCount)
    output.append(track.sampleRateHertz)
    output.append(track.sampleCount)
    output.append(UInt64(bitPattern: track.presentationShiftTicks))
    output.append(UInt64(bitPattern: track.presentationStartTicks))
    output.append(track.durationTicks)
    output.append(track.totalBytes)
  }

  private static func decodeTrack(_ input: inout ByteInput) throws(IndexError) -> Track {
    let id = try input.u32()
    guard let kind = TrackKind(rawValue: try input.u8()) else { throw .corrupt("track kind") }
    let codec: TrackCodec
    let number = Int(try input.u8())
    if number == 0 {
      codec = .unsupported(FourCC(rawValue: try input.u32()))
    } else {
      guard number <= Self.codecNumbers.count else { throw .corrupt("track codec") }
      codec = Self.codecNumbers[number - 1]
    }
    var track = Track(
      id: id, kind: kind, codec: codec, sampleEntry: try input.blob(), codecString: try input.text(),
      timescale: try input.u32())
    track.language = try input.text()
    track.widthPixels = try input.u16()
    track.heightPixels = try input.u16()
    track.displayWidthPixels = try input.u32()
    track.displayHeightPixels = try input.u32()
    track.matrix = []
    for _ in 0..<(try input.u8()) { track.matrix.append(Int32(bitPattern: try input.u32())) }
    track.transferCharacteristics = try input.u16()
    track.closedCaptions = ClosedCaptions(rawValue: try input.u8())
    track.leastCompositionOffsetTicks = Int32(bitPattern: try input.u32())
    track.channelCount = try input.u16()
    track.sampleRateHertz = try input.u32()
    track.sampleCount = try input.u32()
    track.presentationShiftTicks = Int64(bitPattern: try input.u64())
    track.presentationStartTicks = Int64(bitPattern: try input.u64())
    track.durationTicks = try input.u64()
    track.totalBytes = try input.u64()
    guard track.id != 0, track.timescale != 0, track.matrix.count == 9 else { throw .corrupt("track values") }
    return track
  }

  private static func encode(_ reason: MediaReason, into output: inout ByteOutput) {
    output.append(text: reason.code)
    output.append(text: reason.message)
  }

  private static func decodeReason(_ input: inout ByteInput) throws(IndexError) -> MediaReason {
    MediaReason(code: try input.text(), message: try input.text())
  }
}
