internal import CLibAV
internal import Packaging

/// Decodes single pictures out of coded samples that were picked by somebody who knows the container.
///
/// One thread, since the sandbox has no other. Limits on the size of a picture act in libav before it allocates one.
final class StillDecoder {
  private let context: UnsafeMutablePointer<AVCodecContext>
  private let packet: UnsafeMutablePointer<AVPacket>

  /// - Parameters:
  ///   - configuration: as `StillOrder.configurationBytes` says.
  ///   - isCoarse: leaves out the loop filter.
  init(
    _ coding: StillOrder.Coding, configuration: UnsafeRawBufferPointer, isCoarse: Bool
  ) throws(CodecError) {
    guard let decoder = Self.names(of: coding).lazy.compactMap({ avcodec_find_decoder_by_name($0) }).first,
      let context = avcodec_alloc_context3(decoder)
    else {
      throw CodecError(
        code: "decoder", underlying: 0, message: "This build of libav has no decoder for \(coding.rawValue).")
    }
    var doomed: UnsafeMutablePointer<AVCodecContext>? = context
    context.pointee.thread_count = 1
    context.pointee.max_pixels = Int64(StillOrder.Limits.framePixels)
    // A film that begins at a recovery point, or has a damaged slice, still shows something.
    context.pointee.flags |= AV_CODEC_FLAG_OUTPUT_CORRUPT
    context.pointee.flags2 |= AV_CODEC_FLAG2_SHOW_ALL
    if isCoarse { context.pointee.skip_loop_filter = AVDISCARD_ALL }
    if configuration.count > 0, let source = configuration.baseAddress {
      guard let extra = av_mallocz(configuration.count + Int(AV_INPUT_BUFFER_PADDING_SIZE)) else {
        avcodec_free_context(&doomed)
        throw .noMemory
      }
      extra.copyMemory(from: source, byteCount: configuration.count)
      context.pointee.extradata = extra.assumingMemoryBound(to: UInt8.self)
      context.pointee.extradata_size = Int32(clamping: configuration.count)
    }
    let opened = avcodec_open2(context, decoder, nil)
    guard opened >= 0, let packet = av_packet_alloc() else {
      avcodec_free_context(&doomed)
      throw CodecError(
        code: "decoder", underlying: opened,
        message: "The decoder for \(coding.rawValue) does not take this configuration.")
    }
    self.context = context
    self.packet = packet
  }

  deinit {
    var doomedPacket: UnsafeMutablePointer<AVPacket>? = packet
    av_packet_free(&doomedPacket)
    var doomed: UnsafeMutablePointer<AVCodecContext>? = context
    avcodec_free_context(&doomed)
  }

  private static func names(of coding: StillOrder.Coding) -> [String] {
    switch coding {
    case .h264: ["h264"]
    case .hevc: ["hevc"]
    // The one named `av1` needs hardware.
    case .av1: ["libdav1d", "libaom-av1"]
    case .vp9: ["vp9", "libvpx-vp9"]
    }
  }

  /// The wanted picture; nil where its samples give none, or one that is larger than allowed.
  ///
  /// - Parameter bytes: the samples of the picture, one after the other.
  func decode(_ picture: StillOrder.Picture, _ bytes: UnsafeRawBufferPointer) throws(CodecError)
    -> MediaFrame?
  {
    avcodec_flush_buffers(context)
    var found: MediaFrame?
    var offset = 0
    for (number, sample) in picture.samples.enumerated() {
      let part = UnsafeRawBufferPointer(rebasing: bytes[offset..<offset + Int(sample.sizeBytes)])
      offset += part.count
      // What nothing refers to is left out, but for the last one, which is the wanted picture.
      context.pointee.skip_frame =
        number + 1 == picture.samples.count ? AVDISCARD_DEFAULT : AVDISCARD_NONREF
      guard av_new_packet(packet, Int32(clamping: part.count)) >= 0 else { throw .noMemory }
      defer { av_packet_unref(packet) }
      if let source = part.baseAddress, let target = packet.pointee.data {
        UnsafeMutableRawPointer(target).copyMemory(from: source, byteCount: part.count)
      }
      packet.pointee.pts = sample.ticks
      packet.pointee.dts = clibav_no_pts
      if number == 0 { packet.pointee.flags |= AV_PKT_FLAG_KEY }
      var sent = avcodec_send_packet(context, packet)
      if sent == clibav_error_again {
        try receive(wanted: picture.wantedTicks, into: &found)
        sent = avcodec_send_packet(context, packet)
      }
      if sent == clibav_error_memory { throw .noMemory }
      try receive(wanted: picture.wantedTicks, into: &found)
    }
    _ = avcodec_send_packet(context, nil)
    try receive(wanted: picture.wantedTicks, into: &found)
    return found
  }

  /// Takes what is ready, and keeps the frame that comes nearest to the wanted one from before.
  private func receive(wanted: Int64, into found: inout MediaFrame?) throws(CodecError) {
    while true {
      let frame = try MediaFrame()
      guard avcodec_receive_frame(context, frame.pointer) >= 0 else { return }
      guard let best = found?.pointer.pointee.pts else {
        found = frame
        continue
      }
      let ticks = frame.pointer.pointee.pts
      if ticks <= wanted, ticks > best || best > wanted { found = frame }
    }
  }
}
