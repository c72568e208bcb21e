internal import CLibAV

/// Writes what encoders make to one descriptor, as an MP4 of a track for each.
///
/// A file of times that begin at 0, `moov` last: it is material for `ProgressiveFile`, which puts everything in its place.
final class EncodedWriter {
  private let context: UnsafeMutablePointer<AVFormatContext>
  private let output: DescriptorIO
  private let timeBases: [AVRational]

  init(descriptor: Int32, encoders: [EncoderSession]) throws(CodecError) {
    var made: UnsafeMutablePointer<AVFormatContext>?
    avformat_alloc_output_context2(&made, nil, "mp4", nil)
    guard let context = made, let output = DescriptorIO(descriptor: descriptor, isWritable: true) else {
      avformat_free_context(made)
      throw .noMemory
    }
    self.context = context
    self.output = output
    timeBases = encoders.map { $0.context.pointee.time_base }
    context.pointee.pb = output.context
    context.pointee.flags |= AVFMT_FLAG_CUSTOM_IO | AVFMT_FLAG_BITEXACT
    context.pointee.strict_std_compliance = -2
    context.pointee.avoid_negative_ts = 0
    for encoder in encoders {
      guard let stream = avformat_new_stream(context, nil),
        avcodec_parameters_from_context(stream.pointee.codecpar, encoder.context) >= 0
      else { throw .noMemory }
      if stream.pointee.codecpar.pointee.codec_id == AV_CODEC_ID_HEVC {
        stream.pointee.codecpar.pointee.codec_tag = clibav_tag_hvc1
      }
      stream.pointee.time_base = encoder.context.pointee.time_base
      stream.pointee.avg_frame_rate = encoder.context.pointee.framerate
    }
    var options: OpaquePointer?
    defer { av_dict_free(&options) }
    // Edits are counted in the movie's timescale: with that of the tracks they are exact.
    av_dict_set(&options, "movie_timescale", String(timeBases.first?.den ?? 90_000), 0)
    // Rates of a chunk would make the sample entry of each another one.
    av_dict_set(&options, "write_btrt", "0", 0)
    let result = avformat_write_header(context, &options)
    try check()
    guard result >= 0 else { throw Self.failure(result, "begin") }
  }

  deinit { avformat_free_context(context) }

  /// - Parameter packet: times in its encoder's time base. Its fields are changed.
  func write(_ packet: UnsafeMutablePointer<AVPacket>, track: Int) throws(CodecError) {
    packet.pointee.stream_index = Int32(track)
    packet.pointee.pos = -1
    if let stream = context.pointee.streams[track] {
      av_packet_rescale_ts(packet, timeBases[track], stream.pointee.time_base)
    }
    let result = av_write_frame(context, packet)
    try check()
    guard result >= 0 else { throw Self.failure(result, "go on with") }
  }

  func finish() throws(CodecError) {
    let result = av_write_trailer(context)
    try check()
    guard result >= 0 else { throw Self.failure(result, "finish") }
  }

  private func check() throws(CodecError) {
    guard let error = output.failure else { return }
    throw CodecError(
      code: "write", underlying: -error,
      message: "The output could not be written: \(Demuxer.text(of: -error)).")
  }

  private static func failure(_ result: Int32, _ what: String) -> CodecError {
    if result == clibav_error_memory { return .noMemory }
    return CodecError(
      code: "muxer", underlying: result,
      message: "libav could not \(what) an MP4: \(Demuxer.text(of: result)).")
  }
}
