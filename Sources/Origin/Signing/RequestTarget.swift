import HTTP

/// A URL as the server would see it in a request, for commands that talk about URLs without a server.
struct RequestTarget {
  /// With its port, empty for a path alone.
  let host: String
  /// Path and query as a request line has them.
  let target: String

  /// - Parameter url: absolute (`http://host/path`), or a path. A fragment is the client's own.
  init(_ url: String) {
    let url = url.split(separator: "#", omittingEmptySubsequences: false).first.map(String.init) ?? ""
    guard let scheme = url.firstRange(of: "://") else {
      host = ""
      target = url.hasPrefix("/") ? url : "/" + url
      return
    }
    let rest = url[scheme.upperBound...]
    guard let end = rest.firstIndex(where: { $0 == "/" || $0 == "?" }) else {
      host = String(rest)
      target = "/"
      return
    }
    host = String(rest[..<end])
    target = (rest[end] == "?" ? "/" : "") + rest[end...]
  }

  /// Calls `body` with the head of a GET request for the URL, or `refused` with why a server would not take it.
  func withHead<Result, Failure: Error>(
    refused: (RequestError?) -> Void = { _ in }, _ body: (borrowing RequestHead) throws(Failure) -> Result
  ) throws(Failure) -> Result? {
    let bytes = Array("GET \(target) HTTP/1.1\r\nHost: \(host.isEmpty ? "localhost" : host)\r\n\r\n".utf8)
    // The head is a view of these bytes, which must stay in place while it is used.
    let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: bytes.count, alignment: 16)
    defer { buffer.deallocate() }
    buffer.copyBytes(from: bytes)
    var head = RequestHead(limits: HTTPLimits())
    var progress = ParseProgress()
    switch head.parse(UnsafeRawBufferPointer(buffer), resuming: &progress) {
    case .complete(bytes.count): return try body(head)
    case .failed(let error): refused(error)
    case .complete, .incomplete: refused(nil)
    }
    return nil
  }
}
