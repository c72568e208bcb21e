internal import CLibAV

/// Which filter brings pictures to the size of a rung.
///
/// Both libraries that can do it compute the same bicubic kernel (Keys, B = 0, C = 0.6). zimg is the one that rounds as it should, and
/// takes little more than half of the time; swscale takes every format and damage, and hands on untouched what has its size already.
enum PictureScaling {
  /// - Parameters:
  ///   - width, height: of the rung, as its pictures come out of the decoder, before they are turned.
  /// - Returns: filters in libavfilter's notation, for frames of the size and format of this one.
  static func filters(for frame: MediaFrame, width: Int32, height: Int32) -> String {
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
