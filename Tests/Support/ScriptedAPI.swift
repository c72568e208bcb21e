/// A service that takes calls as an API of a CDN does, in a process of its own: it writes down each, and behaves as it is told.
public final class ScriptedAPI: Sendable {
  private let server: ScriptedHTTP

  /// - Parameter answer: what success is answered with; it has no apostrophes.
  public init(answer: String = #"{"success": true, "result": {"id": "x"}}"#) throws {
    server = try ScriptedHTTP("success = '\(answer)'.encode()\n\(Self.script)")
  }

  public var url: String { server.url }

  /// Method, path and body of each call so far, those that failed too.
  public var calls: [String] { said("call ") }
  /// Of those that were answered with success.
  public var acknowledged: [String] { said("acknowledged ") }
  /// Milliseconds between a call and the one before it.
  public var gaps: [Int] { said("gap ").compactMap { Int($0) } }

  private func said(_ word: String) -> [String] {
    server.lines(startingWith: word).map { String($0.dropFirst(word.count)) }
  }

  /// How the next calls are answered: `ok`, `hang`, `truncated`, `huge` (16 MiB of blanks), `redirect`, `refuse:WORD` (400 for a body that has the word), or a
  /// status; each for `count` calls, and then `ok`.
  public func behave(_ mode: String, count: Int = 1_000_000) throws {
    try server.control("behave/\(mode)/\(count)")
  }

  private static let script = """
    mode = ["ok", 0]
    lock = threading.Lock()
    last = [time.monotonic()]
    # Whole lines, in one write: several calls are answered at a time.
    output = threading.Lock()
    def say(*words):
        with output: print(" ".join(str(word) for word in words) + "\\n", end="")
    class Handler(Answering):
        def do_GET(self):
            if not self.path.startswith("/behave/"): return self.call("GET")
            _, _, name, count = self.path.split("/")
            with lock: mode[:] = [name, int(count)]
            self.answer(200)
        def do_POST(self): self.call("POST")
        def call(self, method):
            body = self.rfile.read(int(self.headers.get("Content-Length", "0"))).decode()
            with lock:
                now = time.monotonic()
                say("gap", int((now - last[0]) * 1000))
                last[0] = now
                say("call", method, self.path, body)
                how = mode[0] if mode[1] > 0 else "ok"
                mode[1] -= 1
            if how == "hang":
                time.sleep(60)
                return
            if how == "truncated":
                self.answer(200, b'{"success": tr', length=4000)
                self.close_connection = True
                return
            if how == "huge": return self.answer(200, b" " * (16 << 20) + success)
            if how == "redirect":
                return self.answer(307, fields=[("Location", "http://169.254.169.254/latest/meta-data/")])
            if how.startswith("refuse:"):
                if how[7:] in body: return self.answer(400, b'{"error": "no"}')
            elif how != "ok":
                return self.answer(int(how), b"no", [("Retry-After", "2")] if how == "429" else [])
            say("acknowledged", method, self.path, body)
            self.answer(200, success)
    """
}
