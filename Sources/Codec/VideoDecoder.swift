internal import CLibAV

/// What a video stream says about itself before it is decoded.
public struct VideoDescription: Sendable, Equatable {
  public var streamIndex: Int
  /// libav's name of the coding, for example `h264`.
  public var codecName: String
  /// Coded size in pixels, before pixel aspect and rotation.
  public var widthPixels: Int32
  public var heightPixels: Int32
  /// Shape of a pixel, width to height; 1:1 where the file says nothing.
  public var pixelAspect: Fraction
  /// By how much the picture is to be turned clockwise to stand upright: 0, 90, 180 or 270.
  public var rotationDegrees: Int32
  /// Mean frame rate; 0/1 where it is not known.
  public var framesPerSecond: Fraction
  /// Seconds of a tick of all times of this stream.
  public var secondsPerTick: Fraction
  /// First presentation time and length in ticks; nil where the container does not say.
  public var startTicks: Int64?
  public var durationTicks: Int64?
  /// The coding says that pictures are made of two fields.
  public var isInterlaced: Bool
  /// CICP code points (ITU-T H.273), 2 where not known.
  public var primaries: Int32
  public var transfer: Int32
  public var matrix: Int32
  public var isFullRange: Bool
  public var bitsPerComponent: Int32

  /// Perceptual quantiser or hybrid log-gamma.
  public var isHDR: Bool { transfer == 16 || transfer == 18 }

  /// Size to show in square pixels, upright.
  public var displaySize: (width: Int32, height: Int32) {
    let wide = Int64(widthPixels) * Int64(pixelAspect.numerator)
    let width = Int32(
      clamping: max(1, (wide + Int64(pixelAspect.denominator) / 2) / Int64(pixelAspect.denominator)))
    return rotationDegrees % 180 == 0 ? (width, heightPixels) : (heightPixels, width)
  }
}

/// A fraction of whole numbers; the denominator is positive.
public struct Fraction: Sendable, Equatable, Codable {
  public var numerator: Int32
  public var denominator: Int32

  public init(_ numerator: Int32, _ denominator: Int32) {
    self.numerator = numerator
    self.denominator = denominator
  }

  init(_ value: AVRational, orElse other: Fraction = Fraction(0, 1)) {
    self = value.num > 0 && value.den > 0 ? Fraction(value.num, value.den) : other
  }
}

/// Decodes the pictures of one video stream, in order of presentation, each with its exact time.
///
/// Bytes come from one descriptor, through the demuxer that our own probe has told; nothing else is opened. Limits are
/// checked before the first picture is decoded. One thread. Runs in job processes, never in the server.
///
///     let decoder = try VideoDecoder(descriptor: 3, demuxer: "mov")
///     try decoder.seek(to: ticks)                      // key frame at or before
///     while let ticks = try decoder.next(into: frame) { … }
public final class VideoDecoder {
  public let description: VideoDescription
  let decoder: StreamDecoder
  private let limits: DecodeLimits

  /// - Parameters:
  ///   - descriptor: open and seekable. It is only read; the caller closes it after the decoder is gone.
  ///   - demuxer: one of `DecodeLimits.demuxers`.
  ///   - stream: index of the stream; nil takes the one that players would show.
  /// - Throws: `demuxer`, `open`, `stream-info`, `too-large`, `too-long`, `no-stream`, `no-decoder`, `encrypted`,
  ///   `no-memory`, `input`.
  public convenience init(
    descriptor: Int32, demuxer: String, stream: Int? = nil, limits: DecodeLimits = DecodeLimits()
  ) throws(CodecError) {
    try self.init(limits.open(descriptor, demuxer), stream: stream, limits: limits)
  }

  /// - Parameter trackID: `track_ID` of an MP4, in place of `stream`.
  init(
    _ demuxer: Demuxer, stream: Int? = nil, trackID: UInt32? = nil, limits: DecodeLimits = DecodeLimits()
  ) throws(CodecError) {
    let index = try demuxer.stream(stream, trackID: trackID, AVMEDIA_TYPE_VIDEO)
    description = Self.describe(demuxer.streams[index], index, demuxer)
    self.limits = limits
    try limits.checkPicture(description.widthPixels, description.heightPixels)
    decoder = try StreamDecoder(demuxer, index: index, limits: limits)
  }

  /// Goes to the key frame that is shown at or before a time; the next picture is that, or where pictures that precede
  /// it in presentation can be decoded, one of those.
  ///
  /// - Parameter ticks: presentation time in ticks of the stream.
  /// - Throws: `seek`, `read`, `input`.
  public func seek(to ticks: Int64) throws(CodecError) { try decoder.seek(to: ticks) }

  /// Decodes key frames alone from now on; the others cost nothing but their reading.
  public func skipToKeyFrames() { decoder.skip(AVDISCARD_NONKEY) }

  /// The next picture.
  /// - Returns: its presentation time in ticks; nil at the end of the stream.
  /// - Throws: `decode` where nothing of the stream can be decoded, `too-large`, `no-memory`, `input`.
  func next(into frame: MediaFrame) throws(CodecError) -> Int64? {
    guard let ticks = try decoder.next(into: frame) else { return nil }
    try limits.checkPicture(frame.pointer.pointee.width, frame.pointer.pointee.height)
    return ticks
  }

  private static func describe(
    _ stream: UnsafeMutablePointer<AVStream>, _ index: Int, _ demuxer: Demuxer
  ) -> VideoDescription {
    let parameters = stream.pointee.codecpar.pointee
    let format = av_pix_fmt_desc_get(AVPixelFormat(rawValue: parameters.format))
    let fields: [AVFieldOrder] = [AV_FIELD_TT, AV_FIELD_BB, AV_FIELD_TB, AV_FIELD_BT]
    let rate = av_guess_frame_rate(demuxer.context, stream, nil)
    let mean = stream.pointee.avg_frame_rate
    return VideoDescription(
      streamIndex: index, codecName: RemuxStreams.codecName(stream), widthPixels: parameters.width,
      heightPixels: parameters.height,
      pixelAspect: Fraction(
        av_guess_sample_aspect_ratio(demuxer.context, stream, nil), orElse: Fraction(1, 1)),
      rotationDegrees: rotation(stream),
      framesPerSecond: Fraction(mean.num > 0 ? mean : rate),
      secondsPerTick: Fraction(stream.pointee.time_base, orElse: Fraction(1, 90_000)),
      startTicks: stream.pointee.startTicks, durationTicks: stream.pointee.durationTicks,
      isInterlaced: fields.contains(parameters.field_order),
      primaries: Int32(bitPattern: parameters.color_primaries.rawValue),
      transfer: Int32(bitPattern: parameters.color_trc.rawValue),
      matrix: Int32(bitPattern: parameters.color_space.rawValue),
      isFullRange: parameters.color_range == AVCOL_RANGE_JPEG,
      bitsPerComponent: format.map { $0.pointee.comp.0.depth } ?? 8)
  }

  /// From the display matrix, to the nearest quarter turn.
  private static func rotation(_ stream: UnsafeMutablePointer<AVStream>) -> Int32 {
    var size = 0
    guard let data = av_stream_get_side_data(stream, AV_PKT_DATA_DISPLAYMATRIX, &size), size >= 36 else {
      return 0
    }
    let matrix = UnsafeRawPointer(data).assumingMemoryBound(to: Int32.self)
    // libav counts against the clock; a matrix without inverse is no number.
    let degrees = av_display_rotation_get(matrix)
    guard degrees.isFinite else { return 0 }
    let turns = Int32((-degrees / 90).rounded())
    return ((turns % 4 + 4) % 4) * 90
  }
}
