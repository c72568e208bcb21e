internal import CLibUV

/// A queued write: libuv's request and the bytes it sends, kept together until its callback.
final class WriteRequest {
  /// Bytes one request can carry.
  static let capacityBytes = 16384

  let raw = UnsafeMutablePointer<uv_write_t>.allocate(capacity: 1)
  let bytes = UnsafeMutableRawBufferPointer.allocate(byteCount: capacityBytes, alignment: 16)
  /// Set while the request is under way.
  var socket: Socket?
  var completion: ((Int32) -> Void)?

  deinit {
    raw.deallocate()
    bytes.deallocate()
  }
}

/// The write requests of a loop that wait for their next use.
///
/// A request exists per blocked socket at most times; up to `keptCount` of them (4 MiB) are kept for the next wave.
final class WriteRequestPool {
  static let keptCount = 256
  private var free: [WriteRequest] = []

  func take() -> WriteRequest {
    free.popLast() ?? WriteRequest()
  }

  func giveBack(_ request: WriteRequest) {
    if free.count < Self.keptCount { free.append(request) }
  }
}
