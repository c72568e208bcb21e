internal import CLibAV

extension AVStream {
  /// First presentation time and length in ticks; nil where the container does not say.
  var startTicks: Int64? { start_time == clibav_no_pts ? nil : start_time }
  var durationTicks: Int64? { duration == clibav_no_pts ? nil : duration }
}

/// An open libav demuxer over one descriptor.
///
/// The container is told by the caller, never guessed by libav, and libav opens nothing by itself: bytes come from the
/// descriptor, and every further open that a demuxer asks for is refused, so that a playlist in disguise cannot name
/// local files.
final class Demuxer {
  let context: UnsafeMutablePointer<AVFormatContext>
  let input: DescriptorIO

  /// - Parameters:
  ///   - descriptor: open and seekable. It is only read; the caller closes it, after the demuxer is gone.
  ///   - demuxer: libav's short name of the container, for example `mov`, `matroska` or `mpegts`.
  ///   - decoders: names of the decoders, with commas between, that libav may run to tell the streams apart; nil: all.
  ///   - streams: libav fails at more streams than this.
  ///   - mostPixels: of a picture; a decoder that is run to tell the streams apart refuses more. nil: no limit.
  init(
    descriptor: Int32, demuxer: String, decoders: String? = nil, streams: Int32 = 1000,
    mostPixels: Int64? = nil
  ) throws(CodecError) {
    guard let format = av_find_input_format(demuxer) else {
      throw CodecError(code: "demuxer", underlying: 0, message: "libav has no demuxer named \(demuxer).")
    }
    guard let input = DescriptorIO(descriptor: descriptor, isWritable: false),
      let allocated = avformat_alloc_context()
    else {
      throw CodecError(code: "no-memory", underlying: 0, message: "libav could not allocate its contexts.")
    }
    allocated.pointee.pb = input.context
    allocated.pointee.flags |= AVFMT_FLAG_CUSTOM_IO
    allocated.pointee.io_open = { _, _, _, _, _ in clibav_error_permission }
    allocated.pointee.max_streams = streams
    if let decoders { allocated.pointee.codec_whitelist = av_strdup(decoders) }

    var options: OpaquePointer?
    defer { av_dict_free(&options) }
    // A recording in which the table of a programme changes goes on with the same streams.
    av_dict_set(&options, "merge_pmt_versions", "1", 0)
    var opened: UnsafeMutablePointer<AVFormatContext>? = allocated
    // On failure libav frees the context and leaves the input to its owner.
    let result = avformat_open_input(&opened, nil, format, &options)
    guard result >= 0, let opened else {
      throw Self.failure(result, "open", "libav could not open the file as \(demuxer)", input)
    }
    let found = Self.findStreams(opened, mostPixels: mostPixels)
    guard found >= 0 else {
      var doomed: UnsafeMutablePointer<AVFormatContext>? = opened
      avformat_close_input(&doomed)
      throw Self.failure(found, "stream-info", "libav could not tell the streams", input)
    }
    context = opened
    self.input = input
  }

  deinit {
    var doomed: UnsafeMutablePointer<AVFormatContext>? = context
    avformat_close_input(&doomed)
  }

  private static func findStreams(
    _ opened: UnsafeMutablePointer<AVFormatContext>, mostPixels: Int64?
  ) -> Int32 {
    guard let mostPixels else { return avformat_find_stream_info(opened, nil) }
    var options = [OpaquePointer?](repeating: nil, count: Int(opened.pointee.nb_streams))
    for index in options.indices { av_dict_set(&options[index], "max_pixels", String(mostPixels), 0) }
    defer { for index in options.indices { av_dict_free(&options[index]) } }
    return avformat_find_stream_info(opened, &options)
  }

  /// The streams that are known now; reading on may add some.
  var streams: [UnsafeMutablePointer<AVStream>] {
    (0..<Int(context.pointee.nb_streams)).compactMap { context.pointee.streams[$0] }
  }

  /// The index of a stream of a kind: by its place, by the id that its container gives it, or else of the one that players
  /// would choose.
  ///
  /// - Throws: `no-stream` where there is none, or where it is of another kind or an attached picture.
  func stream(_ index: Int?, trackID: UInt32?, _ kind: AVMediaType) throws(CodecError) -> Int {
    let streams = streams
    let found =
      if let index {
        index
      } else if let trackID {
        streams.firstIndex { $0.pointee.id == Int32(bitPattern: trackID) } ?? -1
      } else {
        Int(av_find_best_stream(context, kind, -1, -1, nil, 0))
      }
    guard streams.indices.contains(found), streams[found].pointee.codecpar.pointee.codec_type == kind,
      streams[found].pointee.disposition & AV_DISPOSITION_ATTACHED_PIC == 0
    else {
      let word = av_get_media_type_string(kind).map { String(cString: $0) } ?? "such"
      throw CodecError(code: "no-stream", underlying: 0, message: "The file has no \(word) stream to decode.")
    }
    return found
  }

  /// Takes the next packet in the order of the file's interleaving.
  /// - Parameter packet: empty; the caller unreferences it.
  /// - Returns: false at the end.
  func read(into packet: UnsafeMutablePointer<AVPacket>) throws(CodecError) -> Bool {
    let result = av_read_frame(context, packet)
    if result == clibav_error_eof { return false }
    guard result >= 0 else {
      throw Self.failure(result, "read", "libav could not read the next packet", input)
    }
    return true
  }

  /// - Throws: `input` where a system call failed: libav takes a failing disk for the end of the file.
  func checkInput() throws(CodecError) {
    if let error = input.failure { throw Self.failure(-error, "input", "The input could not be read", input) }
  }

  /// What failed: the disk or the memory, which libav takes for a broken file, or else the file.
  private static func failure(
    _ result: Int32, _ code: String, _ what: String, _ input: DescriptorIO
  ) -> CodecError {
    let error = input.failure.map { -$0 } ?? result
    let isMemory = error == clibav_error_memory
    return CodecError(
      code: input.failure != nil ? "input" : isMemory ? "no-memory" : code, underlying: error,
      message: "\(what): \(text(of: error)).")
  }

  /// What libav says about an error number.
  static func text(of error: Int32) -> String {
    withUnsafeTemporaryAllocation(of: CChar.self, capacity: 128) { buffer in
      buffer.initialize(repeating: 0)
      guard let start = buffer.baseAddress else { return "" }
      av_strerror(error, start, buffer.count)
      return String(cString: start)
    }
  }
}
