// One look ahead for several rungs that libx264 encodes.
//
// Before x264 encodes a picture it has looked at some forty that follow: which of them become P and which B, and by how much each of a picture's
// macroblocks is to be finer, since others are predicted from it (its "mbtree"). That is a fifth of the work of an encoding, every rung
// does it for itself, and all come to much the same conclusions, for they see the same title. So one rung, the leader, does it for
// others, which need not look ahead:
//
//     source pictures ─┬─ scale ─ leader ─ its packets, and advice for each picture ─┐
//                      └─ wait, some forty pictures long ────────────────────────────┴─ scale ─ follower
//
// Its packet tells what a picture is (slice type and nal_ref_idc), and the file that x264 writes for a second pass, NAME.mbtree, what its macroblocks
// are worth: a byte for x264's type, then for each macroblock the change of its quantiser, signed 8.8 fixed point, big-endian; a
// record for each picture that others refer to, in order of encoding. In it is also what x264 makes of each macroblock by itself,
// its adaptive quantisation, which a rung of another size knows better: that is taken off. A follower is told what a picture becomes by `pict_type`,
// and the rest as regions of interest, brought to its size. Told by a rung of its own size, a follower makes nearly the same stream.
// x264 can read the file itself, but only in a second pass towards a mean rate, and not at a constant quality under a cap.
//
// The leader is not much smaller than the largest rung: smaller pictures have less grain and coarser macroblocks, and advice from them costs the largest
// rung quality (docs/decisions/0064). Followers are not smaller than half of it; smaller rungs are so cheap that they do it themselves.
//
// x264 opens its files when it starts, and the sandbox has no `open`. So the leader is opened before. What it then opens are symbolic links,
// to memory and to /dev/null, in a folder that is gone when `init` returns; `fflush` brings what it wrote to where it can be read.

internal import CLibAV
internal import CLinux
internal import Packaging

#if canImport(Glibc)
internal import Glibc
#elseif canImport(Musl)
internal import Musl
#endif

/// What the encoders of followers are told of one picture.
struct PictureAdvice {
  var type: AVPictureType
  /// nil where no other picture refers to it.
  var tree: MacroblockTree?

  func give(to frame: MediaFrame) throws(CodecError) {
    frame.pointer.pointee.pict_type = type
    try tree?.give(to: frame)
  }
}

/// The encoder of a leader, and what is read from it.
final class Lookahead {
  /// Descriptors that are open as long as it is: the two files that x264 writes, and the one that is read.
  static let descriptors: Int32 = 3

  let session: EncoderSession
  private let file: Int32
  private var recordsRead = 0
  /// Of pictures that are in the encoder.
  private var adaptive: [Int64: AdaptiveQuantiser] = [:]
  private var advice: [Int64: PictureAdvice] = [:]

  /// To be called before `Sandbox.enter`.
  init(
    _ rung: TranscodeRequest.Rung, of request: TranscodeRequest, colour: TranscodeColour
  ) throws(CodecError) {
    let statistics = try LookaheadStatistics()
    file = statistics.file
    session = try RungEncoder.open(
      EncoderChoice(rung.encoder), rung, request, colour, format: AV_PIX_FMT_YUV420P,
      part: .leads(statistics: statistics.name))
  }

  deinit { close(file) }

  /// Notes a picture that goes into the encoder.
  func given(_ frame: MediaFrame) {
    adaptive[frame.pointer.pointee.pts] = AdaptiveQuantiser(frame)
  }

  /// Reads what there is to say of the picture of a packet.
  /// - Throws: `encode` where x264 does not say it.
  func made(_ packet: UnsafeMutablePointer<AVPacket>) throws(CodecError) {
    let slice = try CodedSlice(packet)
    let quantiser = adaptive.removeValue(forKey: packet.pointee.pts)
    var tree: MacroblockTree?
    if slice.isReference {
      guard let quantiser else { throw .noAdvice }
      tree = MacroblockTree(record: try nextRecord(of: quantiser.grid), without: quantiser)
    }
    advice[packet.pointee.pts] = PictureAdvice(type: slice.type, tree: tree)
  }

  /// What there is to say of the picture with this time; nil as long as it is not known. To be asked once.
  func take(_ ticks: Int64) -> PictureAdvice? { advice.removeValue(forKey: ticks) }

  private func nextRecord(of grid: MacroblockGrid) throws(CodecError) -> [UInt8] {
    let size = 1 + 2 * grid.count
    fflush(nil)
    var record = [UInt8](repeating: 0, count: size)
    let count = record.withUnsafeMutableBytes { pread(file, $0.baseAddress, size, recordsRead * size) }
    guard count == size else { throw .noAdvice }
    recordsRead += 1
    return record
  }
}

/// What the first slice of a coded picture says of it (H.264 7.3.1, 7.3.3).
private struct CodedSlice {
  let type: AVPictureType
  let isReference: Bool

  /// - Parameter packet: a picture as x264 writes it, in NAL units behind start codes.
  init(_ packet: UnsafeMutablePointer<AVPacket>) throws(CodecError) {
    let bytes = UnsafeBufferPointer(start: packet.pointee.data, count: Int(packet.pointee.size))
    var place = 0
    while place + 4 < bytes.count {
      guard bytes[place] == 0, bytes[place + 1] == 0, bytes[place + 2] == 1 else {
        place += 1
        continue
      }
      let header = bytes[place + 3]
      guard header & 31 == 1 || header & 31 == 5 else {
        place += 4
        continue
      }
      isReference = header & 0x60 != 0
      // first_mb_in_slice is 0, one bit that is set; then slice_type in Exp-Golomb, of at most seven bits: 0 or 5 is P, 1 or 6 B, 2 or 7 I.
      let bits = bytes[place + 4] << 1
      let code = (Int(bits) >> (7 - 2 * min(3, bits.leadingZeroBitCount))) - 1
      type =
        switch code % 5 {
        case 0: AV_PICTURE_TYPE_P
        case 1: AV_PICTURE_TYPE_B
        default: AV_PICTURE_TYPE_I
        }
      return
    }
    throw .noAdvice
  }
}

/// The folder in which x264 finds the names of its statistics; gone when this is.
private struct LookaheadStatistics: ~Copyable {
  private let folder: String
  /// What x264 is told; it adds its own endings.
  var name: String { folder + "/statistics" }
  /// What it writes of macroblocks, in memory.
  let file: Int32

  init() throws(CodecError) {
    guard let folder = Self.makeFolder(in: "/tmp") ?? Self.makeFolder(in: "/dev/shm") else { throw .noAdvice }
    self.folder = folder
    file = clinux_memory_file("lookahead")
    symlink("/dev/null", name + ".temp")
    symlink("/proc/self/fd/\(file)", name + ".mbtree.temp")
  }

  private static func makeFolder(in parent: String) -> String? {
    guard let template = strdup(parent + "/headwater-lookahead-XXXXXX") else { return nil }
    defer { free(template) }
    return mkdtemp(template).map { String(cString: $0) }
  }

  deinit {
    unlink(name + ".temp")
    unlink(name + ".mbtree.temp")
    rmdir(folder)
  }
}

extension CodecError {
  static let noAdvice = CodecError(
    code: "encode", underlying: 0, message: "libx264 does not say what it found when it looked ahead.")
}
