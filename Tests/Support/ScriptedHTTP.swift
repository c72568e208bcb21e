/// A server of HTTP in a process of its own, told in Python what it answers.
///
/// The script defines `Handler`, a class made of `Answering`, whose `answer` sends an answer; what it prints is read by lines. It
/// has `http.server`, `threading` and `time` to go by.
public final class ScriptedHTTP: Sendable {
  private let server: BackgroundCommand
  public let port: Int

  public init(_ script: String) throws {
    server = try BackgroundCommand(
      "python3", ["-u", "-c", [Self.beginning, script, Self.end].joined(separator: "\n")])
    guard let port = server.line(startingWith: "port ").flatMap({ Int($0) }) else {
      throw SupportError("no port: \(server.wait(.seconds(5))?.errors ?? "")")
    }
    self.port = port
  }

  deinit { server.kill() }

  public var url: String { "http://127.0.0.1:\(port)" }

  /// Lines so far that begin with a text, whole.
  public func lines(startingWith text: String) -> [String] { server.lines(startingWith: text) }

  /// A request by curl to the script itself, which has to succeed.
  public func control(_ path: String, _ arguments: [String] = []) throws {
    let done = try Command.run("curl", ["-sS", "-f"] + arguments + ["\(url)/\(path)"])
    guard done.status == 0 else { throw SupportError("scripted server: \(done.errors)") }
  }

  public func kill() { server.kill() }

  private static let beginning = """
    import http.server, socketserver, threading, time
    class Answering(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        def log_message(self, *words): pass
        def answer(self, status, body=b"", fields=(), length=None):
            self.send_response(status)
            self.send_header("Content-Length", str(len(body) if length is None else length))
            for name, value in fields: self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)
    """

  private static let end = """
    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True
        request_queue_size = 128
    server = Server(("127.0.0.1", 0), Handler)
    print("port", server.server_address[1])
    server.serve_forever()
    """
}
