internal import CLibAV

/// Decodes what an encoder makes, and compares it with what the encoder was given.
///
/// Encoders hold pictures back and change their order, so those that went in wait here until they come out.
final class CodedComparison {
  private var context: UnsafeMutablePointer<AVCodecContext>?
  private let decoded: MediaFrame
  private var waiting: [MediaFrame] = []
  private var stage: SimilarityStage?

  /// - Parameter encoder: open.
  init(_ encoder: UnsafeMutablePointer<AVCodecContext>) throws(CodecError) {
    decoded = try MediaFrame()
    guard let codec = avcodec_find_decoder(encoder.pointee.codec_id) else {
      throw CodecError(
        code: "no-decoder", underlying: 0, message: "libav can't decode what its own encoder makes.")
    }
    context = avcodec_alloc_context3(codec)
    var parameters = avcodec_parameters_alloc()
    defer { avcodec_parameters_free(&parameters) }
    guard let context, let parameters, avcodec_parameters_from_context(parameters, encoder) >= 0,
      avcodec_parameters_to_context(context, parameters) >= 0
    else { throw .noMemory }
    context.pointee.thread_count = 1
    context.pointee.pkt_timebase = encoder.pointee.time_base
    try check(avcodec_open2(context, codec, nil))
  }

  deinit { avcodec_free_context(&context) }

  /// A picture on its way into the encoder, which stays the caller's.
  func given(_ frame: MediaFrame) throws(CodecError) {
    waiting.append(try frame.reference())
  }

  /// A packet that came out.
  func made(_ packet: UnsafeMutablePointer<AVPacket>?) throws(CodecError) {
    let result = avcodec_send_packet(context, packet)
    if result != clibav_error_eof { try check(result) }
    while true {
      let result = avcodec_receive_frame(context, decoded.pointer)
      if result == clibav_error_again || result == clibav_error_eof { return }
      try check(result)
      defer { av_frame_unref(decoded.pointer) }
      let ticks = decoded.pointer.pointee.pts
      guard let place = waiting.firstIndex(where: { $0.pointer.pointee.pts == ticks }) else { continue }
      let original = waiting.remove(at: place)
      if stage == nil { stage = try SimilarityStage(like: original) }
      try stage?.compare(decoded, original)
    }
  }

  /// Mean similarity of all pictures, when the encoder is drained.
  func mean() throws(CodecError) -> Double? {
    try made(nil)
    return try stage?.mean() ?? nil
  }

  private func check(_ result: Int32) throws(CodecError) {
    guard result < 0 else { return }
    if result == clibav_error_memory { throw .noMemory }
    throw CodecError(
      code: "encode", underlying: result,
      message: "What the encoder made can't be decoded: \(Demuxer.text(of: result)).")
  }
}
