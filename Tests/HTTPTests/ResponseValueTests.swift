import Testing

@testable import HTTP

@Suite struct MultipartByteRangesTests {
  private func body(_ parts: MultipartByteRanges, of data: [UInt8]) -> [UInt8] {
    var body: [UInt8] = []
    for (index, range) in parts.ranges.enumerated() {
      body += parts.partHeader(at: index) + data[Int(range.lower)..<Int(range.upper)]
    }
    return body + parts.closing
  }

  @Test func frame() {
    let data = Array("0123456789abcdefghij".utf8)
    let parts = MultipartByteRanges(
      contentType: Array("text/plain".utf8).span, boundary: Array("B".utf8).span, totalLength: 20,
      ranges: [ByteRange(lower: 0, upper: 2), ByteRange(lower: 15, upper: 20)])
    let expected = """
      --B\r
      Content-Type: text/plain\r
      Content-Range: bytes 0-1/20\r
      \r
      01\r
      --B\r
      Content-Type: text/plain\r
      Content-Range: bytes 15-19/20\r
      \r
      fghij\r
      --B--\r

      """
    let body = body(parts, of: data)
    #expect(text(body) == expected)
    #expect(parts.contentLength == UInt64(body.count))
    #expect(text(parts.contentType) == "multipart/byteranges; boundary=B")
  }

  @Test func lengthIsExactForAnyRanges() {
    let seed: UInt64 = 0x5EED_0007
    var random = SplitMix64(seed: seed)
    let data = [UInt8](repeating: 1, count: 12_345)
    for _ in 0..<500 {
      let ranges = (0..<Int.random(in: 2...16, using: &random)).map { _ in
        let lower = UInt64.random(in: 0..<12_345, using: &random)
        return ByteRange(lower: lower, upper: UInt64.random(in: lower + 1...12_345, using: &random))
      }
      let boundary = MultipartByteRanges.boundary(etag: Array("\"v1\"".utf8).span, ranges: ranges)
      let parts = MultipartByteRanges(
        contentType: Array("video/mp4".utf8).span, boundary: boundary.span, totalLength: 12_345,
        ranges: ranges)
      #expect(parts.contentLength == UInt64(body(parts, of: data).count), "seed \(seed)")
    }
  }

  @Test func lengthSaturates() {
    let ranges = [ByteRange(lower: 0, upper: .max), ByteRange(lower: 0, upper: .max)]
    let parts = MultipartByteRanges(
      contentType: Array("a/b".utf8).span, boundary: Array("B".utf8).span, totalLength: .max, ranges: ranges)
    #expect(parts.contentLength == .max)
  }

  @Test func boundaryDependsOnItsArgumentsAlone() {
    func boundary(_ etag: String, _ ranges: (UInt64, UInt64)...) -> String {
      let ranges = ranges.map { ByteRange(lower: $0.0, upper: $0.1) }
      return text(MultipartByteRanges.boundary(etag: Array(etag.utf8).span, ranges: ranges))
    }
    let first = boundary("\"a\"", (0, 1), (5, 6))
    #expect(first == boundary("\"a\"", (0, 1), (5, 6)))
    let others = [
      boundary("\"b\"", (0, 1), (5, 6)), boundary("\"a\"", (5, 6), (0, 1)), boundary("\"a\"", (0, 1)),
      boundary("\"a\"", (0, 1), (5, 7)), boundary("", (0, 1), (5, 6)),
    ]
    #expect(Set(others + [first]).count == 6)
    #expect(first.utf8.count == 40)
    #expect(HeaderName.isValid(first.utf8))
  }
}

