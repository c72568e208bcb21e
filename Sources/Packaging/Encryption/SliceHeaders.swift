// Where the header of a slice ends.
//
// Decoders read slice headers in the clear while the slice data stay in protected memory, so a protected range must
// begin behind the header: exactly there in `cbcs`, at or behind it in `cenc`. The header is a run of conditional bit
// fields whose presence hangs on the parameter sets, so those are read too: out of `avcC` and `hvcC` first, and then
// as they come by in the samples, which is how `avc3` and `hev1` tracks may carry them. State is kept for one segment
// only. A segment therefore comes to the same bytes whatever was made before.
//
// A header that cannot be read exactly gives nil: a parameter set that is missing or damaged, an extension whose fields
// are not known here (scalable and multiview layers, screen content, arbitrary slice order), bits that run out. The
// caller then leaves more in the clear, never less.
//
// Offsets: bit fields are counted in the RBSP, without emulation prevention bytes (ISO/IEC 14496-10 §7.4.1), and ranges
// in the NAL unit with them. `UnescapedUnit` keeps both.

/// Finds the ends of slice headers in the NAL units of one track.
struct SliceHeaders {
  enum UnitKind {
    /// A picture's coded data, protected from the end of the slice header on.
    case slice
    case parameterSet
    /// Delimiters, SEI, layers that are not decoded here: stays clear.
    case other
  }

  /// Bytes of the length in front of each NAL unit: 1, 2 or 4.
  let lengthBytes: Int
  private let isHEVC: Bool
  /// One of the two stays empty. They are apart so that a parameter set changes its table in place.
  private var avc = AVCParameterSets()
  private var hevc = HEVCParameterSets()
  private var unit = UnescapedUnit()

  /// A header is first looked for in a short front of its unit, which nearly always holds it, and then in longer ones, the last
  /// of which holds the entry points of any picture.
  private static var shortestFrontBytes: Int { 32 }
  private static var longestFrontBytes: Int { 65_536 }

  /// `nil` where the track is neither AVC nor HEVC, or its configuration box cannot be read.
  init?(track: Track) {
    guard let configuration = NALUnitConfiguration(sampleEntry: track.sampleEntry, codec: track.codec) else {
      return nil
    }
    lengthBytes = configuration.lengthBytes
    isHEVC = track.codec == .hevc
    store(configuration.parameterSets)
  }

  private mutating func store(_ units: [[UInt8]]) {
    for unit in units { unit.withUnsafeBytes { store($0) } }
  }

  /// What a unit is. An empty one is `other`.
  func kind(of bytes: UnsafeRawBufferPointer) -> UnitKind {
    guard let first = bytes.first else { return .other }
    return isHEVC ? HEVCParameterSets.kind(firstByte: first) : AVCParameterSets.kind(firstByte: first)
  }

  /// Remembers a parameter set for the slices that follow; what cannot be read makes them unreadable too.
  mutating func store(_ bytes: UnsafeRawBufferPointer) {
    var parameterSet = UnescapedUnit()
    parameterSet.read(UnsafeRawBufferPointer(rebasing: bytes[..<min(Self.longestFrontBytes, bytes.count)]))
    var reader = BitReader(parameterSet.payload.span)
    if isHEVC { hevc.store(&reader) } else { avc.store(&reader) }
  }

  /// Bytes of a slice's NAL unit up to the end of its slice header, NAL unit header included; a byte that holds the end
  /// of the header and the first bits of data counts as header. `nil` where the header cannot be read.
  mutating func headerBytes(_ bytes: UnsafeRawBufferPointer) -> Int? {
    var limitBytes = Self.shortestFrontBytes
    while true {
      let front = UnsafeRawBufferPointer(rebasing: bytes[..<min(limitBytes, bytes.count)])
      let isEscaped = UnescapedUnit.isEscaped(front)
      let end: HeaderEnd
      if isEscaped {
        unit.read(front)
        end = headerEnd(unit.payload.span)
      } else {
        end = headerEnd(Span(_unsafeBytes: front))
      }
      if end.isExhausted, limitBytes < bytes.count, limitBytes < Self.longestFrontBytes {
        limitBytes = min(16 * limitBytes, Self.longestFrontBytes)
        continue
      }
      guard end.isRead, !end.isExhausted else { return nil }
      let payloadBytes = (end.bitPosition + 7) / 8
      return isEscaped ? unit.unitBytes(payloadBytes: payloadBytes) : payloadBytes
    }
  }

  private struct HeaderEnd {
    var isRead: Bool
    var isExhausted: Bool
    var bitPosition: Int
  }

  private func headerEnd(_ payload: Span<UInt8>) -> HeaderEnd {
    var reader = BitReader(payload)
    let isRead = isHEVC ? hevc.readSliceHeader(&reader) : avc.readSliceHeader(&reader)
    return HeaderEnd(isRead: isRead, isExhausted: reader.isExhausted, bitPosition: reader.bitPosition)
  }
}

/// The front of a NAL unit without emulation prevention bytes: `00 00 03` stands for `00 00`.
private struct UnescapedUnit {
  private(set) var payload: [UInt8] = []
  /// Length of `payload` at each byte that was left out.
  private var leftOut: [Int] = []

  /// Takes the front of a unit in place of what was here.
  mutating func read(_ front: UnsafeRawBufferPointer) {
    payload.removeAll(keepingCapacity: true)
    leftOut.removeAll(keepingCapacity: true)
    var zeros = 0
    for byte in front {
      if zeros >= 2, byte == 3 {
        leftOut.append(payload.count)
        zeros = 0
        continue
      }
      zeros = byte == 0 ? zeros + 1 : 0
      payload.append(byte)
    }
  }

  /// Whether any byte is to be left out. Few fronts have a zero at all, and that is asked first, of eight bytes at a time.
  static func isEscaped(_ bytes: UnsafeRawBufferPointer) -> Bool {
    let ones: UInt64 = 0x0101_0101_0101_0101
    var position = 0
    while bytes.count - position >= 8 {
      let word = bytes.loadUnaligned(fromByteOffset: position, as: UInt64.self)
      // The high bit of a byte is set in the difference, and was not before, below and at the first zero byte.
      if (word &- ones) & ~word & ones << 7 != 0 { break }
      position += 8
    }
    var last: UInt32 = .max
    for byte in bytes[position...] {
      last = last << 8 | UInt32(byte)
      if last & 0xFF_FFFF == 3 { return true }
    }
    return false
  }

  /// The bytes of the unit that the first `payloadBytes` bytes of the payload take.
  func unitBytes(payloadBytes: Int) -> Int {
    payloadBytes + leftOut.count { $0 < payloadBytes }
  }
}

extension BitReader {
  /// A field of Ceil(Log2(count)) bits, by which one of `count` things is chosen.
  mutating func choice(of count: UInt32) -> UInt32 {
    count > 1 ? bits(32 - (count - 1).leadingZeroBitCount) : 0
  }
}
