/// The samples of one track as columns, in decode order, after edit lists have been applied.
///
/// Columns that would hold one value throughout are left empty: see `compositionOffsetsTicks` and `syncFlags`.
public struct SampleColumns: Sendable, Equatable {
  /// Decode time of the first sample in the media timeline, in ticks of the track.
  public var firstDecodeTicks: UInt64 = 0
  /// Offset of each sample in the file.
  public var offsets: [UInt64] = []
  public var sizesBytes: [UInt32] = []
  /// Ticks until the next sample is decoded.
  public var durationsTicks: [UInt32] = []
  /// Composition time minus decode time; empty when it is 0 for all samples.
  public var compositionOffsetsTicks: [Int32] = []
  /// Whether a sample is a sync sample; empty when all are.
  public var syncFlags: [Bool] = []

  public init() {}

  public var count: Int { sizesBytes.count }

  @inline(__always)
  func compositionOffset(_ index: Int) -> Int64 {
    compositionOffsetsTicks.isEmpty ? 0 : Int64(compositionOffsetsTicks[index])
  }

  @inline(__always)
  func isSync(_ index: Int) -> Bool { syncFlags.isEmpty || syncFlags[index] }

  /// All samples one by one. Meant for tests and tools: allocates 40 bytes for each sample.
  public func samples() -> [Sample] {
    var decode = firstDecodeTicks
    var result: [Sample] = []
    result.reserveCapacity(count)
    for index in 0..<count {
      result.append(
        Sample(
          offset: offsets[index], sizeBytes: sizesBytes[index], durationTicks: durationsTicks[index],
          decodeTicks: decode, compositionOffsetTicks: Int32(compositionOffset(index)), isSync: isSync(index))
      )
      decode += UInt64(durationsTicks[index])
    }
    return result
  }
}

/// One packageable track with its samples.
public struct MovieTrack: Sendable, Equatable {
  public var track: Track
  public var columns: SampleColumns

  public init(track: Track, columns: SampleColumns) {
    self.track = track
    self.columns = columns
  }
}

/// A track that is in the file but is not packaged.
public struct LeftOutTrack: Sendable, Equatable {
  /// `track_ID` in the source file, 0 where it is not known.
  public var id: UInt32
  public var kind: TrackKind
  /// The sample entry's code, 0 where it is not known.
  public var codec: FourCC
  public var language: String
  public var reason: MediaReason

  public init(id: UInt32, kind: TrackKind, codec: FourCC, language: String, reason: MediaReason) {
    self.id = id
    self.kind = kind
    self.codec = codec
    self.language = language
    self.reason = reason
  }
}

/// An MP4 or MOV file, progressive or fragmented, read and checked: every sample of `tracks` lies inside the file.
public struct Movie: Sendable, Equatable {
  public var majorBrand: FourCC
  public var compatibleBrands: [FourCC]
  /// Ticks per second of the movie header; the unit of edit durations. Never 0.
  public var timescale: UInt32
  /// What can be packaged, in file order; at least one.
  public var tracks: [MovieTrack]
  public var leftOut: [LeftOutTrack]
  public var defects: [Defect]
  /// Samples come from fragments, at least in part.
  public var isFragmented = false

  public init(
    majorBrand: FourCC, compatibleBrands: [FourCC], timescale: UInt32, tracks: [MovieTrack],
    leftOut: [LeftOutTrack], defects: [Defect]
  ) {
    self.majorBrand = majorBrand
    self.compatibleBrands = compatibleBrands
    self.timescale = timescale
    self.tracks = tracks
    self.leftOut = leftOut
    self.defects = defects
  }

  /// When the last picture or sound of any track ends, in milliseconds after presentation time 0, rounded up.
  public var durationMilliseconds: UInt64 { tracks.map { $0.track.endMilliseconds }.max() ?? 0 }
}

extension Track {
  /// Presentation time at which the track starts on the asset's timeline: never before 0, in ticks.
  public var visibleStartTicks: UInt64 { UInt64(max(0, presentationStartTicks)) }

  /// Presentation time at which the track ends, in ticks.
  public var endTicks: UInt64 {
    let sum = visibleStartTicks.addingReportingOverflow(durationTicks)
    return sum.overflow ? .max : sum.partialValue
  }

  var endMilliseconds: UInt64 {
    let scaled = (UInt128(endTicks) * 1000 + UInt128(timescale) - 1) / UInt128(max(1, timescale))
    return UInt64(clamping: scaled)
  }
}

extension FourCC: CustomStringConvertible {
  /// The code's number from four ASCII characters, for example `FourCC("avc1")`.
  public init(_ text: StaticString) {
    precondition(text.utf8CodeUnitCount == 4, "a four-character code has four characters")
    let value = text.withUTF8Buffer { $0.reduce(UInt32(0)) { $0 << 8 | UInt32($1) } }
    self.init(rawValue: value)
  }

  /// The four characters; those outside printable ASCII as `\xNN`.
  public var description: String {
    let hex: [Character] = Array("0123456789abcdef")
    var text = ""
    for shift in [UInt32(24), 16, 8, 0] {
      let byte = UInt8(truncatingIfNeeded: rawValue >> shift)
      if byte >= 0x20, byte < 0x7F, byte != 0x5C {
        text.unicodeScalars.append(Unicode.Scalar(byte))
      } else {
        text += "\\x"
        text.append(hex[Int(byte >> 4)])
        text.append(hex[Int(byte & 15)])
      }
    }
    return text
  }
}
