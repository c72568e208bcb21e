import Support
import Testing

/// Frames, and what a server must do about them. The substance of the cases of h2spec that are about servers, section by
/// section of RFC 9113 and RFC 7541.
private struct Conduct: Sendable, CustomTestStringConvertible {
  enum Expectation: Sendable {
    /// GOAWAY with one of these codes, or the end of the connection.
    case connectionError([UInt32])
    /// RST_STREAM of stream 1 (or of the one named) with one of these codes; also as a connection error.
    case streamError([UInt32], stream: UInt32 = 1)
    /// The connection goes on: a PING is answered.
    case nothing
    /// Stream 1 is answered with this status (one of those in HPACK's static table).
    case answer(Int)
  }

  var testDescription: String { name }
  let name: String
  let settings: [(UInt16, UInt32)]
  let frames: [HTTP2Frame]
  let expectation: Expectation

  init(
    _ name: String, _ frames: [HTTP2Frame], _ expectation: Expectation, settings: [(UInt16, UInt32)] = []
  ) {
    self.name = name
    self.frames = frames
    self.expectation = expectation
    self.settings = settings
  }
}

private let protocolError: UInt32 = 1
private let flowControlError: UInt32 = 3
private let streamClosed: UInt32 = 5
private let frameSizeError: UInt32 = 6
private let refusedStream: UInt32 = 7
private let compressionError: UInt32 = 9
private let enhanceYourCalm: UInt32 = 11

private typealias Frame = HTTP2Frame

private func with(_ changes: [(String, String)], without: [String] = []) -> [(String, String)] {
  Frame.get().filter { !without.contains($0.0) } + changes
}

private func headers(_ block: [UInt8], flags: UInt8 = Frame.endHeaders | Frame.endStream, stream: UInt32 = 1)
  -> Frame
{
  Frame(.headers, flags: flags, stream: stream, block)
}

private let post = with([("content-length", "10")], without: [":method"]).filter { $0.0 != "" }
private func upload(_ length: String, stream: UInt32 = 1) -> Frame {
  Frame.request(
    [
      (":method", "POST"), (":scheme", "http"), (":path", "/f/large.bin"), (":authority", "localhost"),
      ("content-length", length),
    ],
    stream: stream, endStream: false)
}

/// A stream that stays open, because none of its answer may be sent.
private let noWindow: [(UInt16, UInt32)] = [(4, 0)]
private let held = Frame.request(Frame.get("/f/large.bin"))

