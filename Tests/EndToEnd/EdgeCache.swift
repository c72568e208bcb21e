import Foundation
import Support
import Testing

/// A real cache in front of a server, set up by the files that are shipped in `etc/edges`, until the last reference goes.
final class EdgeCache: Sendable {
  enum Kind: String, Sendable, CustomTestStringConvertible {
    case varnish
    /// Without vmod xkey.
    case banning
    case nginx
    /// Without a purge module.
    case refreshing
    case trafficServer

    var testDescription: String { rawValue }

    /// Whether its programs are there.
    var isInstalled: Bool {
      switch self {
      case .varnish, .banning:
        Checkout.tool("varnishd") != nil
          && !((try? FileManager.default.contentsOfDirectory(atPath: "/usr/lib"))?.filter {
            FileManager.default.fileExists(atPath: "/usr/lib/\($0)/varnish/vmods/libvmod_xkey.so")
          } ?? []).isEmpty
      case .nginx:
        Checkout.tool("nginx") != nil && FileManager.default.fileExists(atPath: EdgeCache.purgeModule)
      case .refreshing: Checkout.tool("nginx") != nil
      case .trafficServer: Checkout.tool("traffic_server") != nil
      }
    }
  }

  static let host = "media.test"
  private static let purgeModule = "/usr/lib/nginx/modules/ngx_http_cache_purge_module.so"
  private static let token = "t0ken-of-the-purger"

  let kind: Kind
  let port: UInt16
  private let folder: TemporaryFolder
  private let program: BackgroundCommand

  init(_ kind: Kind, before server: ServerUnderTest) throws {
    self.kind = kind
    folder = try TemporaryFolder("edge")
    // None of them takes a port of the kernel's choice: a free one is looked for, and another if somebody was faster.
    for _ in 0..<10 {
      let port = try Canary().port
      let started = try Self.start(kind, port, folder, server)
      let ready = try Command.run(
        "curl",
        [
          "-s", "--retry", "100", "--retry-delay", "0", "--retry-all-errors", "--retry-max-time", "15", "-o",
          "/dev/null", "-H", "Host: \(Self.host)", "http://127.0.0.1:\(port)/f/none",
        ])
      if ready.status == 0, started.wait(.zero) == nil {
        self.port = port
        program = started
        return
      }
      started.kill()
    }
    throw SupportError("\(kind) did not start")
  }

  deinit { program.kill() }

  private static func start(
    _ kind: Kind, _ port: UInt16, _ folder: TemporaryFolder, _ server: ServerUnderTest
  ) throws -> BackgroundCommand {
    switch kind {
    case .varnish, .banning:
      let shipped = try String(
        contentsOf: Checkout.root.appending(path: "etc/edges/varnish.vcl"), encoding: .utf8)
      let file = try folder.write(
        "varnish.vcl", text: shipped.replacing("\"8080\"", with: "\"\(server.port)\""))
      return try BackgroundCommand(
        Checkout.tool("varnishd") ?? "",
        [
          "-F", "-j", "none", "-f", file, "-a", "127.0.0.1:\(port)", "-T", "none", "-s", "malloc,64m", "-p",
          "default_grace=0", "-n", folder.path("varnish-\(port)"),
        ])
    case .nginx, .refreshing:
      return try nginx(kind, port, folder, server)
    case .trafficServer:
      return try trafficServer(port, folder, server)
    }
  }

  private static func nginx(
    _ kind: Kind, _ port: UInt16, _ folder: TemporaryFolder, _ server: ServerUnderTest
  ) throws -> BackgroundCommand {
    var shipped = try String(
      contentsOf: Checkout.root.appending(path: "etc/edges/nginx.conf"), encoding: .utf8
    )
    .replacing("/var/cache/nginx/media", with: folder.path("cache"))
    .replacing("listen 80;", with: "listen 127.0.0.1:\(port);")
    .replacing("127.0.0.1:8080", with: "127.0.0.1:\(server.port)")
    .replacing("CHANGE-ME", with: token)
    if kind == .refreshing {
      shipped = shipped.split(separator: "\n").filter { !$0.hasSuffix("# purge") }.joined(
        separator: "\n")
    }
    let temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
      .map { "\($0)_temp_path \(folder.path($0));" }.joined(separator: " ")
    let config = try folder.write(
      "nginx.conf",
      text: """
        \(kind == .nginx ? "load_module \(purgeModule);" : "")
        daemon off; master_process off; pid \(folder.path("pid")); error_log stderr;
        events { worker_connections 256; }
        http { access_log off; \(temporary)
        \(shipped)
        }
        """)
    return try BackgroundCommand(Checkout.tool("nginx") ?? "", ["-c", config, "-p", folder.url.path])
  }

