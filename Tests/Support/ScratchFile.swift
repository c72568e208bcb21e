internal import Glibc

/// A file without a name that goes away with its descriptor.
public final class ScratchFile {
  public let descriptor: Int32

  /// - Precondition: the folder takes it.
  public init(_ bytes: [UInt8], folder: String = "/tmp") {
    var path = Array("\(folder)/headwater-XXXXXX\0".utf8CString)
    descriptor = mkstemp(&path)
    unlink(path)
    precondition(descriptor >= 0 && Glibc.write(descriptor, bytes, bytes.count) == bytes.count)
  }

  deinit { close(descriptor) }
}