@Suite struct MediaTypeTests {
  @Test(arguments: [
    ("/v/a/master.m3u8", "application/vnd.apple.mpegurl"), ("/manifest.mpd", "application/dash+xml"),
    ("/init.mp4", "video/mp4"), ("/segment_0001.m4s", "video/iso.segment"), ("/s.ts", "video/mp2t"),
    ("/a.vtt", "text/vtt"), ("/poster.jpg", "image/jpeg"), ("/p.webp", "image/webp"),
    ("/a.json", "application/json"),
    ("/index.html", "text/html; charset=utf-8"), ("/a.js", "text/javascript; charset=utf-8"),
    ("/A.MP4", "video/mp4"), ("/a.b.c.M3U8", "application/vnd.apple.mpegurl"), ("/a.jpeg", "image/jpeg"),
    ("a.mp3", "audio/mpeg"), ("/x/a.m4a", "audio/mp4"), ("/a.woff2", "font/woff2"),
    ("/a.wasm", "application/wasm"),
    ("", "application/octet-stream"), ("/", "application/octet-stream"), ("/a", "application/octet-stream"),
    ("/a.", "application/octet-stream"), ("/.mp4", "application/octet-stream"),
    ("mp4", "application/octet-stream"),
    ("/a.mp4/b", "application/octet-stream"), ("/a.unknown", "application/octet-stream"),
    ("/a.extensionlong", "application/octet-stream"), ("/a.mp4x", "application/octet-stream"),
    ("/a.mp4/", "application/octet-stream"), (".mp4", "application/octet-stream"),
    ("/a.xmp4", "application/octet-stream"),
    ("/a.12345678mp4", "application/octet-stream"), ("/a.\u{0}mp4", "application/octet-stream"),
  ])
  func types(path: String, type: String) {
    let found = Array(path.utf8).withUnsafeBufferPointer { "\(MediaType.forPath($0.span))" }
    #expect(found == type)
  }
}

@Suite struct ProblemDocumentTests {
  private func document(_ status: UInt16, _ code: String, _ title: String, _ detail: [UInt8]) -> String {
    text(
      ProblemDocument.bytes(
        status: status, code: Array(code.utf8).span, title: Array(title.utf8).span, detail: detail.span))
  }

  @Test func document() {
    #expect(
      document(404, "asset-unknown", "Not Found", Array("There is no such asset.".utf8))
        == #"{"type":"about:blank","title":"Not Found","status":404,"detail":"There is no such asset.","code":"asset-unknown"}"#
        + "\n")
    #expect(
      document(403, "x", "Forbidden", [])
        == #"{"type":"about:blank","title":"Forbidden","status":403,"code":"x"}"# + "\n")
    #expect(
      text(ProblemDocument.bytes(RequestError(.requestLineTooLong)))
        == #"{"type":"about:blank","title":"URI Too Long","status":414,"detail":"The request line is too long.","code":"request-line-too-long"}"#
        + "\n")
  }

  @Test(arguments: [
    ("a\"b\\c", #""a\"b\\c""#), ("\r\n\t", #""\r\n\t""#), ("\u{0}\u{1F}\u{7F}", #""\u0000\u001F\u007F""#),
    ("</script>&", #""\u003C/script\u003E\u0026""#), ("é🎬", "\"é🎬\""), ("", "\"\""),
  ])
  func strings(value: String, json: String) {
    var output: [UInt8] = []
    ProblemDocument.appendString(Array(value.utf8).span, to: &output)
    #expect(text(output) == json)
  }

  @Test func bytesThatAreNotUTF8() {
    var output: [UInt8] = []
    ProblemDocument.appendString(([0x61, 0xFF, 0xC3, 0x62, 0xE2, 0x82] as [UInt8]).span, to: &output)
    #expect(text(output) == "\"a\u{FFFD}\u{FFFD}b\u{FFFD}\u{FFFD}\"")
  }
}

@Suite struct CacheControlTests {
  @Test(arguments: [
    (CacheControl(), ""), (CacheControl(noStore: true), "no-store"),
    (CacheControl(visibility: .public, noStore: true, maxAgeSeconds: 5, immutable: true), "no-store"),
    (
      CacheControl(visibility: .public, maxAgeSeconds: 31_536_000, immutable: true),
      "public, max-age=31536000, immutable"
    ),
    (
      CacheControl(
        visibility: .public, maxAgeSeconds: 60, sMaxAgeSeconds: 300, staleWhileRevalidateSeconds: 60,
        staleIfErrorSeconds: 86400),
      "public, max-age=60, s-maxage=300, stale-while-revalidate=60, stale-if-error=86400"
    ), (CacheControl(visibility: .private, maxAgeSeconds: 0, sMaxAgeSeconds: 5), "private, max-age=0"),
    (CacheControl(noCache: true, mustRevalidate: true), "no-cache, must-revalidate"),
    (CacheControl(maxAgeSeconds: .max), "max-age=4294967295"),
  ])
  func values(value: CacheControl, expected: String) {
    #expect(text(value.bytes) == expected)
    #expect(HeaderValue.isValid(value.bytes))
  }
}
