internal import CLibAV

/// One decoded picture or stretch of sound, whose storage is reused from one to the next.
final class MediaFrame {
  let pointer: UnsafeMutablePointer<AVFrame>

  init() throws(CodecError) {
    guard let pointer = av_frame_alloc() else { throw .noMemory }
    self.pointer = pointer
  }

  deinit {
    var doomed: UnsafeMutablePointer<AVFrame>? = pointer
    av_frame_free(&doomed)
  }
}

extension CodecError {
  static let noMemory = CodecError(
    code: "no-memory", underlying: clibav_error_memory, message: "libav ran out of memory.")
}

/// Feeds the packets of one stream of a demuxer through one decoder, on the calling thread alone.
///
/// A packet that the decoder will not have is counted and skipped, as players do; a stream of which nothing can be decoded
/// ends with `decode`. Times are libav's: ticks of the stream's time base, edit lists of MP4 applied.
final class StreamDecoder {
  let demuxer: Demuxer
  let index: Int
  let stream: UnsafeMutablePointer<AVStream>
  let timeBase: TimeBase
  private let context: UnsafeMutablePointer<AVCodecContext>
  private let packet: UnsafeMutablePointer<AVPacket>
  /// A packet that was read and not yet given to the decoder.
  private var isPending = false
  private var isDraining = false
  private var lastTicks: Int64?
  /// Packets that the decoder refused.
  private(set) var damagedPackets = 0
  private(set) var decodedFrames = 0

  init(_ demuxer: Demuxer, index: Int, limits: DecodeLimits) throws(CodecError) {
    let stream = demuxer.streams[index]
    let codec = try DecodeLimits.decoder(for: stream)
    var made = avcodec_alloc_context3(codec)
    var packet = av_packet_alloc()
    guard let context = made, let allocated = packet,
      avcodec_parameters_to_context(context, stream.pointee.codecpar) >= 0
    else {
      avcodec_free_context(&made)
      av_packet_free(&packet)
      throw .noMemory
    }
    context.pointee.pkt_timebase = stream.pointee.time_base
    context.pointee.thread_count = 1
    context.pointee.max_pixels = limits.pixels
    let result = avcodec_open2(context, codec, nil)
    guard result >= 0 else {
      avcodec_free_context(&made)
      av_packet_free(&packet)
      throw CodecError(
        code: "no-decoder", underlying: result,
        message:
          "The decoder of \(RemuxStreams.codecName(stream)) did not start: \(Demuxer.text(of: result)).")
    }
    self.demuxer = demuxer
    self.index = index
    self.stream = stream
    self.context = context
    self.packet = allocated
    timeBase = TimeBase(numerator: stream.pointee.time_base.num, denominator: stream.pointee.time_base.den)
    // Nothing of the other streams is needed; mov and matroska do not even read it.
    for other in demuxer.streams where other != stream { other.pointee.discard = AVDISCARD_ALL }
  }

  deinit {
    var context: UnsafeMutablePointer<AVCodecContext>? = context
    avcodec_free_context(&context)
    var packet: UnsafeMutablePointer<AVPacket>? = packet
    av_packet_free(&packet)
  }

  /// Pictures that nothing refers to are not decoded, or only key frames are.
  func skip(_ which: AVDiscard) { context.pointee.skip_frame = which }

  /// The next frame in the order of presentation.
  /// - Returns: its time; nil at the end.
  func next(into frame: MediaFrame) throws(CodecError) -> Int64? {
    while true {
      let result = avcodec_receive_frame(context, frame.pointer)
      if result >= 0 {
        decodedFrames += 1
        return time(of: frame)
      }
      if result == clibav_error_eof {
        if decodedFrames == 0, damagedPackets > 0 {
          throw CodecError(
            code: "decode", underlying: clibav_error_damaged,
            message: "None of the stream's \(damagedPackets) packets can be decoded.")
        }
        return nil
      }
      if result != clibav_error_again { try damaged(result) } else { try feed() }
    }
  }

  private func feed() throws(CodecError) {
    let hasPacket = isPending ? true : try readPacket()
    isPending = false
    defer { av_packet_unref(packet) }
    if !hasPacket {
      guard !isDraining else { return }
      isDraining = true
    }
    let result = avcodec_send_packet(context, hasPacket ? packet : nil)
    if result < 0, result != clibav_error_eof, result != clibav_error_again { try damaged(result) }
  }

