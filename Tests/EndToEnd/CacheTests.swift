import Foundation
import Support
import Testing

extension EndToEnd {
  /// nginx as a CDN's cache in front, fetching slices of 256 KiB: it refuses an origin whose validators,
  /// totals or ranges disagree from one slice to the next.
  @Suite(.enabled(if: Checkout.tool("nginx") != nil, "nginx is not installed"))
  struct CacheTests {
    @Test func aSlicingCacheInFrontServesTheSameBytes() throws {
      let server = try ServerUnderTest()
      try server.start()
      var random = SplitMix64(seed: 4)
      let big = random.bytes(3_000_017)
      try server.putFile("big.bin", server.folder.write("big.bin", big))
      try server.importAsset("film", Fixtures.path("h264-aac-2997.mp4"))
      let cache = try SlicingCache(before: server)

      let paths = try ["/f/big.bin", "/v/film/source", Presentation(server, asset: "film").segment(1)]
      for path in paths {
        let direct = try server.request("GET", path).body
        for round in ["MISS", "HIT"] {
          let through = try cache.curl(path)
          #expect(through.status == 200 && through.body == direct, "\(path) \(round)")
          #expect(through["X-Cache"] == round, "\(path)")
        }
        for (first, last) in [
          (0, 0), (262_143, 262_144), (300_000, 1_000_000), (direct.count - 1, direct.count - 1),
        ]
        where last < direct.count {
          let through = try cache.curl(path, [("Range", "bytes=\(first)-\(last)")])
          #expect(
            through.status == 206 && through.body == Array(direct[first...last]), "\(path) \(first)-\(last)")
        }
      }
      #expect(try server.stop() == 0)
    }
  }
}

/// nginx in a temporary folder, ended when the last reference goes.
private final class SlicingCache: Sendable {
  private let folder: TemporaryFolder
  private let nginx: BackgroundCommand
  private var socket: String { folder.path("s") }

  init(before server: ServerUnderTest) throws {
    folder = try TemporaryFolder("nginx")
    let socket = folder.path("s")
    let config = try folder.write(
      "nginx.conf",
      text: """
        daemon off; master_process off; pid \(folder.path("pid")); error_log stderr;
        events { worker_connections 64; }
        http {
          access_log off;
          client_body_temp_path \(folder.path("body")); proxy_temp_path \(folder.path("proxy"));
          fastcgi_temp_path \(folder.path("f")); uwsgi_temp_path \(folder.path("u")); scgi_temp_path \(folder.path("c"));
          proxy_cache_path \(folder.path("cache")) keys_zone=k:1m;
          server {
            listen unix:\(socket);
            location / {
              slice 256k;
              proxy_pass http://127.0.0.1:\(server.port);
              proxy_http_version 1.1;
              proxy_set_header Connection "";
              proxy_set_header Range $slice_range;
              proxy_cache k;
              proxy_cache_key $uri$slice_range;
              add_header X-Cache $upstream_cache_status;
            }
          }
        }
        """)
    let program = try #require(Checkout.tool("nginx"))
    nginx = try BackgroundCommand(program, ["-c", config, "-p", folder.url.path])
    // curl retries until the socket is there, for at most ten seconds.
    let ready = try Command.run(
      "curl",
      [
        "-s", "--retry", "100", "--retry-delay", "0", "--retry-all-errors", "--retry-max-time", "10",
        "--unix-socket",
        socket, "-o", "/dev/null", "http://cache/f/none",
      ])
    guard ready.status == 0 else {
      nginx.kill()
      throw SupportError("nginx did not start: \(nginx.wait(.seconds(5))?.errors ?? "")")
    }
  }

  deinit { nginx.kill() }

  func curl(_ path: String, _ fields: [(String, String)] = []) throws -> RawResponse {
    let words =
      ["-sS", "-i", "--raw", "--max-time", "30", "--unix-socket", socket]
      + fields.flatMap { ["-H", "\($0.0): \($0.1)"] } + ["http://cache\(path)"]
    return try RawResponse.parse(Command.run("curl", words).output)
  }
}
