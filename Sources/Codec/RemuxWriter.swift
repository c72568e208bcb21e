internal import CLibAV

/// Writes an MP4 with libav's muxer to one descriptor.
///
/// `moov` comes last; nothing is kept of the packets but the tables that go into it, some 60 bytes each. The output is
/// the same for the same input: no dates, no name of a program.
final class RemuxWriter {
  struct Track {
    var source: UnsafeMutablePointer<AVStream>
    var timescale: Int64
  }

  private let context: UnsafeMutablePointer<AVFormatContext>
  let output: DescriptorIO
  private var tracks: [Track] = []
  private(set) var written: [Int] = []
  private(set) var refused = 0

  init(descriptor: Int32, tracks: [Track]) throws(CodecError) {
    var made: UnsafeMutablePointer<AVFormatContext>?
    avformat_alloc_output_context2(&made, nil, "mp4", nil)
    guard let context = made, let output = DescriptorIO(descriptor: descriptor, isWritable: true) else {
      avformat_free_context(made)
      throw CodecError(code: "no-memory", underlying: 0, message: "libav could not allocate its contexts.")
    }
    self.context = context
    self.output = output
    context.pointee.pb = output.context
    context.pointee.flags |= AVFMT_FLAG_CUSTOM_IO | AVFMT_FLAG_BITEXACT
    // FLAC and Opus in MP4 are specified, whatever the muxer calls them.
    context.pointee.strict_std_compliance = -2
    // Times before zero are what edit lists are made of.
    context.pointee.avoid_negative_ts = 0
    for track in tracks { try add(track) }
    self.tracks = tracks

    var options: OpaquePointer?
    defer { av_dict_free(&options) }
    // Empty edits are counted in the movie's timescale: with that of a track they are exact.
    let movie = tracks.map(\.timescale).first ?? 90_000
    av_dict_set(&options, "movie_timescale", String(movie), 0)
    let result = avformat_write_header(context, &options)
    guard result >= 0 else {
      throw CodecError(
        code: "muxer", underlying: result,
        message: "libav could not begin an MP4: \(Demuxer.text(of: result)).")
    }
    written = Array(repeating: 0, count: tracks.count)
  }

  deinit { avformat_free_context(context) }

  private func add(_ track: Track) throws(CodecError) {
    guard let stream = avformat_new_stream(context, nil), let parameters = stream.pointee.codecpar,
      avcodec_parameters_copy(parameters, track.source.pointee.codecpar) >= 0
    else { throw CodecError(code: "no-memory", underlying: 0, message: "libav could not allocate a stream.") }
    parameters.pointee.codec_tag = parameters.pointee.codec_id == AV_CODEC_ID_HEVC ? clibav_tag_hvc1 : 0
    stream.pointee.time_base = AVRational(num: 1, den: Int32(clamping: track.timescale))
    stream.pointee.disposition = track.source.pointee.disposition
    // The container's shape of a pixel goes before the coding's; the muxer wants both alike.
    let shape = track.source.pointee.sample_aspect_ratio
    if shape.num > 0, shape.den > 0 { parameters.pointee.sample_aspect_ratio = shape }
    stream.pointee.sample_aspect_ratio = parameters.pointee.sample_aspect_ratio
    if let language = RemuxStreams.language(track.source) {
      av_dict_set(&stream.pointee.metadata, "language", language, 0)
    }
    // Rotation, mastering display, content light.
    for position in 0..<Int(track.source.pointee.nb_side_data) {
      let side = track.source.pointee.side_data[position]
      guard let data = side.data, side.size > 0 else { continue }
      if let copy = av_stream_new_side_data(stream, side.type, side.size) {
        copy.update(from: data, count: side.size)
      }
    }
  }

  /// Writes a packet. One that the muxer will not have (damaged beyond parsing) is counted and left out.
  /// - Throws: when the output cannot be written.
  func write(_ packet: UnsafeMutablePointer<AVPacket>, track: Int, at place: TrackClock.Placement)
    throws(CodecError)
  {
    if tracks[track].source.pointee.codecpar.pointee.codec_id == AV_CODEC_ID_AV1,
      !AV1Packet.isWhole(UnsafeRawBufferPointer(start: packet.pointee.data, count: Int(packet.pointee.size)))
    {
      refused += 1
      return
    }
    packet.pointee.stream_index = Int32(track)
    packet.pointee.pts = place.presentation
    packet.pointee.dts = place.decode
    packet.pointee.duration = place.duration
    packet.pointee.pos = -1
    if let stream = context.pointee.streams[track] {
      // The muxer is free to choose another time base.
      let own = AVRational(num: 1, den: Int32(clamping: tracks[track].timescale))
      av_packet_rescale_ts(packet, own, stream.pointee.time_base)
    }
    let result = av_write_frame(context, packet)
    try check()
    if result == clibav_error_memory {
      throw CodecError(code: "no-memory", underlying: result, message: "libav ran out of memory.")
    }
    if result < 0 { refused += 1 } else { written[track] += 1 }
  }

  /// Writes `moov`.
  func finish() throws(CodecError) {
    let result = av_write_trailer(context)
    try check()
    guard result >= 0 else {
      throw CodecError(
        code: "muxer", underlying: result,
        message: "libav could not finish the MP4: \(Demuxer.text(of: result)).")
    }
  }

  private func check() throws(CodecError) {
    guard let error = output.failure else { return }
    throw CodecError(
      code: "write", underlying: -error,
      message: "The output could not be written: \(Demuxer.text(of: -error)).")
  }
}