private let frameCases: [Conduct] = [
  // 4.1
  Conduct("a frame of an unknown type", [Frame(type: 0x16, [0, 0, 0, 0])], .nothing),
  Conduct("flags that mean nothing", [Frame(.ping, flags: 0x16, [UInt8](repeating: 0, count: 8))], .nothing),
  Conduct(
    "the reserved bit of a stream", [Frame(.ping, stream: 0x8000_0000, [UInt8](repeating: 0, count: 8))],
    .nothing),
  // 4.2
  Conduct(
    "DATA beyond the largest frame",
    [upload("20000"), Frame(.data, stream: 1, [UInt8](repeating: 0, count: 16_385))],
    .streamError([frameSizeError])),
  Conduct(
    "HEADERS beyond the largest frame", [headers([UInt8](repeating: 0x80, count: 16_385))],
    .connectionError([frameSizeError])),
  // 4.3
  Conduct(
    "fields that can't be decoded", [headers([0xBF, 0xFF, 0xFF, 0xFF])], .connectionError([compressionError])),
  Conduct(
    "PRIORITY inside of a block",
    [
      headers(Frame.block(Frame.get()), flags: Frame.endStream),
      Frame(.priority, stream: 1, [0, 0, 0, 0, 255]),
    ],
    .connectionError([protocolError])),
  Conduct(
    "HEADERS of another stream inside of a block",
    [headers(Frame.block(Frame.get()), flags: Frame.endStream), Frame.request(stream: 3)],
    .connectionError([protocolError])),
  Conduct(
    "an unknown frame inside of a block",
    [headers(Frame.block(Frame.get()), flags: Frame.endStream), Frame(type: 0x16, stream: 1)],
    .connectionError([protocolError])),
  // 5.1
  Conduct(
    "DATA on an idle stream", [Frame(.data, flags: 1, stream: 1, [1])],
    .connectionError([protocolError, streamClosed])),
  Conduct(
    "RST_STREAM on an idle stream", [Frame(.reset, stream: 1, Frame.word(8))],
    .connectionError([protocolError])),
  Conduct(
    "WINDOW_UPDATE on an idle stream", [Frame(.windowUpdate, stream: 1, Frame.word(8))],
    .connectionError([protocolError])),
  Conduct(
    "CONTINUATION on an idle stream", [Frame(.continuation, flags: 4, stream: 1)],
    .connectionError([protocolError])),
  Conduct(
    "DATA after the end", [held, Frame(.data, flags: 1, stream: 1, [1])], .streamError([streamClosed]),
    settings: noWindow),
  Conduct(
    "HEADERS after the end", [held, Frame.request()], .streamError([streamClosed]), settings: noWindow),
  Conduct(
    "CONTINUATION after the end", [held, Frame(.continuation, flags: 4, stream: 1)],
    .connectionError([streamClosed, protocolError]), settings: noWindow),
  Conduct(
    "HEADERS after a reset", [held, Frame(.reset, stream: 1, Frame.word(8)), Frame.request()],
    .connectionError([streamClosed, protocolError]), settings: noWindow),
  // 5.1.1
  Conduct("an even stream", [Frame.request(stream: 2)], .connectionError([protocolError])),
  Conduct(
    "a stream below the last", [Frame.request(stream: 5), Frame.request(stream: 3)],
    .connectionError([protocolError, streamClosed])),
  // 5.1.2
  Conduct(
    "one stream too many",
    (0...128).map { Frame.request(Frame.get("/f/large.bin"), stream: UInt32($0) * 2 + 1) },
    .streamError([refusedStream, protocolError], stream: 257), settings: noWindow),
  // 6.1
  Conduct("DATA on stream 0", [Frame(.data, stream: 0, [1])], .connectionError([protocolError])),
  Conduct(
    "padding longer than DATA", [upload("10"), Frame(.data, flags: Frame.padded, stream: 1, [200, 1, 2])],
    .connectionError([protocolError])),
  // 6.2
  Conduct("HEADERS on stream 0", [Frame.request(stream: 0)], .connectionError([protocolError])),
  Conduct(
    "padding longer than HEADERS",
    [headers([200] + Frame.block(Frame.get()).prefix(20), flags: Frame.endHeaders | Frame.padded)],
    .connectionError([protocolError])),
  Conduct(
    "HEADERS with padding", [headers([3] + Frame.block(Frame.get()) + [0, 0, 0], flags: 0xD)], .answer(200)),
  Conduct(
    "HEADERS with priority", [headers([0, 0, 0, 0, 15] + Frame.block(Frame.get()), flags: 0x25)], .answer(200)
  ),
  // 6.3
  Conduct(
    "PRIORITY on stream 0", [Frame(.priority, stream: 0, [0, 0, 0, 0, 1])], .connectionError([protocolError])),
  Conduct(
    "PRIORITY of four bytes", [Frame(.priority, stream: 1, [0, 0, 0, 1])], .streamError([frameSizeError])),
  Conduct(
    "PRIORITY on an idle stream", [Frame(.priority, stream: 1, [0, 0, 0, 0, 1]), Frame.request()],
    .answer(200)),
  // 6.4
  Conduct(
    "RST_STREAM on stream 0", [Frame(.reset, stream: 0, Frame.word(8))], .connectionError([protocolError])),
  Conduct(
    "RST_STREAM of three bytes", [held, Frame(.reset, stream: 1, [0, 0, 8])],
    .connectionError([frameSizeError]),
    settings: noWindow),
  Conduct(
    "RST_STREAM with an unknown code", [held, Frame(.reset, stream: 1, Frame.word(0xFF))], .nothing,
    settings: noWindow),
  // 6.5
  Conduct(
    "an acknowledgement that says something", [Frame(.settings, flags: 1, [0])],
    .connectionError([frameSizeError])),
  Conduct(
    "SETTINGS on a stream", [Frame(.settings, stream: 1, [0, 3, 0, 0, 0, 100])],
    .connectionError([protocolError])),
  Conduct("SETTINGS of five bytes", [Frame(.settings, [0, 3, 0, 0, 0])], .connectionError([frameSizeError])),
  Conduct("ENABLE_PUSH of 2", [HTTP2Client.settings([(2, 2)])], .connectionError([protocolError])),
  Conduct(
    "a window beyond 2^31", [HTTP2Client.settings([(4, 0x8000_0000)])], .connectionError([flowControlError])),
  Conduct(
    "frames below the least size", [HTTP2Client.settings([(5, 16_383)])], .connectionError([protocolError])),
  Conduct(
    "frames above the largest size", [HTTP2Client.settings([(5, 1 << 24)])], .connectionError([protocolError])
  ),
  Conduct("a setting of no meaning", [HTTP2Client.settings([(0xFF, 1)])], .nothing),
  // 6.6
  Conduct(
    "PUSH_PROMISE by a client",
    [Frame(.pushPromise, flags: 4, stream: 1, Frame.word(2) + Frame.block(Frame.get()))],
    .connectionError([protocolError])),
  // 6.7
  Conduct("PING that answers nothing", [Frame(.ping, flags: 1, [UInt8](repeating: 7, count: 8))], .nothing),
  Conduct(
    "PING on a stream", [Frame(.ping, stream: 1, [UInt8](repeating: 0, count: 8))],
    .connectionError([protocolError])),
  Conduct("PING of six bytes", [Frame(.ping, [0, 0, 0, 0, 0, 0])], .connectionError([frameSizeError])),
  // 6.8
  Conduct(
    "GOAWAY on a stream", [Frame(.goAway, stream: 1, Frame.word(0) + Frame.word(0))],
    .connectionError([protocolError])),
  // 6.9
  Conduct(
    "WINDOW_UPDATE by 0", [Frame(.windowUpdate, stream: 0, Frame.word(0))], .connectionError([protocolError])),
  Conduct(
    "WINDOW_UPDATE of a stream by 0", [held, Frame(.windowUpdate, stream: 1, Frame.word(0))],
    .streamError([protocolError]), settings: noWindow),
  Conduct(
    "WINDOW_UPDATE of three bytes", [Frame(.windowUpdate, stream: 0, [0, 0, 1])],
    .connectionError([frameSizeError])),
  Conduct(
    "a window that overflows", [1, 2].map { _ in Frame(.windowUpdate, stream: 0, Frame.word(0x7FFF_FFFF)) },
    .connectionError([flowControlError])),
  Conduct(
    "a stream's window that overflows",
    [held] + [1, 2].map { _ in Frame(.windowUpdate, stream: 1, Frame.word(0x7FFF_FFFF)) },
    .streamError([flowControlError]), settings: noWindow),
  // 6.10
  Conduct(
    "CONTINUATION after the end of a block",
    [Frame.request(), Frame(.continuation, flags: 4, stream: 1, Frame.block([("a", "b")]))],
    .connectionError([protocolError, streamClosed])),
  Conduct(
    "CONTINUATION on stream 0",
    [
      headers(Frame.block(Frame.get()), flags: 1),
      Frame(.continuation, flags: 4, stream: 0, Frame.block([("a", "b")])),
    ],
    .connectionError([protocolError])),
  Conduct(
    "DATA before CONTINUATION", [headers(Frame.block(Frame.get()), flags: 1), Frame(.data, stream: 1, [1])],
    .connectionError([protocolError])),
  Conduct(
    "a block in three frames",
    [
      headers(Array(Frame.block(Frame.get())[..<10]), flags: 1),
      Frame(.continuation, stream: 1, Array(Frame.block(Frame.get())[10..<20])),
      Frame(.continuation, flags: 4, stream: 1, Array(Frame.block(Frame.get())[20...])),
    ], .answer(200)),
]

