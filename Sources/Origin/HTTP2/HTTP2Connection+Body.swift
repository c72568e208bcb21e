// Bodies of requests on an HTTP/2 connection: windows, and the word to send one.

internal import CNGHTTP2

extension HTTP2Connection {
  /// Lets the client send as many bytes more.
  func giveBack(_ count: Int, of id: Int32) {
    if count > 0 { nghttp2_session_consume(session, id, count) }
  }

  /// The body is wanted (RFC 9110 §15.2.1).
  func sendContinue(_ id: Int32) {
    let name: StaticString = ":status"
    let value: StaticString = "100"
    var field = nghttp2_nv(
      name: UnsafeMutablePointer(mutating: name.utf8Start),
      value: UnsafeMutablePointer(mutating: value.utf8Start), namelen: name.utf8CodeUnitCount,
      valuelen: value.utf8CodeUnitCount, flags: UInt8(NGHTTP2_NV_FLAG_NONE.rawValue))
    nghttp2_submit_headers(session, UInt8(NGHTTP2_FLAG_NONE.rawValue), id, nil, &field, 1, nil)
  }
}
