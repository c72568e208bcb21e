/// A picture that can be shown by itself: what I-frame playlists and trick-play sets are made of.
public struct KeyFrame: Sendable, Equatable {
  /// Its place among the kept samples of the track.
  public var sample: UInt32
  /// Presentation time, and the time until the next key frame of the list, in ticks of the track.
  public var startTicks: UInt64
  public var durationTicks: UInt64
  /// Where its bytes lie in the blob.
  public var offset: UInt64
  public var sizeBytes: UInt32

  public init(sample: UInt32, startTicks: UInt64, durationTicks: UInt64, offset: UInt64, sizeBytes: UInt32) {
    self.sample = sample
    self.startTicks = startTicks
    self.durationTicks = durationTicks
    self.offset = offset
    self.sizeBytes = sizeBytes
  }
}

/// The list of key frames in a packaging index: a checksum u64 of the rows, then rows of 24 bytes: sample u32,
/// size u32, start ticks u64, offset u64. A duration reaches to the next row, the last one to the end of the track.
enum KeyFrameTable {
  static let headBytes = 8
  static let rowBytes = 24

  /// The key frames of a track that trick play shows: the first, then each that lies a second or more behind the
  /// one before. A file of key frames only would else have a list as long as itself.
  static func select(_ timeline: PlanTimeline) -> [KeyFrame] {
    var result: [KeyFrame] = []
    guard timeline.kind == .video else { return result }
    var last = Int64.min
    for index in timeline.presentationTicks.indices where timeline.columns.isSync(index) {
      let ticks = max(timeline.startTicks, timeline.presentationTicks[index])
      guard ticks < timeline.endTicks, timeline.columns.sizesBytes[index] > 0 else { continue }
      if let previous = result.last {
        guard ticks > last, ticks - last >= Int64(timeline.timescale) else { continue }
        result[result.count - 1].durationTicks = UInt64(ticks) - previous.startTicks
      }
      last = ticks
      result.append(
        KeyFrame(
          sample: UInt32(clamping: index), startTicks: UInt64(ticks),
          durationTicks: UInt64(timeline.endTicks - ticks), offset: timeline.columns.offsets[index],
          sizeBytes: timeline.columns.sizesBytes[index]))
    }
    return result
  }

  static func encode(_ frames: [KeyFrame], into output: inout ByteOutput) {
    guard !frames.isEmpty else { return }
    let start = output.count
    output.append(UInt64(0))
    for frame in frames {
      output.append(frame.sample)
      output.append(frame.sizeBytes)
      output.append(frame.startTicks)
      output.append(frame.offset)
    }
    output.store(output.checksum(start + headBytes..<output.count), at: start)
  }

  static func decode(_ bytes: Span<UInt8>, count: Int, track: Track, blobBytes: UInt64) throws(IndexError)
    -> [KeyFrame]
  {
    guard bytes.count == headBytes + count * rowBytes else { throw .corrupt("key frames cut short") }
    var input = ByteInput(bytes)
    guard try input.u64() == Checksum.of(bytes, headBytes..<bytes.count) else {
      throw .corrupt("key frame checksum")
    }
    var result: [KeyFrame] = []
    result.reserveCapacity(count)
    for _ in 0..<count {
      let sample = try input.u32()
      let size = try input.u32()
      let start = try input.u64()
      let offset = try input.u64()
      let (end, overflow) = offset.addingReportingOverflow(UInt64(size))
      guard !overflow, end <= blobBytes, sample < track.sampleCount, start < track.endTicks else {
        throw .corrupt("key frame outside its track")
      }
      if let previous = result.last {
        guard start > previous.startTicks else { throw .corrupt("key frames out of order") }
        result[result.count - 1].durationTicks = start - previous.startTicks
      }
      result.append(
        KeyFrame(
          sample: sample, startTicks: start, durationTicks: track.endTicks - start, offset: offset,
          sizeBytes: size))
    }
    return result
  }
}
