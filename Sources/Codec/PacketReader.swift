internal import CLibAV

#if canImport(Glibc)
internal import Glibc
#elseif canImport(Musl)
internal import Musl
#endif

/// Why libav could not do what was asked.
public struct CodecError: Error, Sendable, Equatable {
  /// Stable codes: `open`, `stream-info`, `no-memory`, `read`, `demuxer`.
  public var code: String
  /// libav's error number (negative), 0 where there is none.
  public var underlying: Int32
  /// What was tried and what libav says about it.
  public var message: String
}

/// One stream of a demuxed file.
public struct MediaStream: Sendable, Equatable {
  public var index: Int
  public var isVideo: Bool
  public var isAudio: Bool
  /// libav's name of the coding, for example `h264`.
  public var codecName: String
  /// Seconds of one tick of its packets' times, as a fraction.
  public var timeBaseNumerator: Int32
  public var timeBaseDenominator: Int32
  public var widthPixels: Int32
  public var heightPixels: Int32
  public var sampleRateHertz: Int32
  public var channelCount: Int32
  /// CICP transfer characteristics, 2 where not known.
  public var transferCharacteristics: Int32
}

/// One packet: a coded frame and its times, in ticks of its stream's time base.
public struct MediaPacket: Sendable, Equatable {
  public var streamIndex: Int
  /// nil where the demuxer gives no time.
  public var presentationTicks: Int64?
  public var decodeTicks: Int64?
  public var durationTicks: Int64
  public var sizeBytes: Int
  /// Offset in the file, -1 where the demuxer gives none.
  public var position: Int64
  public var isKey: Bool
  /// The edit list hides the packet; it is there because others need it.
  public var isDiscarded: Bool
}

/// Reads packets with libav, through one forced demuxer and one descriptor.
///
/// libav never opens anything by itself here: bytes come from the descriptor, and every further open that a demuxer asks
/// for is refused, so that a playlist in disguise cannot name local files. Runs in jobs and tests, never in the server.
public final class PacketReader {
  private var context: UnsafeMutablePointer<AVFormatContext>
  private let input: DescriptorInput
  public let streams: [MediaStream]

  /// Opens what the descriptor holds.
  ///
  /// - Parameters:
  ///   - descriptor: an open, seekable descriptor. It is only read; the caller closes it, after the reader is gone.
  ///   - demuxer: libav's short name of the container, for example `mov`, `matroska` or `mpegts`.
  public init(descriptor: Int32, demuxer: String) throws(CodecError) {
    guard let format = av_find_input_format(demuxer) else {
      throw CodecError(code: "demuxer", underlying: 0, message: "libav has no demuxer named \(demuxer).")
    }
    guard let input = DescriptorInput(descriptor: descriptor), let allocated = avformat_alloc_context() else {
      throw CodecError(code: "no-memory", underlying: 0, message: "libav could not allocate its contexts.")
    }
    allocated.pointee.pb = input.context
    allocated.pointee.flags |= AVFMT_FLAG_CUSTOM_IO
    allocated.pointee.io_open = { _, _, _, _, _ in clibav_error_permission }
    var context: UnsafeMutablePointer<AVFormatContext>? = allocated
    // On failure libav frees the context and leaves the input to its owner.
    let opened = avformat_open_input(&context, nil, format, nil)
    guard opened >= 0, let context else {
      throw CodecError(
        code: "open", underlying: opened, message: "libav could not open the file as \(demuxer).")
    }
    let found = avformat_find_stream_info(context, nil)
    guard found >= 0 else {
      var doomed: UnsafeMutablePointer<AVFormatContext>? = context
      avformat_close_input(&doomed)
      throw CodecError(code: "stream-info", underlying: found, message: "libav could not tell the streams.")
    }
    streams = (0..<Int(context.pointee.nb_streams)).compactMap { index in
      context.pointee.streams[index].map { Self.describe($0.pointee, index: index) }
    }
    self.context = context
    self.input = input
  }

  deinit {
    var doomed: UnsafeMutablePointer<AVFormatContext>? = context
    avformat_close_input(&doomed)
  }

