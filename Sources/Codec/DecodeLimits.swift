internal import CLibAV

/// What a file may ask of a decoder. All of it is looked at before the first picture is decoded, and the size of each
/// picture again: a few hundred kilobytes can announce pictures that take gigabytes.
public struct DecodeLimits: Sendable, Equatable {
  /// Pixels of one picture, and of its longer side.
  public var pixels: Int64 = 50_000_000
  public var sidePixels: Int32 = 8192
  public var streams: Int32 = 64
  public var durationSeconds: Int64 = 4 * 3600

  public init() {}

  /// The containers that are decoded, by libav's names. Playlists and lists of files are not among them.
  public static let demuxers: Set<String> = [
    "mov", "matroska", "mpegts", "mpeg", "avi", "flv", "ogg", "mp3", "aac", "flac", "wav",
  ]

  /// libav's decoders that may touch bytes of strangers, in its own notation.
  static let decoders = [
    "h264,hevc,libdav1d,vp9,vp8,mpeg1video,mpeg2video,mpeg4,msmpeg4,h263,flv,mjpeg,prores,dnxhd,vc1,wmv3,theora",
    "aac,ac3,eac3,mp3float,mp3,mp2float,mp2,opus,vorbis,flac,alac,dca,truehd,wmav2",
    "pcm_s16le,pcm_s16be,pcm_s24le,pcm_s24be,pcm_s32le,pcm_s32be,pcm_f32le,pcm_f32be,pcm_u8,pcm_alaw,pcm_mulaw",
  ].joined(separator: ",")

  private static let decoderNames = Set(decoders.split(separator: ",").map(String.init))

  /// Opens a demuxer under these limits.
  func open(_ descriptor: Int32, _ demuxer: String) throws(CodecError) -> Demuxer {
    guard Self.demuxers.contains(demuxer) else {
      throw CodecError(
        code: "demuxer", underlying: 0,
        message: "\(demuxer) is none of \(Self.demuxers.sorted().joined(separator: ", ")).")
    }
    let opened = try Demuxer(
      descriptor: descriptor, demuxer: demuxer, decoders: Self.decoders, streams: streams, mostPixels: pixels)
    guard opened.streams.count <= Int(streams) else {
      throw CodecError(
        code: "too-large", underlying: 0,
        message: "The file has \(opened.streams.count) streams; the limit is \(streams).")
    }
    let seconds = opened.context.pointee.duration / Int64(AV_TIME_BASE)
    guard opened.context.pointee.duration == clibav_no_pts || seconds <= durationSeconds else {
      throw CodecError(
        code: "too-long", underlying: 0,
        message: "The file lasts \(seconds) seconds; the limit is \(durationSeconds).")
    }
    return opened
  }

  func checkPicture(_ width: Int32, _ height: Int32) throws(CodecError) {
    guard max(width, height) <= sidePixels, Int64(width) * Int64(height) <= pixels else {
      throw CodecError(
        code: "too-large", underlying: 0,
        message:
          "Pictures of \(width)×\(height) pixels are larger than the limits of \(sidePixels) a side and \(pixels) in all."
      )
    }
  }

  /// The decoder for a stream.
  static func decoder(for stream: UnsafeMutablePointer<AVStream>) throws(CodecError)
    -> UnsafePointer<AVCodec>
  {
    // Sample entries of Common Encryption keep their names where libav has looked through them.
    let isProtected = [clibav_tag_encv, clibav_tag_enca].contains(stream.pointee.codecpar.pointee.codec_tag)
    guard !isProtected, av_stream_get_side_data(stream, AV_PKT_DATA_ENCRYPTION_INIT_INFO, nil) == nil else {
      throw CodecError(
        code: "encrypted", underlying: 0, message: "The stream is encrypted; upload it in the clear.")
    }
    let id = stream.pointee.codecpar.pointee.codec_id
    guard let codec = avcodec_find_decoder(id), decoderNames.contains(String(cString: codec.pointee.name))
    else {
      throw CodecError(
        code: "no-decoder", underlying: 0,
        message: "\(RemuxStreams.codecName(stream)) is not decoded here; upload another coding.")
    }
    return codec
  }
}
