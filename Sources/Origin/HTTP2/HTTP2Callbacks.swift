// nghttp2's callbacks: each finds its connection and hands over what it was told

internal import CNGHTTP2
import Glibc

/// The memory that a loop lends to its HTTP/2 connections, for the length of one call.
final class HTTP2Shared {
  /// Up to here DATA frames are written. Behind it there is room for one more frame of another kind.
  static let dataLimitBytes = 64 << 10
  private static let bufferBytes = dataLimitBytes + (20 << 10)

  let table = HTTP2FieldTable()
  let frames = UnsafeMutableRawBufferPointer.allocate(byteCount: bufferBytes, alignment: 16)
  var frameBytes = 0

  deinit { frames.deallocate() }

  /// Puts a frame behind those that are there. False where it is larger than any frame that we send.
  func append(_ frame: UnsafeRawBufferPointer) -> Bool {
    guard frameBytes + frame.count <= frames.count, let source = frame.baseAddress else { return false }
    frames.baseAddress?.advanced(by: frameBytes).copyMemory(from: source, byteCount: frame.count)
    frameBytes += frame.count
    return true
  }
}

private func withConnection<Result>(_ data: UnsafeMutableRawPointer?, _ body: (HTTP2Connection) -> Result)
  -> Result?
{
  guard let data else { return nil }
  return Unmanaged<HTTP2Connection>.fromOpaque(data)._withUnsafeGuaranteedRef { body($0) }
}

private func isRequest(_ frame: UnsafePointer<nghttp2_frame>) -> Bool {
  UInt32(frame.pointee.hd.type) == NGHTTP2_HEADERS.rawValue
    && frame.pointee.headers.cat == NGHTTP2_HCAT_REQUEST
}

// nonisolated(unsafe): made once, and nghttp2 only reads it, at the start of each session.
nonisolated(unsafe) let http2Callbacks: OpaquePointer? = {
  var callbacks: OpaquePointer?
  guard nghttp2_session_callbacks_new(&callbacks) == 0 else { return nil }
  nghttp2_session_callbacks_set_on_begin_frame_callback(callbacks) { _, header, data in
    guard let header = header?.pointee else { return 0 }
    _ = withConnection(data) {
      $0.beganFrame(type: header.type, flags: header.flags, length: header.length, of: header.stream_id)
    }
    return 0
  }
  nghttp2_session_callbacks_set_on_begin_headers_callback(callbacks) { _, frame, data in
    guard let frame, isRequest(frame) else { return 0 }
    _ = withConnection(data) { $0.beganFields(of: frame.pointee.hd.stream_id) }
    return 0
  }
  nghttp2_session_callbacks_set_on_header_callback(callbacks) {
    _, frame, name, nameCount, value, valueCount, _, data in
    guard let frame, isRequest(frame) else { return 0 }
    _ = withConnection(data) {
      $0.received(
        name: UnsafeBufferPointer(start: name, count: nameCount),
        value: UnsafeBufferPointer(start: value, count: valueCount), of: frame.pointee.hd.stream_id)
    }
    return 0
  }
  // Without it a field that is malformed would be left out in silence.
  nghttp2_session_callbacks_set_on_invalid_header_callback(callbacks) { _, _, _, _, _, _, _, _ in
    Int32(NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE.rawValue)
  }
  nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks) { _, frame, data in
    guard let frame else { return 0 }
    let header = frame.pointee.hd
    let isLast = header.flags & UInt8(NGHTTP2_FLAG_END_STREAM.rawValue) != 0
    if isRequest(frame) {
      _ = withConnection(data) { $0.receivedFields(of: header.stream_id, isLast: isLast) }
    } else if isLast, header.type == NGHTTP2_DATA.rawValue || header.type == NGHTTP2_HEADERS.rawValue {
      _ = withConnection(data) { $0.receivedEnd(of: header.stream_id) }
    }
    return 0
  }
  nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks) { _, _, id, bytes, count, data in
    _ = withConnection(data) { $0.receivedData(UnsafeRawBufferPointer(start: bytes, count: count), of: id) }
    return 0
  }
  nghttp2_session_callbacks_set_on_frame_send_callback(callbacks) { _, frame, data in
    guard let frame else { return 0 }
    let header = frame.pointee.hd
    let code =
      UInt32(header.type) == NGHTTP2_RST_STREAM.rawValue ? frame.pointee.rst_stream.error_code : 0
    _ = withConnection(data) {
      $0.sentFrame(
        type: header.type, flags: header.flags, length: header.length, errorCode: code, of: header.stream_id)
    }
    return 0
  }
  nghttp2_session_callbacks_set_on_stream_close_callback(callbacks) { _, id, code, data in
    _ = withConnection(data) { $0.closed(id, errorCode: code) }
    return 0
  }
  nghttp2_session_callbacks_set_send_data_callback(callbacks) { _, frame, header, length, _, data in
    guard let frame, let header else { return Int32(NGHTTP2_ERR_CALLBACK_FAILURE.rawValue) }
    return withConnection(data) { connection in
      guard let stream = connection.stream(frame.pointee.hd.stream_id) else {
        return Int32(NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE.rawValue)
      }
      return connection.writeData(of: stream, header: header, length: length)
    } ?? Int32(NGHTTP2_ERR_CALLBACK_FAILURE.rawValue)
  }
  return callbacks
}()

// nonisolated(unsafe): as above.
nonisolated(unsafe) let http2Options: OpaquePointer? = {
  var options: OpaquePointer?
  guard nghttp2_option_new(&options) == 0 else { return nil }
  // Windows are given back when bytes are used: a body that is written to the disk slows its client down.
  nghttp2_option_set_no_auto_window_update(options, 1)
  // A client may change its mind about the urgency of a request (RFC 9218 §7.1).
  nghttp2_option_set_builtin_recv_extension_type(options, UInt8(NGHTTP2_PRIORITY_UPDATE.rawValue))
  return options
}()

/// How many bytes of a body go into the next frame.
func http2ReadBody(
  _ session: OpaquePointer?, _ id: Int32, _ buffer: UnsafeMutablePointer<UInt8>?, _ limit: Int,
  _ flags: UnsafeMutablePointer<UInt32>?, _ source: UnsafeMutablePointer<nghttp2_data_source>?,
  _ data: UnsafeMutableRawPointer?
) -> Int {
  withConnection(data) { connection in
    guard let stream = connection.stream(id) else {
      return Int(NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE.rawValue)
    }
    guard let count = stream.readyBytes(upTo: limit) else { return Int(NGHTTP2_ERR_DEFERRED.rawValue) }
    if count < 0 { return Int(NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE.rawValue) }
    flags?.pointee |= NGHTTP2_DATA_FLAG_NO_COPY.rawValue
    if stream.endsWith(count) { flags?.pointee |= NGHTTP2_DATA_FLAG_EOF.rawValue }
    return count
  } ?? Int(NGHTTP2_ERR_CALLBACK_FAILURE.rawValue)
}