  private func damaged(_ result: Int32) throws(CodecError) {
    if result == clibav_error_memory { throw .noMemory }
    damagedPackets += 1
    // What decodes nothing at all need not be read to the end of a long file.
    if decodedFrames == 0, damagedPackets >= 5000 {
      throw CodecError(
        code: "decode", underlying: result,
        message: "The first \(damagedPackets) packets can't be decoded: \(Demuxer.text(of: result)).")
    }
  }

  /// Reads the next packet of the stream. A file that breaks off ends there.
  private func readPacket() throws(CodecError) -> Bool {
    do throws(CodecError) {
      while try demuxer.read(into: packet) {
        if Int(packet.pointee.stream_index) == index, packet.pointee.size > 0 { return true }
        av_packet_unref(packet)
      }
    } catch {
      if error.code != "read" { throw error }
    }
    try demuxer.checkInput()
    return false
  }

  private func time(of frame: MediaFrame) -> Int64 {
    let best = frame.pointer.pointee.best_effort_timestamp
    let ticks = best != clibav_no_pts ? best : (lastTicks ?? -1) &+ 1
    lastTicks = ticks
    return ticks
  }

  // MARK: - Seeking

  /// Goes to a key frame that is shown at or before `ticks`, the last such as far as the container knows; to the
  /// beginning where there is none.
  ///
  /// Containers are sought by decode times or by bytes, and may land behind the wanted place: then further back, by
  /// steps that double.
  func seek(to ticks: Int64) throws(CodecError) {
    var marginTicks: Int64 = 0
    let second = max(1, timeBase.ticks(1, of: 1) ?? 1)
    let start = stream.pointee.startTicks ?? 0
    while true {
      let target = ticks - marginTicks
      let isWhole = target <= start
      try jump(to: isWhole ? min(start, target) : target)
      if try readKeyPacket(notAfter: ticks) { return }
      if isWhole {
        // A transport stream has no index: what was found by its times may lie behind its first key frame.
        let isFirst = demuxer.context.pointee.iformat.pointee.flags & AVFMT_TS_DISCONT == 0
        return isPending && isFirst ? () : try rewind()
      }
      marginTicks = max(second, marginTicks * 2)
    }
  }

  private func jump(to ticks: Int64) throws(CodecError) {
    av_packet_unref(packet)
    isPending = false
    isDraining = false
    lastTicks = nil
    avcodec_flush_buffers(context)
    var result = av_seek_frame(demuxer.context, Int32(index), ticks, AVSEEK_FLAG_BACKWARD)
    if result < 0 {
      // Before the first key frame that the index knows.
      result = av_seek_frame(demuxer.context, Int32(index), ticks, 0)
    }
    if result < 0 {
      result = avformat_seek_file(demuxer.context, -1, .min, 0, 0, AVSEEK_FLAG_BYTE)
    }
    try demuxer.checkInput()
    guard result >= 0 else {
      throw CodecError(
        code: "seek", underlying: result, message: "The file can't be sought in: \(Demuxer.text(of: result))."
      )
    }
  }

  /// Goes to the first byte.
  private func rewind() throws(CodecError) {
    av_packet_unref(packet)
    isPending = false
    isDraining = false
    avcodec_flush_buffers(context)
    let result = avformat_seek_file(demuxer.context, -1, .min, 0, 0, AVSEEK_FLAG_BYTE)
    guard result >= 0 else {
      throw CodecError(
        code: "seek", underlying: result, message: "The file can't be sought in: \(Demuxer.text(of: result))."
      )
    }
  }

  /// Reads on to a key frame, which is then the next packet. Returns whether it is shown at or before `ticks`.
  private func readKeyPacket(notAfter ticks: Int64) throws(CodecError) -> Bool {
    while try readPacket() {
      if packet.pointee.flags & AV_PKT_FLAG_KEY != 0 {
        isPending = true
        let time = packet.pointee.pts != clibav_no_pts ? packet.pointee.pts : packet.pointee.dts
        return time == clibav_no_pts || time <= ticks
      }
      av_packet_unref(packet)
    }
    return false
  }
}
