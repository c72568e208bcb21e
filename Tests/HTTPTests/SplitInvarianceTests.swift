import Testing

@testable import HTTP

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// Requests of many kinds: well-formed, refused, and not finished.
private let corpus: [String] = [
  get("/"), get("/v/a/g/0123456789ab/720p/segment_0001.m4s?expires=1&kid=k&sig=abc"),
  "\r\n\r\n" + get("/a"), "\r\n\r\n\r\n" + get("/a"), "\r\nX", "\rX", "\nX", get("/a/./../%2e/%c3%a9"),
  get("/%2e%2e"), get("/%00"), get("/a b"), get("http://h:1/p?q"), request("OPTIONS * HTTP/1.1", "Host: a"),
  request("CONNECT a:1 HTTP/1.1", "Host: a"), request("GET / HTTP/1.0"), request("GET / HTTP/2.0"),
  request("GET /"), request("GET / HTTP/1.1"), request("BREW / HTTP/1.1", "Host: a"),
  request("POST / HTTP/1.1", "Host: a", "Content-Length: 5") + "hello",
  request("POST / HTTP/1.1", "Host: a", "Transfer-Encoding: chunked") + "5\r\nhello\r\n0\r\n\r\n",
  request("POST / HTTP/1.1", "Host: a", "Transfer-Encoding: chunked", "Content-Length: 5"),
  request("GET / HTTP/1.1", "Host: a", "X : y"), request("GET / HTTP/1.1", "Host: a", "X: y\r\n z"),
  request("GET / HTTP/1.1", "Host: a", "X: \u{1}"), request("GET / HTTP/1.1", "Host: a", "X: é\tz"),
  "GET / HTTP/1.1\nHost: a\n\n", "GET / HTTP/1.1\r\nHost: a\r\n\n", "GET / HTTP/1.1\r\nHost: a\r\r\n",
  "GET / HTTP/1.1\r\nHost: a", "G", "GET / HTTP/1.1\r\nX: é", "\u{16}\u{3}\u{1}\u{2}\u{0}",
  "GET /é HTTP/1.1\r\n", get("/") + get("/b"), request("GET / HTTP/1.1", "Host: a", "Expect: x"),
  request("GET / HTTP/1.1", "Host: a", "Range: bytes=0-1,5-6", "If-Range: \"v1\"", "Connection: x, close"),
  "GET /" + String(repeating: "a", count: 80) + " HTTP/1.1\r\nHost: a\r\n\r\n",
  request("GET / HTTP/1.1", "Host: a", "X: " + String(repeating: "b", count: 200)),
  "GET / HTTP/1.1\r\nHost: a\r\n" + String(repeating: "A: b\r\n", count: 20) + "\r\n",
  "GET / HTTP/1.1\r\nHost: a\r\nX: " + String(repeating: "b", count: 200),
]

/// Small, so that the corpus meets each limit.
private let smallLimits = HTTPLimits(requestLineBytes: 64, headerBlockBytes: 128, fieldCount: 8)

@Suite struct SplitInvarianceTests {
  @Test(arguments: corpus.indices)
  func everyCutGivesTheSameVerdict(index: Int) {
    let input = Array(corpus[index].utf8)
    for limits in [HTTPLimits(), smallLimits] {
      let whole = parse(input, limits: limits)
      #expect(parseByteByByte(input, limits: limits) == whole)
      var head = RequestHead(limits: limits)
      for cut in 0...input.count {
        var progress = ParseProgress()
        let first = Array(input[..<cut])
        let early = first.withUnsafeBytes { buffer in
          let result = head.parse(buffer, resuming: &progress)
          return HeadSnapshot(head, result)
        }
        let seen =
          early.result != .incomplete
          ? early
          : input.withUnsafeBytes { buffer in
            let result = head.parse(buffer, resuming: &progress)
            return HeadSnapshot(head, result)
          }
        #expect(seen == whole, "cut at \(cut)")
      }
    }
  }

  @Test func aSharedHeadServesManyConnectionsAtOnce() {
    // One head for the loop, a progress for each connection, bytes arriving in turns.
    let inputs = corpus.map { Array($0.utf8) }
    let expected = inputs.map { parse($0) }
    var head = RequestHead(limits: HTTPLimits())
    var progress = inputs.map { _ in ParseProgress() }
    var verdicts: [HeadSnapshot?] = inputs.map { _ in nil }
    for count in 1...(inputs.map(\.count).max() ?? 1) {
      for connection in inputs.indices where verdicts[connection] == nil && count <= inputs[connection].count
      {
        let arrived = [UInt8](inputs[connection].prefix(count))
        arrived.withUnsafeBytes { buffer in
          let result = head.parse(buffer, resuming: &progress[connection])
          if result != .incomplete { verdicts[connection] = HeadSnapshot(head, result) }
        }
      }
    }
    for connection in inputs.indices {
      #expect((verdicts[connection]?.result ?? .incomplete) == expected[connection].result)
      if let verdict = verdicts[connection] { #expect(verdict == expected[connection]) }
    }
  }

  /// 20,000 damaged requests: no trap, and one verdict however the bytes come.
  @Test func randomMutationsGiveOneVerdict() {
    let seed: UInt64 = 0x5EED_0004
    var random = SplitMix64(seed: seed)
    var head = RequestHead(limits: HTTPLimits(requestLineBytes: 128, headerBlockBytes: 256, fieldCount: 16))
    var completed = 0
    for round in 0..<20_000 {
      var input = Array(corpus[round % corpus.count].utf8)
      input.mutate(using: &random)
      input.withUnsafeBytes { buffer in
        HTTPInvariants.checkHead(buffer, &head) { 1 }
        HTTPInvariants.checkHead(buffer, &head) { Int.random(in: 1...40, using: &random) }
        if isComplete(HTTPInvariants.parse(buffer, &head)) { completed += 1 }
      }
    }
    // Neither everything nor nothing may pass, or the mutations test only one side.
    #expect(completed > 1000 && completed < 15_000, "seed \(seed): \(completed) complete")
  }

  /// The fuzzer's corpus, with what the fuzzer does with it. The first byte of a file is its seed.
  @Test func fuzzCorpus() throws {
    let folder =
      String(#filePath.split(separator: "/").dropLast(2).reduce("") { $0 + "/" + $1 }) + "/Fuzz/HTTP/Corpus"
    let directory = try #require(opendir(folder), "no corpus in \(folder)")
    defer { closedir(directory) }
    var head = RequestHead(limits: smallLimits)
    var files = 0
    while let entry = readdir(directory) {
      let name = withUnsafePointer(to: &entry.pointee.d_name) {
        $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
      }
      guard !name.hasPrefix("."), let file = fopen(folder + "/" + name, "r") else { continue }
      defer { fclose(file) }
      var content = [UInt8](repeating: 0, count: 65536)
      let size = fread(&content, 1, content.count, file)
      files += 1
      let input = [UInt8](content[..<size].dropFirst())
      input.withUnsafeBytes { buffer in
        HTTPInvariants.checkHead(buffer, &head) { 1 }
        HTTPInvariants.checkChunks(buffer) { 1 }
      }
      HTTPInvariants.checkRanges(input.span, length: 1000)
      HTTPInvariants.checkDate(input.span)
      HTTPInvariants.checkJSONString(input.span)
    }
    #expect(files >= 40, "only \(files) files in the corpus")
  }
}
