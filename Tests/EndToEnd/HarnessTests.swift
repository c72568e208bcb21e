import Support
import Testing

extension EndToEnd {
  /// The harness must notice what it is there to notice.
  @Suite struct HarnessTests {
    @Test func aProgramsEndIsReported() throws {
      let done = try Command.run("sh", ["-c", "cat; echo problem >&2; exit 7"], stdin: Array("words".utf8))
      #expect(done.status == 7)
      #expect(done.text == "words")
      #expect(done.errors == "problem\n")
      #expect(try Command.run("sh", ["-c", "kill -9 $$"]).status == -9)
    }

    @Test func aProgramThatHangsIsEnded() {
      #expect(throws: SupportError.self) {
        try Command.run("tail", ["-f", "/dev/null"], timeout: .milliseconds(100))
      }
    }

    @Test func aMissingProgramIsAnError() {
      #expect(throws: SupportError.self) { try Command.run("no-such-program-here") }
    }

    @Test(arguments: [
      "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nfour",  // ends early
      "HTTP/1.1 200 OK\r\nContent-Length: 4\r\nContent-Length: 4\r\n\r\nfour",
      "HTTP/1.1 200 OK\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\nfour",
      "HTTP/1.1 200 OK\r\n\r\n", "HTTP/1.1 2000 OK\r\nContent-Length: 0\r\n\r\n", "hello\r\n\r\n", "",
    ])
    func aBadlyFramedResponseIsRefused(_ text: String) {
      #expect(throws: SupportError.self) { try RawResponse.parse(Array(text.utf8)) }
    }

    @Test func chunksAreJoined() throws {
      let wire =
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\nabc\r\n2\r\nde\r\n0\r\nT: 1\r\n\r\n"
      #expect(try RawResponse.parse(Array(wire.utf8)).text == "abcde")
    }
  }
}
