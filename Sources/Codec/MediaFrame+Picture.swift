internal import CLibAV

extension MediaFrame {
  /// An empty picture, to be filled.
  convenience init(widthPixels: Int, heightPixels: Int, format: AVPixelFormat) throws(CodecError) {
    try self.init()
    pointer.pointee.width = Int32(clamping: widthPixels)
    pointer.pointee.height = Int32(clamping: heightPixels)
    pointer.pointee.format = format.rawValue
    guard av_frame_get_buffer(pointer, 0) >= 0 else { throw .noMemory }
  }

  /// Another one of the same picture, which is not copied.
  func reference() throws(CodecError) -> MediaFrame {
    let other = try MediaFrame()
    guard av_frame_ref(other.pointer, pointer) >= 0 else { throw .noMemory }
    return other
  }

  var widthPixels: Int { Int(pointer.pointee.width) }
  var heightPixels: Int { Int(pointer.pointee.height) }
  var format: AVPixelFormat { AVPixelFormat(pointer.pointee.format) }

  /// First byte and bytes a row of plane 0, 1 or 2.
  func plane(_ number: Int) -> (bytes: UnsafeMutablePointer<UInt8>, stride: Int)? {
    let frame = pointer.pointee
    switch number {
    case 0: return frame.data.0.map { ($0, Int(frame.linesize.0)) }
    case 1: return frame.data.1.map { ($0, Int(frame.linesize.1)) }
    case 2: return frame.data.2.map { ($0, Int(frame.linesize.2)) }
    default: return nil
    }
  }
}
