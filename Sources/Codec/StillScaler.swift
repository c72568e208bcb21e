internal import CLibAV
internal import Packaging

/// Brings decoded frames to the size, the turn and the colours of a still picture.
///
/// A picture in a file has the colours of JFIF: the matrix of BT.601, in full range for JPEG and in the range of television
/// for WebP, which says nothing about them. Frames say what they have; where one does not, a picture of 720 lines or more is
/// taken to be BT.709 and a smaller one BT.601, as players do. High dynamic range goes through `StillTone`.
final class StillScaler {
  private let format: AVPixelFormat
  private let turn: PictureTurn
  private let tone = StillTone()

  init(_ format: StillOrder.Format, turn: PictureTurn) {
    self.format = format == .jpeg ? AV_PIX_FMT_YUVJ420P : AV_PIX_FMT_YUV420P
    self.turn = turn
  }

  /// - Parameters:
  ///   - widthPixels: of the picture as it is shown, after the turn; even, like the height.
  func scale(_ frame: MediaFrame, widthPixels: Int, heightPixels: Int) throws(CodecError) -> MediaFrame {
    let width = turn.isTransposed ? heightPixels : widthPixels
    let height = turn.isTransposed ? widthPixels : heightPixels
    var source = frame
    if let curve = StillTone.Curve(frame.pointer.pointee.color_trc) {
      let linear = try convert(frame, width, height, AV_PIX_FMT_RGB48LE)
      source = try tone.map(linear, curve)
    }
    let scaled = try convert(source, width, height, format)
    return turn.isNone ? scaled : try turned(scaled)
  }

  private func convert(
    _ frame: MediaFrame, _ width: Int, _ height: Int, _ format: AVPixelFormat
  ) throws(CodecError) -> MediaFrame {
    let result = try MediaFrame(widthPixels: width, heightPixels: height, format: format)
    let shrinks = frame.widthPixels > width + width / 2
    let context = sws_getContext(
      frame.pointer.pointee.width, frame.pointer.pointee.height, frame.format, Int32(clamping: width),
      Int32(clamping: height), format, shrinks ? SWS_AREA : SWS_BICUBIC, nil, nil, nil)
    guard let context else {
      throw CodecError(
        code: "scale", underlying: 0, message: "The pixels of this picture can't be converted.")
    }
    defer { sws_freeContext(context) }
    let isFull = frame.pointer.pointee.color_range == AVCOL_RANGE_JPEG || frame.format == AV_PIX_FMT_YUVJ420P
    // 1 << 16 is no change of contrast and saturation. What is no YUV has no details: the result does not matter.
    _ = sws_setColorspaceDetails(
      context, sws_getCoefficients(Self.matrix(of: frame)), isFull ? 1 : 0,
      sws_getCoefficients(SWS_CS_ITU601),
      format == AV_PIX_FMT_YUV420P ? 0 : 1, 0, 1 << 16, 1 << 16)
    guard sws_scale_frame(context, result.pointer, frame.pointer) >= 0 else {
      throw CodecError(code: "scale", underlying: 0, message: "This picture could not be scaled.")
    }
    return result
  }

  private static func matrix(of frame: MediaFrame) -> Int32 {
    switch frame.pointer.pointee.colorspace {
    case AVCOL_SPC_BT709: SWS_CS_ITU709
    case AVCOL_SPC_BT470BG, AVCOL_SPC_SMPTE170M: SWS_CS_ITU601
    case AVCOL_SPC_FCC: SWS_CS_FCC
    case AVCOL_SPC_SMPTE240M: SWS_CS_SMPTE240M
    case AVCOL_SPC_BT2020_NCL, AVCOL_SPC_BT2020_CL: SWS_CS_BT2020
    default: frame.heightPixels >= 720 ? SWS_CS_ITU709 : SWS_CS_ITU601
    }
  }

  private func turned(_ frame: MediaFrame) throws(CodecError) -> MediaFrame {
    let width = turn.isTransposed ? frame.heightPixels : frame.widthPixels
    let height = turn.isTransposed ? frame.widthPixels : frame.heightPixels
    let result = try MediaFrame(widthPixels: width, heightPixels: height, format: frame.format)
    for number in 0..<3 {
      guard let source = frame.plane(number), let target = result.plane(number) else { throw .noMemory }
      let (columns, rows) = number == 0 ? (width, height) : (width / 2, height / 2)
      let (lastX, lastY) = turn.isTransposed ? (rows - 1, columns - 1) : (columns - 1, rows - 1)
      for row in 0..<rows {
        for column in 0..<columns {
          var (x, y) = turn.isTransposed ? (row, column) : (column, row)
          if turn.isXReversed { x = lastX - x }
          if turn.isYReversed { y = lastY - y }
          target.bytes[row * target.stride + column] = source.bytes[y * source.stride + x]
        }
      }
    }
    return result
  }
}