private let fieldCases: [Conduct] = [
  // 8.1
  Conduct(
    "a second HEADERS without the end", [upload("10"), Frame.request([("a", "b")], endStream: false)],
    .streamError([protocolError])),
  Conduct(
    "a pseudo-header in trailers", [upload("0"), Frame.request([(":method", "GET")])],
    .streamError([protocolError])),
  Conduct(
    "a body longer than its length", [upload("2"), Frame(.data, flags: 1, stream: 1, [1, 2, 3])],
    .streamError([protocolError])),
  Conduct(
    "a body shorter than its length", [upload("9"), Frame(.data, flags: 1, stream: 1, [1, 2, 3])],
    .streamError([protocolError])),
  Conduct(
    "a body in frames that add up to another length",
    [upload("9"), Frame(.data, stream: 1, [1, 2, 3]), Frame(.data, flags: 1, stream: 1, [1])],
    .streamError([protocolError])),
  Conduct(
    "no body where a length was said", [Frame.request(with([("content-length", "5")]))],
    .streamError([protocolError])),
  Conduct(
    "two lengths", [Frame.request(with([("content-length", "0"), ("content-length", "1")]))],
    .streamError([protocolError])),
  // 8.2
  Conduct("a name in upper case", [Frame.request(with([("X-Test", "ok")]))], .streamError([protocolError])),
  Conduct("a name with a space", [Frame.request(with([("x test", "ok")]))], .streamError([protocolError])),
  Conduct("a name with a colon", [Frame.request(with([("x:test", "ok")]))], .streamError([protocolError])),
  Conduct("an empty name", [Frame.request(with([("", "ok")]))], .streamError([protocolError])),
  Conduct(
    "a value with a line end", [Frame.request(with([("x-test", "a\r\nb: c")]))], .streamError([protocolError])
  ),
  Conduct("a value with NUL", [Frame.request(with([("x-test", "a\0")]))], .streamError([protocolError])),
  Conduct(
    "a value that begins with a space", [Frame.request(with([("x-test", " a")]))],
    .streamError([protocolError])),
  Conduct("Connection", [Frame.request(with([("connection", "keep-alive")]))], .streamError([protocolError])),
  Conduct("Keep-Alive", [Frame.request(with([("keep-alive", "1")]))], .streamError([protocolError])),
  Conduct(
    "Proxy-Connection", [Frame.request(with([("proxy-connection", "close")]))], .streamError([protocolError])),
  Conduct("Upgrade", [Frame.request(with([("upgrade", "h2c")]))], .streamError([protocolError])),
  Conduct(
    "Transfer-Encoding", [Frame.request(with([("transfer-encoding", "chunked")]))],
    .streamError([protocolError])),
  Conduct("TE of gzip", [Frame.request(with([("te", "gzip")]))], .streamError([protocolError])),
  Conduct("TE of trailers", [Frame.request(with([("te", "trailers")]))], .answer(200)),
  // 8.3
  Conduct(
    "an unknown pseudo-header", [Frame.request(with([(":test", "ok")]))], .streamError([protocolError])),
  Conduct(
    "a pseudo-header of answers", [Frame.request(with([(":status", "200")]))], .streamError([protocolError])),
  Conduct(
    "a pseudo-header behind a field", [Frame.request([("x-test", "ok")] + Frame.get())],
    .streamError([protocolError])),
  Conduct("no method", [Frame.request(with([], without: [":method"]))], .streamError([protocolError])),
  Conduct("no scheme", [Frame.request(with([], without: [":scheme"]))], .streamError([protocolError])),
  Conduct("no path", [Frame.request(with([], without: [":path"]))], .streamError([protocolError])),
  Conduct(
    "an empty path", [Frame.request(with([(":path", "")], without: [":path"]))], .streamError([protocolError])
  ),
  Conduct("two methods", [Frame.request([(":method", "GET")] + Frame.get())], .streamError([protocolError])),
  Conduct("two schemes", [Frame.request([(":scheme", "http")] + Frame.get())], .streamError([protocolError])),
  Conduct("two paths", [Frame.request([(":path", "/")] + Frame.get())], .streamError([protocolError])),
  Conduct(
    "two authorities", [Frame.request([(":authority", "a")] + Frame.get())], .streamError([protocolError])),
  Conduct(
    "a path that is a URL", [Frame.request(with([(":path", "http://a/")], without: [":path"]))],
    .streamError([protocolError])),
  Conduct(
    "neither authority nor host", [Frame.request(with([], without: [":authority"]))],
    .streamError([protocolError])),
  Conduct(
    "a host instead of an authority", [Frame.request(with([("host", "localhost")], without: [":authority"]))],
    .answer(200)),
  Conduct("a host that is not the authority", [Frame.request(with([("host", "other.test")]))], .answer(400)),
  Conduct("a path above the root", [Frame.request(Frame.get("/../x"))], .answer(400)),
  Conduct("a path with an escape cut short", [Frame.request(Frame.get("/f/%2"))], .answer(400)),
  Conduct("nothing there", [Frame.request(Frame.get("/f/none"))], .answer(404)),
  Conduct("a body that nobody wants", [upload("2"), Frame(.data, flags: 1, stream: 1, [1, 2])], .nothing),
]

