// From NAL units with lengths before them, as MP4 has them (ISO/IEC 14496-15), to the byte stream with start
// codes of ISO/IEC 14496-10 and 23008-2 annex B.
//
// A four-byte length gives way to the start code 00 00 00 01 in the same place, so a sample keeps its size,
// and the size of everything follows without a look at the data. What lengths leave over is filled with
// zeros, which annex B allows between NAL units (`trailing_zero_8bits`): an empty unit, and up to three bytes
// at the end. A length that reaches past the sample takes what is there.
//
// Before each sample goes an access unit delimiter (ISO/IEC 13818-1 §2.14.1 requires one), and before each
// sync sample, behind the delimiter, the parameter sets of the sample entry. A sample that brings its own
// delimiter keeps it in place of ours, whose bytes then go into the header of the PES packet as stuffing: the
// total stays the same.

/// How the samples of one AVC or HEVC track become a byte stream.
struct AnnexBForm: Equatable, Sendable {
  /// Bytes of the length before each NAL unit, 1 to 4.
  var lengthBytes: Int
  /// A delimiter that allows any kind of picture, start code included.
  let delimiter: [UInt8]
  /// VPS, SPS and PPS of the sample entry, each with its start code.
  let parameterSets: [UInt8]
  private let isHEVC: Bool

  private static let startCode: [UInt8] = [0, 0, 0, 1]

  /// Reads `avcC` or `hvcC` of a whole sample entry; nil where it is not readable.
  init?(sampleEntry: [UInt8], codec: TrackCodec) {
    isHEVC = codec == .hevc
    delimiter = Self.startCode + (isHEVC ? [0x46, 0x01, 0x50] : [0x09, 0xF0])
    guard let configuration = NALUnitConfiguration(sampleEntry: sampleEntry, codec: codec) else { return nil }
    lengthBytes = configuration.lengthBytes
    parameterSets = configuration.parameterSets.flatMap { Self.startCode + $0 }
  }

  /// Turns a sample with four-byte lengths into a byte stream where it lies.
  ///
  /// - Returns: bytes of the sample's own access unit delimiter, start code included; 0 where it has none.
  func convert(_ sample: UnsafeMutableRawBufferPointer) -> Int {
    var delimiterBytes = 0
    var position = 0
    while sample.count - position >= 4 {
      let length = Int(sample.loadUnaligned(fromByteOffset: position, as: UInt32.self).bigEndian)
      let bytes = min(length, sample.count - position - 4)
      sample.storeBytes(of: (bytes == 0 ? 0 : UInt32(1)).bigEndian, toByteOffset: position, as: UInt32.self)
      if position == 0, bytes > 0, isDelimiter(sample[4]) { delimiterBytes = 4 + bytes }
      position += 4 + bytes
    }
    while position < sample.count {
      sample[position] = 0
      position += 1
    }
    return delimiterBytes
  }

  private func isDelimiter(_ header: UInt8) -> Bool {
    isHEVC ? header >> 1 & 0x3F == 35 : header & 0x1F == 9
  }

  /// Appends a sample with lengths of one to three bytes to `output` with lengths of four, empty units left
  /// out.
  func appendWidened(_ sample: UnsafeMutableRawBufferPointer, to output: inout [UInt8]) {
    var position = 0
    while sample.count - position > lengthBytes {
      var length = 0
      for index in position..<position + lengthBytes { length = length << 8 | Int(sample[index]) }
      position += lengthBytes
      let bytes = min(length, sample.count - position)
      guard bytes > 0 else { continue }
      withUnsafeBytes(of: UInt32(bytes).bigEndian) { output.append(contentsOf: $0) }
      output.append(contentsOf: UnsafeRawBufferPointer(rebasing: sample[position..<position + bytes]))
      position += bytes
    }
  }
}
