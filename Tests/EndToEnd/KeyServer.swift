import Support

/// A key service in a process of its own: it answers `/keys/{id}`, counts, and behaves as it is told.
final class KeyServer: Sendable {
  private let server: BackgroundCommand
  let port: Int
  static let token = "t0ken-of-the-key-service"

  /// - Parameter keys: the JSON answer by asset; 404 for all others.
  init(_ keys: [String: String]) throws {
    let table = keys.map { "\"\($0)\": '''\($1)'''" }.joined(separator: ", ")
    server = try BackgroundCommand(
      "python3", ["-u", "-c", Self.program.replacing("KEYS", with: "{\(table)}")])
    guard let port = server.line(startingWith: "port ").flatMap({ Int($0) }) else {
      throw SupportError("no port: \(server.wait(.seconds(5))?.errors ?? "")")
    }
    self.port = port
  }

  deinit { server.kill() }

  /// What `[encryption]` says about it.
  func settings(_ server: ServerUnderTest) throws -> String {
    try server.folder.writeSecret("etc/key.token", Self.token + "\n")
    return """
      key_url = "http://127.0.0.1:\(port)/keys/{id}"
      key_token_file = "../key.token"
      key_allow_private = true
      """
  }

  /// How often the key of the asset was asked for, with the token.
  func requests(for id: String) -> Int {
    server.lines(startingWith: "asked ").filter { $0 == "asked \(id)" }.count
  }

  /// `ok`, `hang`, or what is answered instead: a status, or `garbage`.
  func behave(_ mode: String) throws {
    let done = try Command.run("curl", ["-sS", "-f", "http://127.0.0.1:\(port)/behave/\(mode)"])
    guard done.status == 0 else { throw SupportError("key server: \(done.errors)") }
  }

  func kill() { server.kill() }

  private static let program = """
    import http.server, socketserver, threading
    keys = KEYS
    mode = ["ok"]
    released = threading.Event()
    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        def log_message(self, *words): pass
        def answer(self, status, body=b"", fields=()):
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            for name, value in fields: self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)
        def do_GET(self):
            kind, name = self.path.strip("/").split("/")
            if kind == "behave":
                mode[0] = name
                if name == "ok": released.set()
                else: released.clear()
                return self.answer(200)
            if self.headers.get("Authorization") != "Bearer \(token)": return self.answer(401)
            print("asked", name)
            if mode[0] == "hang": released.wait(30)
            elif mode[0] == "garbage": return self.answer(200, b'{"kid": "5ec2e7", "key": [')
            elif mode[0] != "ok": return self.answer(int(mode[0]), b"no", [("Retry-After", "7")] if mode[0] == "429" else [])
            if name not in keys: return self.answer(404)
            self.answer(200, keys[name].encode())
    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True
        request_queue_size = 128
    server = Server(("127.0.0.1", 0), Handler)
    print("port", server.server_address[1])
    server.serve_forever()
    """
}
