internal import CLibAV
internal import Packaging

/// Writes pictures as JPEG (JFIF, 4:2:0, full range) or WebP.
enum StillEncoder {
  /// - Parameters:
  ///   - frame: 4:2:0 as `StillScaler` makes it for the format.
  ///   - quality: 1 to 100.
  static func encode(
    _ frame: MediaFrame, _ format: StillOrder.Format, quality: UInt32
  ) throws(CodecError) -> [UInt8] {
    let name = format == .jpeg ? "mjpeg" : "libwebp"
    guard let encoder = avcodec_find_encoder_by_name(name), let context = avcodec_alloc_context3(encoder)
    else {
      throw CodecError(
        code: "encoder", underlying: 0, message: "This build of libav has no encoder named \(name).")
    }
    var doomed: UnsafeMutablePointer<AVCodecContext>? = context
    defer { avcodec_free_context(&doomed) }
    context.pointee.width = frame.pointer.pointee.width
    context.pointee.height = frame.pointer.pointee.height
    context.pointee.pix_fmt = frame.format
    context.pointee.color_range = format == .jpeg ? AVCOL_RANGE_JPEG : AVCOL_RANGE_MPEG
    context.pointee.time_base = AVRational(num: 1, den: 1)
    context.pointee.thread_count = 1
    // With square pixels stated, the encoder writes a JFIF header; bit exact, it leaves its own version out.
    context.pointee.sample_aspect_ratio = AVRational(num: 1, den: 1)
    context.pointee.flags |= AV_CODEC_FLAG_QSCALE | AV_CODEC_FLAG_BITEXACT
    context.pointee.global_quality = Self.quality(quality, format)
    frame.pointer.pointee.quality = context.pointee.global_quality
    frame.pointer.pointee.pts = 0
    frame.pointer.pointee.pict_type = AV_PICTURE_TYPE_NONE
    var packet = av_packet_alloc()
    defer { av_packet_free(&packet) }
    var result = avcodec_open2(context, encoder, nil)
    if result >= 0 { result = avcodec_send_frame(context, frame.pointer) }
    if result >= 0 { result = avcodec_send_frame(context, nil) }
    if result >= 0 { result = avcodec_receive_packet(context, packet) }
    guard result >= 0, let made = packet?.pointee, let data = made.data, made.size > 0 else {
      throw CodecError(
        code: "encoder", underlying: result, message: "The picture could not be written by \(name).")
    }
    return Array(UnsafeBufferPointer(start: data, count: Int(made.size)))
  }

  /// The encoder's scale, in its 118ths (FF_QP2LAMBDA).
  ///
  /// mjpeg multiplies the matrix of MPEG-1 by an eighth of its scale; JPEG's own example matrix, which quality counts in, is
  /// about twice as coarse. 0.17 of the percentage that libjpeg makes of a quality gives files of the same size.
  private static func quality(_ quality: UInt32, _ format: StillOrder.Format) -> Int32 {
    let quality = Int32(clamping: max(1, min(100, quality)))
    guard format == .jpeg else { return quality * FF_QP2LAMBDA }
    let percent = quality < 50 ? 5000 / quality : 200 - 2 * quality
    return max(FF_QP2LAMBDA, min(31 * FF_QP2LAMBDA, percent * 17 * FF_QP2LAMBDA / 100))
  }
}