private let compressionCases: [Conduct] = [
  // RFC 7541 2.3.3, 4.2, 5.2, 6.1, 6.3
  Conduct("index 0", [headers([0x80])], .connectionError([compressionError])),
  Conduct("an index beyond the tables", [headers([0xFF, 0x00])], .connectionError([compressionError])),
  Conduct(
    "a literal with a name beyond the tables", [headers([0x7F, 0x00, 0x01, 0x61])],
    .connectionError([compressionError])),
  Conduct(
    "a table larger than agreed", [headers([0x3F, 0xE2, 0x1F] + Frame.block(Frame.get()))],
    .connectionError([compressionError])),
  Conduct(
    "a size of the table behind fields", [headers(Frame.block(Frame.get()) + [0x20])],
    .connectionError([compressionError])),
  Conduct(
    "padding of eight bits", [headers([0x00, 0x83, 0xFF, 0xFF, 0xFF, 0x01, 0x61])],
    .connectionError([compressionError])),
  Conduct(
    "padding of zeros", [headers([0x00, 0x81, 0x00, 0x01, 0x61])], .connectionError([compressionError])),
  Conduct(
    "a number without an end", [headers([0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF])],
    .connectionError([compressionError])),
  Conduct("a text that is cut off", [headers([0x00, 0x7F, 0x61])], .connectionError([compressionError])),
]

