internal import CLibAV

/// What an audio stream says about itself before it is decoded.
public struct AudioDescription: Sendable, Equatable {
  public var streamIndex: Int
  /// libav's name of the coding, for example `ac3`.
  public var codecName: String
  public var sampleRateHertz: Int32
  public var channelCount: Int32
  /// Seconds of a tick of all times of this stream.
  public var secondsPerTick: Fraction
  /// First presentation time and length in ticks; nil where the container does not say.
  public var startTicks: Int64?
  public var durationTicks: Int64?
  /// As the container says it, mostly ISO 639-2; nil where it says nothing.
  public var language: String?
}

/// Decodes one audio stream, each frame with its exact time; what an encoder's delay or an edit list hides is left out.
///
/// Everything said of `VideoDecoder` holds: one descriptor, a demuxer that is told, limits, one thread.
public final class AudioDecoder {
  public let description: AudioDescription
  let decoder: StreamDecoder

  /// - Parameters:
  ///   - descriptor: open and seekable. It is only read; the caller closes it after the decoder is gone.
  ///   - demuxer: one of `DecodeLimits.demuxers`.
  ///   - stream: index of the stream; nil takes the one that players would choose.
  /// - Throws: as `VideoDecoder`.
  public convenience init(
    descriptor: Int32, demuxer: String, stream: Int? = nil, limits: DecodeLimits = DecodeLimits()
  ) throws(CodecError) {
    try self.init(limits.open(descriptor, demuxer), stream: stream, limits: limits)
  }

  /// - Parameter trackID: `track_ID` of an MP4, in place of `stream`.
  init(
    _ demuxer: Demuxer, stream: Int? = nil, trackID: UInt32? = nil, limits: DecodeLimits = DecodeLimits()
  ) throws(CodecError) {
    let streams = demuxer.streams
    let index = try demuxer.stream(stream, trackID: trackID, AVMEDIA_TYPE_AUDIO)
    let parameters = streams[index].pointee.codecpar.pointee
    guard (1...384_000).contains(parameters.sample_rate), (1...64).contains(parameters.ch_layout.nb_channels)
    else {
      throw CodecError(
        code: "no-stream", underlying: 0, message: "The audio stream does not tell its rate or channels.")
    }
    description = AudioDescription(
      streamIndex: index, codecName: RemuxStreams.codecName(streams[index]),
      sampleRateHertz: parameters.sample_rate, channelCount: parameters.ch_layout.nb_channels,
      secondsPerTick: Fraction(streams[index].pointee.time_base, orElse: Fraction(1, parameters.sample_rate)),
      startTicks: streams[index].pointee.startTicks, durationTicks: streams[index].pointee.durationTicks,
      language: RemuxStreams.language(streams[index]))
    decoder = try StreamDecoder(demuxer, index: index, limits: limits)
  }

  /// The next frame.
  /// - Returns: its presentation time in ticks; nil at the end of the stream.
  func next(into frame: MediaFrame) throws(CodecError) -> Int64? { try decoder.next(into: frame) }
}
