import Support

/// JSON documents by id below one path, for who has the token: it counts who asks, and behaves as it is told.
final class DocumentServer: Sendable {
  private let server: ScriptedHTTP
  var port: Int { server.port }

  /// - Parameter garbage: what `garbage` answers, of any bytes that a Python literal in single quotes holds.
  init(token: String, garbage: String) throws {
    server = try ScriptedHTTP(
      Self.script.replacing("TOKEN", with: token).replacing("GARBAGE", with: garbage))
  }

  /// What it says of an id from now on; nil: it knows nothing.
  func set(_ id: String, _ json: String?) throws {
    try server.control("set/\(id)", ["-X", "PUT", "--data-binary", json ?? ""])
  }

  /// `ok`, `hang`, or what is answered instead: a status, or `garbage`.
  func behave(_ mode: String) throws { try server.control("behave/\(mode)") }

  /// How often an id was asked for, with the token.
  func requests(for id: String) -> Int {
    server.lines(startingWith: "asked ").filter { $0 == "asked \(id)" }.count
  }

  func kill() { server.kill() }

  private static let script = """
    documents = {}
    mode = ["ok"]
    released = threading.Event()
    class Handler(Answering):
        def do_PUT(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            name = self.path.split("/")[2]
            if body: documents[name] = body
            else: documents.pop(name, None)
            self.answer(204)
        def do_GET(self):
            kind, name = self.path.strip("/").split("/")
            if kind == "behave":
                mode[0] = name
                if name == "ok": released.set()
                else: released.clear()
                return self.answer(200)
            if self.headers.get("Authorization") != "Bearer TOKEN": return self.answer(401)
            print("asked", name)
            if mode[0] == "hang": released.wait(30)
            elif mode[0] == "garbage": return self.answer(200, b'GARBAGE')
            elif mode[0] != "ok": return self.answer(int(mode[0]), b"no", [("Retry-After", "7")] if mode[0] == "429" else [])
            if name not in documents: return self.answer(404)
            self.answer(200, documents[name])
    """
}