extension EndToEnd {
  /// What a server must do about frames, on raw sockets.
  @Suite(
    .served { server in
      try server.putFile("small.txt", server.folder.write("small.txt", text: "small"))
      try server.putFile("large.bin", server.folder.write("large.bin", [UInt8](repeating: 7, count: 3 << 20)))
    })
  struct HTTP2ConformanceTests {
    @Test(arguments: frameCases) fileprivate func frames(_ conduct: Conduct) throws { try judge(conduct) }
    @Test(arguments: fieldCases) fileprivate func fields(_ conduct: Conduct) throws { try judge(conduct) }
    @Test(arguments: compressionCases) fileprivate func compression(_ conduct: Conduct) throws {
      try judge(conduct)
    }

    private func judge(_ conduct: Conduct) throws {
      let server = try Served.server
      let client = try HTTP2Client(port: server.port, settings: conduct.settings)
      try client.send(conduct.frames)
      switch conduct.expectation {
      case .connectionError(let codes):
        let end = try client.first { $0.kind == .goAway }
        #expect(end == nil || codes.contains(end?.errorCode ?? 0), "code \(end?.errorCode ?? 0)")
        #expect(try client.first { _ in false } == nil, "and then it closes")
      case .streamError(let codes, let stream):
        let end = try client.first { $0.kind == .goAway || $0.kind == .reset && $0.stream == stream }
        #expect(codes.contains(try #require(end).errorCode ?? 0), "code \(end?.errorCode ?? 0)")
      case .nothing:
        let word: [UInt8] = [1, 2, 3, 4, 5, 6, 7, 8]
        try client.send([Frame(.ping, word)])
        let end = try client.first { $0.kind == .goAway || $0.kind == .ping && $0.payload == word }
        #expect(end?.kind == .ping && end?.flags == Frame.acknowledgement)
      case .answer(let status):
        let head = try client.first { $0.stream == 1 && $0.kind != .windowUpdate }
        let indexes = [200: 0x88, 204: 0x89, 206: 0x8A, 304: 0x8B, 400: 0x8C, 404: 0x8D, 500: 0x8E]
        #expect(head?.kind == .headers && head?.payload.first.map { Int($0) } == indexes[status])
      }
      #expect(server.isRunning)
    }

    // MARK: - Beginning and settings