  private static func trafficServer(
    _ port: UInt16, _ folder: TemporaryFolder, _ server: ServerUnderTest
  ) throws -> BackgroundCommand {
    for name in ["run", "log", "cache"] {
      try FileManager.default.createDirectory(
        atPath: folder.path("ats/\(name)"), withIntermediateDirectories: true)
    }
    try folder.write(
      "ats/runroot.yaml",
      text: """
        prefix: \(folder.path("ats"))
        exec_prefix: \(folder.path("ats"))
        bindir: /usr/bin
        sbindir: /usr/sbin
        sysconfdir: \(folder.path("ats/etc"))
        datadir: \(folder.path("ats/cache"))
        includedir: /usr/include
        libdir: /usr/lib/trafficserver
        libexecdir: /usr/lib/trafficserver/modules
        localstatedir: \(folder.path("ats"))
        runtimedir: \(folder.path("ats/run"))
        logdir: \(folder.path("ats/log"))
        cachedir: \(folder.path("ats/cache"))

        """)
    try folder.write(
      "ats/etc/records.config",
      text: """
        CONFIG proxy.config.http.server_ports STRING \(port):ip-in=127.0.0.1
        CONFIG proxy.config.admin.user_id STRING #-1
        CONFIG proxy.config.exec_thread.autoconfig INT 0
        CONFIG proxy.config.exec_thread.limit INT 1
        CONFIG proxy.config.http.insert_response_via_str INT 2
        CONFIG proxy.config.url_remap.pristine_host_hdr INT 1
        CONFIG proxy.config.http.wait_for_cache INT 2
        CONFIG proxy.config.dns.resolv_conf STRING NULL

        """)
    try folder.write("ats/etc/remap.config", text: "map / http://127.0.0.1:\(server.port)/\n")
    try folder.write("ats/etc/storage.config", text: "\(folder.path("ats/cache")) 64M\n")
    try folder.write(
      "ats/etc/ip_allow.yaml",
      text: "ip_allow:\n  - apply: in\n    ip_addrs: 127.0.0.1\n    action: allow\n    methods: ALL\n")
    return try BackgroundCommand(
      Checkout.tool("traffic_server") ?? "", ["--run-root=\(folder.path("ats"))"])
  }

  /// The entry of `edges` for it.
  func settings(_ server: ServerUnderTest, _ more: String = "") throws -> String {
    try server.folder.writeSecret("etc/purge.token", Self.token)
    let vendor =
      switch kind {
      case .varnish: "vendor = \"varnish\""
      case .banning: "vendor = \"varnish\"\nban = true"
      case .nginx: "vendor = \"nginx\""
      case .refreshing: "vendor = \"nginx\"\nrefresh = true"
      case .trafficServer: "vendor = \"trafficserver\""
      }
    return """
      [plugins.cdn]
      [[plugins.cdn.edges]]
      name = "edge"
      \(vendor)
      urls = ["http://\(Self.host)"]
      servers = ["http://127.0.0.1:\(port)"]
      token_file = "../purge.token"
      \(more)
      """
  }

  func get(_ path: String) throws -> RawResponse {
    let words = [
      "-sS", "-i", "--raw", "--http1.1", "--max-time", "30", "-H", "Host: \(Self.host)",
      "http://127.0.0.1:\(port)\(path)",
    ]
    let done = try Command.run("curl", words)
    guard done.status == 0 else { throw SupportError("curl \(path): \(done.status) \(done.errors)") }
    return try RawResponse.parse(done.output)
  }

  /// Whether an answer came out of the cache.
  func isHit(_ answer: RawResponse) -> Bool {
    kind == .trafficServer ? answer["Via"]?.contains(/\[c[HR]/) == true : answer["X-Cache"] == "HIT"
  }
}
