internal import CLibAV
internal import Packaging

/// Which streams of a source become tracks, which subtitles, and why the others do not.
///
/// What is kept is what browsers and televisions play from an MP4 as it is. Everything else would have to be decoded and
/// encoded again. Of a multiplex of several programmes, the first that has pictures is taken.
struct RemuxStreams {
  /// Codings that MP4 carries and players play.
  static let video: [AVCodecID] = [
    AV_CODEC_ID_H264, AV_CODEC_ID_HEVC, AV_CODEC_ID_AV1, AV_CODEC_ID_VP9,
  ]
  static let audio: [AVCodecID] = [
    AV_CODEC_ID_AAC, AV_CODEC_ID_AC3, AV_CODEC_ID_EAC3, AV_CODEC_ID_FLAC, AV_CODEC_ID_OPUS, AV_CODEC_ID_MP3,
    AV_CODEC_ID_ALAC,
  ]
  static let text: [(AVCodecID, RemuxReport.Subtitles.Format)] = [
    (AV_CODEC_ID_SUBRIP, .subrip), (AV_CODEC_ID_ASS, .ass), (AV_CODEC_ID_WEBVTT, .webvtt),
    (AV_CODEC_ID_MOV_TEXT, .movText),
  ]
  /// libav may run these to learn the parameters of a stream: the decoders of what is kept, no other.
  static let decoders = "h264,hevc,libdav1d,av1,vp9,aac,ac3,eac3,flac,opus,mp3float,mp3,alac"
  /// Tracks of one output. `MediaLimits.tracks` is the same.
  static let mostTracks = 64
  /// Streams of one source, of which libav would make any number.
  static let mostStreams: Int32 = 256

  /// Indexes of the streams that become tracks if they turn out to carry packets.
  private(set) var tracks: [Int] = []
  private(set) var subtitles: [(index: Int, format: RemuxReport.Subtitles.Format)] = []
  private(set) var leftOut: [RemuxReport.LeftOut] = []

  init(_ demuxer: Demuxer) {
    let program = Self.program(of: demuxer)
    for (index, stream) in demuxer.streams.enumerated() {
      if let program, !program.contains(index) {
        leaveOut(
          index, stream, "other-program", "The stream belongs to another programme; the first is kept.")
      } else {
        sort(index, stream)
      }
    }
  }

  private mutating func sort(_ index: Int, _ stream: UnsafeMutablePointer<AVStream>) {
    let codec = stream.pointee.codecpar.pointee.codec_id
    let name = Self.codecName(stream)
    if stream.pointee.disposition & AV_DISPOSITION_ATTACHED_PIC != 0 {
      leaveOut(index, stream, "attached-picture", "The stream is a cover picture, not video.")
    } else if Self.isEncrypted(stream) {
      leaveOut(index, stream, "encrypted", "The stream is encrypted; upload it in the clear.")
    } else if Self.video.contains(codec) || Self.audio.contains(codec) {
      if tracks.count < Self.mostTracks {
        tracks.append(index)
      } else {
        leaveOut(index, stream, "too-many-streams", "Only \(Self.mostTracks) streams of a file are kept.")
      }
    } else if let format = Self.text.first(where: { $0.0 == codec })?.1 {
      if subtitles.count < Self.mostTracks {
        subtitles.append((index, format))
      } else {
        leaveOut(index, stream, "too-many-streams", "Only \(Self.mostTracks) subtitles of a file are kept.")
      }
    } else {
      switch stream.pointee.codecpar.pointee.codec_type {
      case AVMEDIA_TYPE_VIDEO, AVMEDIA_TYPE_AUDIO:
        leaveOut(index, stream, "codec", "Players do not play \(name) from MP4: it needs transcoding.")
      case AVMEDIA_TYPE_SUBTITLE:
        leaveOut(
          index, stream, "bitmap-subtitles", "Subtitles as \(name) are no text, and cannot become WebVTT.")
      default:
        leaveOut(index, stream, "data", "The stream is neither video nor audio nor subtitles.")
      }
    }
  }

  private mutating func leaveOut(
    _ index: Int, _ stream: UnsafeMutablePointer<AVStream>, _ code: String, _ message: String
  ) {
    leftOut.append(Self.leftOut(index, stream, code, message))
  }

  static func leftOut(
    _ index: Int, _ stream: UnsafeMutablePointer<AVStream>, _ code: String, _ message: String
  ) -> RemuxReport.LeftOut {
    RemuxReport.LeftOut(
      streamIndex: index, kind: kind(stream), codecName: codecName(stream),
      language: language(stream),
      reason: RemuxReport.Remark(code: code, message: message))
  }

  /// The streams of the programme that is kept; nil where there is no choice.
  private static func program(of demuxer: Demuxer) -> Set<Int>? {
    let context = demuxer.context.pointee
    guard context.nb_programs > 1 else { return nil }
    let programs = (0..<Int(context.nb_programs)).compactMap { context.programs[$0] }.map { program in
      Set((0..<Int(program.pointee.nb_stream_indexes)).map { Int(program.pointee.stream_index[$0]) })
    }
    let streams = demuxer.streams
    func has(_ kind: AVMediaType, in program: Set<Int>) -> Bool {
      program.contains { $0 < streams.count && streams[$0].pointee.codecpar.pointee.codec_type == kind }
    }
    return programs.first { has(AVMEDIA_TYPE_VIDEO, in: $0) }
      ?? programs.first { has(AVMEDIA_TYPE_AUDIO, in: $0) }
  }

  private static func isEncrypted(_ stream: UnsafeMutablePointer<AVStream>) -> Bool {
    av_stream_get_side_data(stream, AV_PKT_DATA_ENCRYPTION_INIT_INFO, nil) != nil
  }

  // MARK: - Names

  static func codecName(_ stream: UnsafeMutablePointer<AVStream>) -> String {
    let parameters = stream.pointee.codecpar.pointee
    return parameters.codec_id == AV_CODEC_ID_NONE
      ? "unknown" : String(cString: avcodec_get_name(parameters.codec_id))
  }

  private static func kind(_ stream: UnsafeMutablePointer<AVStream>) -> String {
    av_get_media_type_string(stream.pointee.codecpar.pointee.codec_type).map { String(cString: $0) }
      ?? "unknown"
  }

  /// The language as the container says it; nil where it says none, or that it is not determined.
  static func language(_ stream: UnsafeMutablePointer<AVStream>) -> String? {
    tag("language", stream, most: 35).flatMap { $0 == "und" ? nil : $0 }
  }

  /// A tag of the stream, cut to `most` characters; nil where it is absent or empty.
  static func tag(_ name: String, _ stream: UnsafeMutablePointer<AVStream>, most: Int) -> String? {
    guard let entry = av_dict_get(stream.pointee.metadata, name, nil, 0), let value = entry.pointee.value
    else {
      return nil
    }
    let text = String(String(cString: value).prefix(most))
    return text.isEmpty ? nil : text
  }
}
