import Support

/// A site's own JSON API in a process of its own: it answers `/videos/{id}`, counts, and behaves as it is told.
final class MetadataUpstream: Sendable {
  private let server: BackgroundCommand
  let port: Int
  static let token = "t0ken-of-the-upstream"

  init() throws {
    server = try BackgroundCommand("python3", ["-u", "-c", Self.program])
    guard let port = server.line(startingWith: "port ").flatMap({ Int($0) }) else {
      throw SupportError("no port: \(server.wait(.seconds(5))?.errors ?? "")")
    }
    self.port = port
  }

  deinit { server.kill() }

  /// `[plugins.redis]` of a site that asks it.
  func settings(_ redis: String, _ lines: String = "") -> String {
    """
    [plugins.redis]
    url = "\(redis)"
    upstream_url = "http://127.0.0.1:\(port)/videos/{id}"
    upstream_token_file = "../upstream.token"
    upstream_allow_private = true
    upstream_timeout = "10s"
    wait = "500ms"
    \(lines)
    """
  }

  /// What it says of a video from now on; nil: it knows none.
  func set(_ id: String, _ json: String?) throws {
    try control(["-X", "PUT", "--data-binary", json ?? "", "http://127.0.0.1:\(port)/set/\(id)"])
  }

  /// `ok`, `hang`, or what is answered instead: a status, or `garbage`.
  func behave(_ mode: String) throws { try control(["http://127.0.0.1:\(port)/behave/\(mode)"]) }

  /// How often the video was asked for, with the token.
  func requests(for id: String) -> Int {
    server.lines(startingWith: "asked ").filter { $0 == "asked \(id)" }.count
  }

  private func control(_ words: [String]) throws {
    let done = try Command.run("curl", ["-sS", "-f"] + words)
    guard done.status == 0 else { throw SupportError("upstream: \(done.errors)") }
  }

  private static let program = """
    import http.server, socketserver, threading
    videos = {}
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
        def do_PUT(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            name = self.path.split("/")[2]
            if body: videos[name] = body
            else: videos.pop(name, None)
            self.answer(204)
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
            elif mode[0] == "garbage": return self.answer(200, b'{"title": [')
            elif mode[0] != "ok": return self.answer(int(mode[0]), b"no")
            if name not in videos: return self.answer(404)
            self.answer(200, videos[name])
    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True
        request_queue_size = 128
    server = Server(("127.0.0.1", 0), Handler)
    print("port", server.server_address[1])
    server.serve_forever()
    """
}