  /// The next packet in the order of the file's interleaving, nil at the end.
  public func next() throws(CodecError) -> MediaPacket? {
    var packet = av_packet_alloc()
    guard let current = packet else {
      throw CodecError(code: "no-memory", underlying: 0, message: "libav could not allocate a packet.")
    }
    defer { av_packet_free(&packet) }
    let result = av_read_frame(context, current)
    if result == clibav_error_eof { return nil }
    guard result >= 0 else {
      throw CodecError(code: "read", underlying: result, message: "libav could not read the next packet.")
    }
    let fields = current.pointee
    return MediaPacket(
      streamIndex: Int(fields.stream_index),
      presentationTicks: fields.pts == clibav_no_pts ? nil : fields.pts,
      decodeTicks: fields.dts == clibav_no_pts ? nil : fields.dts, durationTicks: fields.duration,
      sizeBytes: Int(fields.size), position: fields.pos, isKey: fields.flags & AV_PKT_FLAG_KEY != 0,
      isDiscarded: fields.flags & AV_PKT_FLAG_DISCARD != 0)
  }

  private static func describe(_ stream: AVStream, index: Int) -> MediaStream {
    let parameters = stream.codecpar.pointee
    return MediaStream(
      index: index, isVideo: parameters.codec_type == AVMEDIA_TYPE_VIDEO,
      isAudio: parameters.codec_type == AVMEDIA_TYPE_AUDIO,
      codecName: String(cString: avcodec_get_name(parameters.codec_id)),
      timeBaseNumerator: stream.time_base.num,
      timeBaseDenominator: stream.time_base.den, widthPixels: parameters.width,
      heightPixels: parameters.height,
      sampleRateHertz: parameters.sample_rate, channelCount: parameters.ch_layout.nb_channels,
      transferCharacteristics: Int32(bitPattern: UInt32(parameters.color_trc.rawValue)))
  }
}

/// libav's view of a descriptor: read and seek, nothing else.
private final class DescriptorInput {
  private static let bufferBytes = 64 << 10
  fileprivate private(set) var context: UnsafeMutablePointer<AVIOContext>
  private let state: UnsafeMutablePointer<State>

  fileprivate struct State {
    var descriptor: Int32
    var offset: Int64
  }

  init?(descriptor: Int32) {
    guard let buffer = av_malloc(Self.bufferBytes) else { return nil }
    let state = UnsafeMutablePointer<State>.allocate(capacity: 1)
    state.initialize(to: State(descriptor: descriptor, offset: 0))
    let bytes = buffer.assumingMemoryBound(to: UInt8.self)
    guard let made = avio_alloc_context(bytes, Int32(Self.bufferBytes), 0, state, Self.read, nil, Self.seek)
    else {
      av_free(buffer)
      state.deallocate()
      return nil
    }
    context = made
    self.state = state
  }

  deinit {
    // libav may have put another buffer in place of ours: free the one it holds now.
    av_free(context.pointee.buffer)
    var doomed: UnsafeMutablePointer<AVIOContext>? = context
    avio_context_free(&doomed)
    state.deallocate()
  }

  private static let read:
    @convention(c) (UnsafeMutableRawPointer?, UnsafeMutablePointer<UInt8>?, Int32) -> Int32 = {
      opaque, buffer, count in
      guard let state = opaque?.assumingMemoryBound(to: State.self), let buffer else {
        return clibav_error_permission
      }
      var result = -1
      repeat {
        result = pread(state.pointee.descriptor, buffer, Int(count), off_t(state.pointee.offset))
      } while result < 0 && errno == EINTR
      guard result > 0 else { return result == 0 ? clibav_error_eof : -errno }
      state.pointee.offset += Int64(result)
      return Int32(result)
    }

  private static let seek: @convention(c) (UnsafeMutableRawPointer?, Int64, Int32) -> Int64 = {
    opaque, offset, whence in
    guard let state = opaque?.assumingMemoryBound(to: State.self) else {
      return Int64(clibav_error_permission)
    }
    var status = stat()
    guard fstat(state.pointee.descriptor, &status) == 0 else { return Int64(-errno) }
    let length = Int64(status.st_size)
    let wanted: Int64
    switch whence & ~Int32(clibav_seek_force) {
    case Int32(clibav_seek_size): return length
    case SEEK_SET: wanted = offset
    case SEEK_CUR: wanted = state.pointee.offset &+ offset
    case SEEK_END: wanted = length &+ offset
    default: return Int64(-EINVAL)
    }
    guard wanted >= 0 else { return Int64(-EINVAL) }
    state.pointee.offset = wanted
    return wanted
  }
}
