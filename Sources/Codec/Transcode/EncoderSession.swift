internal import CLibAV
internal import Packaging

/// An open encoder on the calling thread: frames in, packets out.
final class EncoderSession {
  let context: UnsafeMutablePointer<AVCodecContext>
  private let packet: UnsafeMutablePointer<AVPacket>

  /// - Parameters:
  ///   - configure: sets the fields of the context before it is opened.
  ///   - options: of the encoder, by name; one that it does not know is an error of this program.
  init(
    _ name: String, options: [(String, String)], threads: Int32 = 1,
    _ configure: (UnsafeMutablePointer<AVCodecContext>) -> Void
  ) throws(CodecError) {
    guard let codec = avcodec_find_encoder_by_name(name) else {
      throw CodecError(code: "encoder", underlying: 0, message: "libav has no encoder \(name) here.")
    }
    var made = avcodec_alloc_context3(codec)
    var packet = av_packet_alloc()
    guard let context = made, let allocated = packet else {
      avcodec_free_context(&made)
      av_packet_free(&packet)
      throw .noMemory
    }
    context.pointee.thread_count = threads
    // Parameter sets go into the sample entry, and no version of a library into the stream.
    context.pointee.flags |= AV_CODEC_FLAG_GLOBAL_HEADER | AV_CODEC_FLAG_BITEXACT
    configure(context)
    var dictionary: OpaquePointer?
    defer { av_dict_free(&dictionary) }
    for (key, value) in options { av_dict_set(&dictionary, key, value, 0) }
    let result = avcodec_open2(context, codec, &dictionary)
    let unknown = av_dict_get(dictionary, "", nil, AV_DICT_IGNORE_SUFFIX).map {
      String(cString: $0.pointee.key)
    }
    guard result >= 0, unknown == nil else {
      avcodec_free_context(&made)
      av_packet_free(&packet)
      let reason = unknown.map { "it has no option \($0)" } ?? Demuxer.text(of: result)
      throw CodecError(
        code: result == clibav_error_memory ? "no-memory" : "encoder", underlying: result,
        message: "The encoder \(name) did not start: \(reason).")
    }
    self.context = context
    self.packet = allocated
  }

  deinit {
    var context: UnsafeMutablePointer<AVCodecContext>? = context
    avcodec_free_context(&context)
    var packet: UnsafeMutablePointer<AVPacket>? = packet
    av_packet_free(&packet)
  }

  /// Changes an option of the encoder that it looks at with every frame.
  func set(_ option: String, _ value: Double) throws(CodecError) {
    try check(av_opt_set_double(context.pointee.priv_data, option, value, 0))
  }

  /// Encodes a frame, or at the end of the stream what is left.
  /// - Parameter take: called with each packet, times in the context's time base; valid until it returns.
  func push(
    _ frame: MediaFrame?, _ take: (UnsafeMutablePointer<AVPacket>) throws(CodecError) -> Void
  ) throws(CodecError) {
    try check(avcodec_send_frame(context, frame?.pointer))
    while true {
      let result = avcodec_receive_packet(context, packet)
      if result == clibav_error_again || result == clibav_error_eof { return }
      try check(result)
      defer { av_packet_unref(packet) }
      try take(packet)
    }
  }

  private func check(_ result: Int32) throws(CodecError) {
    guard result < 0, result != clibav_error_eof else { return }
    if result == clibav_error_memory { throw .noMemory }
    throw CodecError(
      code: "encode", underlying: result, message: "The encoder failed: \(Demuxer.text(of: result)).")
  }
}
