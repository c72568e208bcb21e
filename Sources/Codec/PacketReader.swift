internal import CLibAV

/// Why libav could not do what was asked.
public struct CodecError: Error, Sendable, Equatable {
  /// Stable codes: `open`, `stream-info`, `no-memory`, `read`, `input`, `demuxer`, `muxer`, `write`; of decoding
  /// `no-stream`, `no-decoder`, `encrypted`, `too-large`, `too-long`, `seek`, `decode`; of encoding `filter`, `encoder`,
  /// `encode`, `key-frames`.
  public var code: String
  /// libav's error number (negative), 0 where there is none.
  public var underlying: Int32
  /// What was tried and what libav says about it.
  public var message: String
}

/// One stream of a demuxed file.
public struct MediaStream: Sendable, Equatable {
  public var index: Int
  public var isVideo: Bool
  public var isAudio: Bool
  /// libav's name of the coding, for example `h264`.
  public var codecName: String
  /// Seconds of one tick of its packets' times, as a fraction.
  public var timeBaseNumerator: Int32
  public var timeBaseDenominator: Int32
  public var widthPixels: Int32
  public var heightPixels: Int32
  public var sampleRateHertz: Int32
  public var channelCount: Int32
  /// CICP transfer characteristics, 2 where not known.
  public var transferCharacteristics: Int32
}

/// One packet: a coded frame and its times, in ticks of its stream's time base.
public struct MediaPacket: Sendable, Equatable {
  public var streamIndex: Int
  /// nil where the demuxer gives no time.
  public var presentationTicks: Int64?
  public var decodeTicks: Int64?
  public var durationTicks: Int64
  public var sizeBytes: Int
  /// Offset in the file, -1 where the demuxer gives none.
  public var position: Int64
  public var isKey: Bool
  /// The edit list hides the packet; it is there because others need it.
  public var isDiscarded: Bool
}

/// Reads packets with libav, through one forced demuxer and one descriptor.
///
/// libav never opens anything by itself here: bytes come from the descriptor, and every further open that a demuxer asks
/// for is refused, so that a playlist in disguise cannot name local files. Runs in jobs and tests, never in the server.
public final class PacketReader {
  private let demuxer: Demuxer
  public let streams: [MediaStream]

  /// Opens what the descriptor holds.
  ///
  /// - Parameters:
  ///   - descriptor: an open, seekable descriptor. It is only read; the caller closes it, after the reader is gone.
  ///   - demuxer: libav's short name of the container, for example `mov`, `matroska` or `mpegts`.
  public init(descriptor: Int32, demuxer: String) throws(CodecError) {
    self.demuxer = try Demuxer(descriptor: descriptor, demuxer: demuxer)
    streams = self.demuxer.streams.enumerated().map { Self.describe($1.pointee, index: $0) }
  }

  /// The next packet in the order of the file's interleaving, nil at the end.
  public func next() throws(CodecError) -> MediaPacket? {
    var packet = av_packet_alloc()
    guard let current = packet else {
      throw CodecError(code: "no-memory", underlying: 0, message: "libav could not allocate a packet.")
    }
    defer { av_packet_free(&packet) }
    guard try demuxer.read(into: current) else { return nil }
    let fields = current.pointee
    return MediaPacket(
      streamIndex: Int(fields.stream_index),
      presentationTicks: fields.pts == clibav_no_pts ? nil : fields.pts,
      decodeTicks: fields.dts == clibav_no_pts ? nil : fields.dts, durationTicks: fields.duration,
      sizeBytes: Int(fields.size), position: fields.pos, isKey: fields.flags & AV_PKT_FLAG_KEY != 0,
      isDiscarded: fields.flags & AV_PKT_FLAG_DISCARD != 0)
  }

  private static func describe(_ stream: AVStream, index: Int) -> MediaStream {
    let parameters = stream.codecpar.pointee
    return MediaStream(
      index: index, isVideo: parameters.codec_type == AVMEDIA_TYPE_VIDEO,
      isAudio: parameters.codec_type == AVMEDIA_TYPE_AUDIO,
      codecName: String(cString: avcodec_get_name(parameters.codec_id)),
      timeBaseNumerator: stream.time_base.num,
      timeBaseDenominator: stream.time_base.den, widthPixels: parameters.width,
      heightPixels: parameters.height,
      sampleRateHertz: parameters.sample_rate, channelCount: parameters.ch_layout.nb_channels,
      transferCharacteristics: Int32(bitPattern: UInt32(parameters.color_trc.rawValue)))
  }
}
