internal import CLibAV

/// Structural similarity of pictures to what they were made from, by libavfilter's `ssim`, on the calling thread.
///
/// Pictures come in pairs of one size and format; the mean over luma and chroma, weighted by their sizes, is between -1 and 1, and 1
/// where both are the same.
final class SimilarityStage {
  private var graph: UnsafeMutablePointer<AVFilterGraph>?
  private var sources: [UnsafeMutablePointer<AVFilterContext>?] = [nil, nil]
  private var sink: UnsafeMutablePointer<AVFilterContext>?
  private let output: MediaFrame
  private var pairs: Int64 = 0
  private var sum = 0.0
  private var count = 0

  init(like frame: MediaFrame) throws(CodecError) {
    output = try MediaFrame()
    graph = avfilter_graph_alloc()
    guard let graph else { throw .noMemory }
    graph.pointee.nb_threads = 1
    let fields = frame.pointer.pointee
    let arguments =
      "video_size=\(fields.width)x\(fields.height):pix_fmt=\(fields.format):time_base=1/1:pixel_aspect=1/1"
    var filter: UnsafeMutablePointer<AVFilterContext>?
    try check(
      avfilter_graph_create_filter(&filter, avfilter_get_by_name("ssim"), "ssim", nil, nil, graph))
    try check(
      avfilter_graph_create_filter(&sink, avfilter_get_by_name("buffersink"), "out", nil, nil, graph))
    for number in 0..<2 {
      try check(
        avfilter_graph_create_filter(
          &sources[number], avfilter_get_by_name("buffer"), "in\(number)", arguments, nil, graph))
      try check(avfilter_link(sources[number], 0, filter, UInt32(number)))
    }
    try check(avfilter_link(filter, 0, sink, 0))
    try check(avfilter_graph_config(graph, nil))
  }

  deinit { avfilter_graph_free(&graph) }

  /// Takes one pair. The times of both frames are changed.
  func compare(_ coded: MediaFrame, _ original: MediaFrame) throws(CodecError) {
    for (source, frame) in zip(sources, [coded, original]) {
      frame.pointer.pointee.pts = pairs
      try check(av_buffersrc_add_frame_flags(source, frame.pointer, Int32(AV_BUFFERSRC_FLAG_KEEP_REF)))
    }
    pairs += 1
    try drain()
  }

  /// The mean over all pairs; nil without any. Nothing is compared after it.
  func mean() throws(CodecError) -> Double? {
    for source in sources { try check(av_buffersrc_add_frame_flags(source, nil, 0)) }
    try drain()
    return count > 0 ? sum / Double(count) : nil
  }

  private func drain() throws(CodecError) {
    while true {
      let result = av_buffersink_get_frame(sink, output.pointer)
      if result == clibav_error_again || result == clibav_error_eof { return }
      try check(result)
      defer { av_frame_unref(output.pointer) }
      guard let entry = av_dict_get(output.pointer.pointee.metadata, "lavfi.ssim.All", nil, 0),
        let value = Double(String(cString: entry.pointee.value))
      else { continue }
      sum += value
      count += 1
    }
  }

  private func check(_ result: Int32) throws(CodecError) {
    guard result < 0 else { return }
    if result == clibav_error_memory { throw .noMemory }
    throw CodecError(
      code: "filter", underlying: result, message: "Pictures can't be compared: \(Demuxer.text(of: result)).")
  }
}
