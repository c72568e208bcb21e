import Foundation
import Loop
import Support
import Synchronization

@testable import Net

/// `scripted-server.py`, on a port of its own until the last reference goes.
final class ScriptedServer: Sendable {
  private let server: BackgroundCommand
  let port: String
  private let scheme: String

  /// - Parameter certificate: of `TestCertificate`; nil for plain text.
  init(_ certificate: TestCertificate? = nil) throws {
    let script = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "scripted-server.py")
      .path
    server = try BackgroundCommand("python3", [script] + (certificate.map { [$0.path, $0.keyPath] } ?? []))
    guard let port = server.line(startingWith: "port ") else {
      throw SupportError("no port: \(server.wait(.seconds(5))?.errors ?? "")")
    }
    self.port = port
    scheme = certificate == nil ? "http" : "https"
  }

  deinit { server.kill() }

  func url(_ path: String, host: String = "127.0.0.1") -> String { "\(scheme)://\(host):\(port)\(path)" }
  /// Waits for a line. Not on the thread, which may be the last one that the client's task could run on.
  func sees(_ line: String) async -> Bool { await eventually { !server.lines(startingWith: line).isEmpty } }
  var requests: [String] { server.lines(startingWith: "request ") }
}

/// A self-signed certificate for `localhost`.
final class TestCertificate: Sendable {
  private let folder: TemporaryFolder
  var path: String { folder.path("certificate.pem") }
  var keyPath: String { folder.path("key.pem") }

  init() throws {
    folder = try TemporaryFolder("certificate")
    let made = try Command.run(
      "openssl",
      [
        "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
        "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-keyout", keyPath, "-out", path,
      ])
    guard made.status == 0 else { throw SupportError("openssl: \(made.errors)") }
  }
}

/// nginx speaking HTTP/2, which answers with the number of the connection.
final class HTTP2Server: Sendable {
  private let folder: TemporaryFolder
  private let nginx: BackgroundCommand
  let url: String

  init(_ certificate: TestCertificate) throws {
    let folder = try TemporaryFolder("nginx")
    self.folder = folder
    let program = Checkout.tool("nginx") ?? ""
    // nginx takes no port of the kernel's choice: a free one is looked for, and another if somebody was faster.
    for _ in 0..<20 {
      let port = try Canary().port
      let temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map { "\($0)_temp_path \(folder.path($0));" }.joined(separator: " ")
      let config = try folder.write(
        "nginx.conf",
        text: """
          daemon off; master_process off; pid \(folder.path("pid")); error_log stderr notice;
          events { worker_connections 64; }
          http {
            access_log off; \(temporary)
            server {
              listen 127.0.0.1:\(port) ssl http2;
              ssl_certificate \(certificate.path); ssl_certificate_key \(certificate.keyPath);
              location / { return 200 "$connection"; }
            }
          }
          """)
      let started = try BackgroundCommand(program, ["-c", config, "-p", folder.url.path])
      let isReady =
        try Command.run(
          "curl",
          [
            "-sk", "--retry", "50", "--retry-delay", "0", "--retry-all-errors", "--retry-max-time", "5",
            "-o", "/dev/null", "https://localhost:\(port)/",
          ]
        ).status == 0
      if isReady, started.wait(.zero) == nil {
        nginx = started
        url = "https://localhost:\(port)/"
        return
      }
      started.kill()
    }
    throw SupportError("nginx did not start")
  }

  deinit { nginx.kill() }
}

/// Gives a client on a loop of its own, and sees the loop end.
func withClient<Value>(
  _ options: HTTPClient.Options = .local, _ body: (HTTPClient) async throws -> Value
) async throws -> Value {
  ignoreSIGPIPE()
  let threads = try LoopThreads(count: 1)
  let client = HTTPClient(loop: threads.loops[0], options: options)
  do {
    let value = try await body(client)
    client.close()
    threads.stopAndJoin()
    return value
  } catch {
    client.close()
    threads.stopAndJoin()
    throw error
  }
}

extension HTTPClient.Options {
  /// For servers of the test's own.
  static var local: Self {
    var options = HTTPClient.Options()
    options.addresses = .publicAndPrivate
    return options
  }
}

extension HTTPClient {
  /// The code with which the request fails; nil for an answer.
  func failure(_ request: HTTPRequest) async -> HTTPClientError.Code? {
    do throws(HTTPClientError) {
      _ = try await response(to: request)
      return nil
    } catch {
      return error.code
    }
  }
}
