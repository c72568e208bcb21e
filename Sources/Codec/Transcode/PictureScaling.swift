internal import CLibAV
internal import Packaging

/// Which filter brings pictures to the size of a rung.
///
/// Both libraries that can do it compute the same bicubic kernel (Keys, B = 0, C = 0.6). zimg is the one that rounds as it should, and
/// takes little more than half of the time; swscale takes every format and damage, and hands on untouched what has its size already.
enum PictureScaling {
  /// - Parameters:
  ///   - upright: width and height of what comes out, as a viewer sees it.
  ///   - format: libav's name of the pixel format that comes out.
  /// - Returns: what scales the pictures of the source, and turns them.
  static func stage(
    upright: (width: Int32, height: Int32), format: String, of request: TranscodeRequest
  ) throws(CodecError) -> FilterStage {
    let isTurned = request.rotationDegrees % 180 != 0
    let (width, height) = isTurned ? (upright.height, upright.width) : upright
    let turn =
      switch request.rotationDegrees {
      case 90: ",transpose=clock"
      case 180: ",hflip,vflip"
      case 270: ",transpose=cclock"
      default: ""
      }
    return try FilterStage(timescale: Int64(request.timescale)) { frame in
      filters(for: frame, width: width, height: height) + "\(turn),setsar=1,format=\(format)"
    }
  }

  /// - Parameters:
  ///   - width, height: of the rung, as its pictures come out of the decoder, before they are turned.
  /// - Returns: filters in libavfilter's notation, for frames of the size and format of this one.
  private static func filters(for frame: MediaFrame, width: Int32, height: Int32) -> String {
    guard isPlain(frame), frame.widthPixels != Int(width) || frame.heightPixels != Int(height),
      avfilter_get_by_name("zscale") != nil
    else { return "scale=\(width):\(height):flags=bicubic" }
    // What a picture says of its colour is no business of a change of size, and zimg refuses what contradicts itself. Chroma lies where
    // swscale takes it to lie, so that rungs of either are the same picture.
    return
      "setparams=field_mode=prog:range=limited:color_primaries=unknown:color_trc=unknown:colorspace=unknown"
      + ",zscale=w=\(width):h=\(height):filter=bicubic:param_a=0:param_b=0.6:chromalin=center:chromal=center"
  }

  /// Eight bits, 4:2:0, limited range, and a size that chroma divides.
  private static func isPlain(_ frame: MediaFrame) -> Bool {
    frame.format == AV_PIX_FMT_YUV420P && frame.pointer.pointee.color_range != AVCOL_RANGE_JPEG
      && frame.widthPixels % 2 == 0 && frame.heightPixels % 2 == 0
  }
}