    @Test(arguments: [
      HTTP2Client.preface.dropLast(2) + [0x58, 0x58],
      HTTP2Client.preface + HTTP2Frame(.ping, [0, 0, 0, 0, 0, 0, 0, 0]).bytes,
    ]) func aBeginningThatIsNone(_ bytes: [UInt8]) throws {
      let client = try HTTP2Client(port: Served.server.port, settings: nil)
      try client.send(bytes: bytes)
      let end = try client.first { $0.kind == .goAway }
      #expect(end == nil || end?.errorCode == protocolError)
    }

    @Test func thePrefaceMayComeInPieces() throws {
      let client = try HTTP2Client(port: Served.server.port, settings: nil)
      for byte in HTTP2Client.preface + HTTP2Client.settings([]).bytes + Frame.request().bytes {
        try client.send(bytes: [byte])
      }
      #expect(try client.first { $0.kind == .headers }?.stream == 1)
    }

    @Test func settingsAreSaidAndAcknowledged() throws {
      let client = try HTTP2Client(port: Served.server.port)
      let first = try #require(try client.next())
      #expect(first.kind == .settings && first.flags == 0, "the first frame of a server")
      // MAX_CONCURRENT_STREAMS
      #expect(first.payload.starts(with: [0, 3, 0, 0, 0, 128]))
      #expect(try client.first { $0.kind == .settings }?.flags == Frame.acknowledgement)
    }

    // MARK: - Windows

    /// As much is sent as the windows allow, and not a byte more.
    @Test func windowsHoldDataBack() throws {
      let client = try HTTP2Client(port: Served.server.port, settings: [(4, 1)])
      try client.send([Frame.request(Frame.get("/f/large.bin"))])
      func data() throws -> Int { try client.first { $0.kind == .data }?.payload.count ?? -1 }
      #expect(try data() == 1)
      try client.send([Frame(.windowUpdate, stream: 1, Frame.word(10))])
      #expect(try data() == 10)
      // A larger initial window counts for streams that are open (RFC 9113 §6.9.2), a smaller one below zero too.
      try client.send([HTTP2Client.settings([(4, 101)])])
      #expect(try data() == 100)
      try client.send([HTTP2Client.settings([(4, 1)]), Frame(.windowUpdate, stream: 1, Frame.word(105))])
      #expect(try data() == 5)
      // The connection's own window: 65,535 in all, 116 of them used.
      try client.send([Frame(.windowUpdate, stream: 1, Frame.word(1 << 20))])
      var count = 116
      while count < 65_535 { count += try data() }
      #expect(count == 65_535)
      try client.send([Frame(.windowUpdate, stream: 0, Frame.word(7))])
      #expect(try data() == 7)
    }

    /// Of two answers that could be sent, the more urgent one is, whichever was asked for first (RFC 9218).
    @Test func urgentAnswersGoFirst() throws {
      let client = try HTTP2Client(port: Served.server.port, settings: [(4, 1 << 20)])
      // The connection's window is taken up by the first stream; what it gets later is for the urgent one.
      try client.send([
        Frame.request(
          with([(":path", "/f/large.bin"), ("priority", "u=5")], without: [":path"]).sorted { $0.0 < $1.0 })
      ])
      var count = 0
      while count < 65_535 { count += try client.first { $0.kind == .data }?.payload.count ?? 65_535 }
      try client.send([
        Frame.request(
          with([(":path", "/f/large.bin"), ("priority", "u=1")], without: [":path"]).sorted { $0.0 < $1.0 },
          stream: 3)
      ])
      #expect(try client.first { $0.kind == .headers }?.stream == 3)
      try client.send([Frame(.windowUpdate, stream: 0, Frame.word(30_000))])
      #expect(try client.first { $0.kind == .data }?.stream == 3)
    }

    @Test func aThousandRequestsAreTheLast() throws {
      let client = try HTTP2Client(port: Served.server.port)
      var answered = 0
      var last: HTTP2Frame?
      for number in 0..<1001 {
        try client.send([Frame.request(stream: UInt32(number) * 2 + 1)])
        let frame = try client.first {
          if $0.kind == .goAway { last = $0 }
          return $0.flags & Frame.endStream != 0 && ($0.kind == .data || $0.kind == .headers)
        }
        guard frame != nil else { break }
        answered += 1
      }
      #expect(answered == 1000)
      #expect(last?.errorCode == 0 && last?.payload.starts(with: Frame.word(1999)) == true)
    }
  }
}
