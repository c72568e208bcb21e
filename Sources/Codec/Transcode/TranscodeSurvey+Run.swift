internal import CLibAV
public import Packaging

extension TranscodeSurvey {
  /// How many pictures are decoded to tell whether they are made of fields.
  private static let pictures = 24

  /// Looks at a file, and decodes the beginning of its picture; never throws, whatever the bytes are. To be called in a
  /// process of its own, behind `Sandbox`.
  ///
  /// - Parameters:
  ///   - input: open for reading, seekable.
  ///   - demuxer: one of `DecodeLimits.demuxers`.
  ///   - trackID: `track_ID` of the video track of an MP4; nil takes the one that players would show.
  public static func run(
    input: Int32, demuxer: String, trackID: UInt32?, limits: DecodeLimits = DecodeLimits()
  ) -> TranscodeSurvey {
    var survey = TranscodeSurvey()
    do throws(CodecError) {
      do throws(CodecError) {
        let decoder = try AudioDecoder(limits.open(input, demuxer), limits: limits)
        survey.audio = try Audio(decoder)
      } catch {
        // Sound that can't be decoded is left out; the picture decides.
        if ["input", "no-memory", "demuxer"].contains(error.code) { throw error }
        survey.warnings.append(RemuxReport.Remark(code: "sound-\(error.code)", message: error.message))
      }
      do throws(CodecError) {
        let decoder = try VideoDecoder(limits.open(input, demuxer), trackID: trackID, limits: limits)
        survey.video = try Video(decoder, pictures: pictures)
      } catch {
        guard error.code == "no-stream", survey.audio != nil else { throw error }
      }
    } catch {
      survey.failure = RemuxReport.Failure(error)
    }
    return survey
  }
}

extension TranscodeSurvey.Video {
  fileprivate init(_ decoder: VideoDecoder, pictures: Int) throws(CodecError) {
    let description = decoder.description
    let base = decoder.decoder.timeBase
    let timescale = RemuxSurvey.pictureTimescale(base)
    let frame = try MediaFrame()
    var first: Int64?
    var interlaced = 0
    var transfer = description.transfer
    for _ in 0..<pictures {
      guard let ticks = try decoder.next(into: frame) else { break }
      if first == nil { first = ticks }
      if frame.pointer.pointee.interlaced_frame != 0 { interlaced += 1 }
      if transfer == 2 { transfer = Int32(bitPattern: frame.pointer.pointee.color_trc.rawValue) }
      av_frame_unref(frame.pointer)
    }
    guard let first, let firstTicks = base.scale(first, to: timescale) else {
      throw CodecError(code: "decode", underlying: 0, message: "No picture of the file can be decoded.")
    }
    let size = description.displaySize
    let rate =
      description.framesPerSecond.numerator > 0 ? description.framesPerSecond : Fraction(25, 1)
    self.init(
      codecName: description.codecName, displayWidthPixels: size.width, displayHeightPixels: size.height,
      rotationDegrees: description.rotationDegrees, framesPerSecondNumerator: rate.numerator,
      framesPerSecondDenominator: rate.denominator, timescale: UInt32(clamping: timescale),
      firstTicks: firstTicks,
      durationTicks: description.durationTicks.flatMap { base.scale($0, to: timescale) },
      isInterlaced: interlaced > 0, isHDR: transfer == 16 || transfer == 18,
      colour: TranscodeColour(description))
  }
}

extension TranscodeSurvey.Audio {
  fileprivate init(_ decoder: AudioDecoder) throws(CodecError) {
    let frame = try MediaFrame()
    guard let first = try decoder.next(into: frame) else {
      throw CodecError(code: "decode", underlying: 0, message: "Nothing of the sound can be decoded.")
    }
    self.init(
      codecName: decoder.description.codecName, channelCount: decoder.description.channelCount,
      sampleRateHertz: decoder.description.sampleRateHertz,
      firstMicroseconds: decoder.decoder.timeBase.scale(first, to: 1_000_000) ?? 0,
      language: decoder.description.language)
  }
}
