internal import CLibAV

/// A chain of libavfilter with one end for frames to go in and one for frames to come out, on the calling thread.
///
/// The chain is made for the first frame, and anew where frames change their size or format in mid-stream; what the old
/// one still held comes out before. Times of frames are ticks of `timescale` at both ends.
final class FilterStage {
  private let describe: (MediaFrame) -> String
  private var description = ""
  private let timescale: Int64
  private let isAudio: Bool
  /// Samples that a frame of sound is to hold; 0 leaves it to the filters.
  var frameSamples: UInt32 = 0
  private var graph: Graph?
  private let output: MediaFrame

  /// What a chain is made for.
  private struct Shape: Equatable {
    var format: Int32
    var width: Int32 = 0
    var height: Int32 = 0
    var sampleRate: Int32 = 0
    var channels: Int32 = 0
  }

  private final class Graph {
    var pointer: UnsafeMutablePointer<AVFilterGraph>?
    var source: UnsafeMutablePointer<AVFilterContext>?
    var sink: UnsafeMutablePointer<AVFilterContext>?
    let shape: Shape

    init(_ shape: Shape) throws(CodecError) {
      guard let pointer = avfilter_graph_alloc() else { throw .noMemory }
      pointer.pointee.nb_threads = 1
      self.pointer = pointer
      self.shape = shape
    }

    deinit { avfilter_graph_free(&pointer) }
  }

  /// - Parameter description: filters in libavfilter's notation.
  convenience init(_ description: String, timescale: Int64, isAudio: Bool = false) throws(CodecError) {
    try self.init(timescale: timescale, isAudio: isAudio) { _ in description }
  }

  /// - Parameter describe: the filters for frames like this one, in libavfilter's notation.
  init(
    timescale: Int64, isAudio: Bool = false, _ describe: @escaping (MediaFrame) -> String
  ) throws(CodecError) {
    self.describe = describe
    self.timescale = timescale
    self.isAudio = isAudio
    output = try MediaFrame()
  }

  /// Puts one frame in, which stays the caller's, and hands on what comes out; valid until `sink` returns.
  /// - Parameter frame: nil at the end of the stream.
  func push(_ frame: MediaFrame?, _ sink: (MediaFrame) throws(CodecError) -> Void) throws(CodecError) {
    if let frame {
      let fields = frame.pointer.pointee
      let shape =
        isAudio
        ? Shape(
          format: fields.format, sampleRate: fields.sample_rate, channels: fields.ch_layout.nb_channels)
        : Shape(format: fields.format, width: fields.width, height: fields.height)
      if graph?.shape != shape {
        try finish(sink)
        graph = try make(shape, like: frame)
      }
      guard let graph else { return }
      try check(av_buffersrc_add_frame_flags(graph.source, frame.pointer, Int32(AV_BUFFERSRC_FLAG_KEEP_REF)))
      try drain(graph, sink)
    } else {
      try finish(sink)
    }
  }

  private func finish(_ sink: (MediaFrame) throws(CodecError) -> Void) throws(CodecError) {
    guard let graph else { return }
    try check(av_buffersrc_add_frame_flags(graph.source, nil, 0))
    try drain(graph, sink)
    self.graph = nil
  }

  private func drain(_ graph: Graph, _ sink: (MediaFrame) throws(CodecError) -> Void) throws(CodecError) {
    while true {
      let result = av_buffersink_get_frame(graph.sink, output.pointer)
      if result == clibav_error_again || result == clibav_error_eof { return }
      try check(result)
      defer { av_frame_unref(output.pointer) }
      let base = av_buffersink_get_time_base(graph.sink)
      if output.pointer.pointee.pts != clibav_no_pts {
        output.pointer.pointee.pts = av_rescale_q(
          output.pointer.pointee.pts, base, AVRational(num: 1, den: Int32(clamping: timescale)))
      }
      try sink(output)
    }
  }

  private func make(_ shape: Shape, like frame: MediaFrame) throws(CodecError) -> Graph {
    let graph = try Graph(shape)
    description = describe(frame)
    let arguments: String
    if isAudio {
      arguments = Self.soundArguments(frame, timescale)
    } else {
      let pixel = frame.pointer.pointee.sample_aspect_ratio
      arguments =
        "video_size=\(shape.width)x\(shape.height):pix_fmt=\(shape.format):time_base=1/\(timescale)"
        + (pixel.num > 0 && pixel.den > 0 ? ":pixel_aspect=\(pixel.num)/\(pixel.den)" : "")
    }
    let prefix = isAudio ? "a" : ""
    try check(
      avfilter_graph_create_filter(
        &graph.source, avfilter_get_by_name("\(prefix)buffer"), "in", arguments, nil, graph.pointer))
    try check(
      avfilter_graph_create_filter(
        &graph.sink, avfilter_get_by_name("\(prefix)buffersink"), "out", nil, nil, graph.pointer))
    var inputs = avfilter_inout_alloc()
    var outputs = avfilter_inout_alloc()
    defer {
      avfilter_inout_free(&inputs)
      avfilter_inout_free(&outputs)
    }
    guard inputs != nil, outputs != nil else { throw .noMemory }
    outputs?.pointee.name = av_strdup("in")
    outputs?.pointee.filter_ctx = graph.source
    inputs?.pointee.name = av_strdup("out")
    inputs?.pointee.filter_ctx = graph.sink
    try check(avfilter_graph_parse_ptr(graph.pointer, description, &inputs, &outputs, nil))
    try check(avfilter_graph_config(graph.pointer, nil))
    if frameSamples > 0 { av_buffersink_set_frame_size(graph.sink, frameSamples) }
    return graph
  }

  private static func soundArguments(_ frame: MediaFrame, _ timescale: Int64) -> String {
    var layout = frame.pointer.pointee.ch_layout
    var plain = AVChannelLayout()
    // An order of channels that nobody stated is the usual one of their number.
    if layout.order == AV_CHANNEL_ORDER_UNSPEC {
      av_channel_layout_default(&plain, layout.nb_channels)
      layout = plain
    }
    let name = withUnsafeTemporaryAllocation(of: CChar.self, capacity: 256) { buffer -> String in
      buffer.initialize(repeating: 0)
      guard let start = buffer.baseAddress else { return "stereo" }
      av_channel_layout_describe(&layout, start, buffer.count)
      return String(cString: start)
    }
    return "time_base=1/\(timescale):sample_rate=\(frame.pointer.pointee.sample_rate)"
      + ":sample_fmt=\(frame.pointer.pointee.format):channel_layout=\(name)"
  }

  private func check(_ result: Int32) throws(CodecError) {
    guard result < 0 else { return }
    if result == clibav_error_memory { throw .noMemory }
    throw CodecError(
      code: "filter", underlying: result,
      message: "The filters \(description) failed: \(Demuxer.text(of: result)).")
  }
}
