public import HTTP

/// What `etc/headwater.toml` says: everything that belongs to the server and not to one site.
///
/// Compared as one value, which is how a reload finds out whether anything changed.
public struct ServerConfiguration: Sendable, Equatable {
  /// For players and CDNs. At least one; no two equal unless their port is 0.
  public var listen: [ListenAddress]
  /// Health, metrics and console; `nil` when turned off.
  public var admin: ListenAddress?
  /// Whose word on a client's address is believed: in PROXY headers, `Forwarded` and `X-Forwarded-For`.
  public var trustedProxies: [NetworkPrefix]
  /// Event loops; 0 for one per core.
  public var threads: Int
  /// Threads for what blocks, shared by all loops.
  public var workerThreads: Int
  /// The folder of blobs and index, absolute or relative to the current folder.
  public var storage: String
  /// The pattern of the site files, relative to the configuration file.
  public var sites: String
  /// How long requests that run may go on after SIGTERM.
  public var drainTimeoutMilliseconds: Int
  /// How long an idle connection may wait for its last request after SIGTERM.
  public var drainGraceMilliseconds: Int
  public var limits: Limits
  public var log: Log
  public var store: Store
  public var jobs: Jobs
  /// The certificates for hosts without their own; several differ in the type of key. Empty: those of a site.
  public var tls: [TLSCertificateSettings]
  /// Whether the kernel is to encrypt long answers, where it can.
  public var kernelTLS: Bool

  /// What one client may cost.
  public struct Limits: Sendable, Equatable {
    public var requestLineBytes: Int
    /// Fields and the empty line together, without the request line.
    public var headerBlockBytes: Int
    public var fields: Int
    /// Ranges in one request.
    public var ranges: Int
    /// Of all chunk extensions of one body.
    public var chunkExtensionBytes: Int
    public var trailerBytes: Int
    /// Of a body that nobody wants, read and thrown away to keep the connection.
    public var discardedBodyBytes: Int
    /// Pipelined requests that are answered in one turn.
    public var pipeline: Int
    public var requestsPerConnection: Int
    /// Requests of one HTTP/2 connection that are answered at a time.
    public var http2Streams: Int
    /// Requests on one HTTP/2 connection, unless `requestsPerConnection` is less.
    public var http2Requests: Int
    public var headerTimeoutMilliseconds: Int
    public var idleTimeoutMilliseconds: Int
    public var sendTimeoutMilliseconds: Int
    /// Open connections in the whole process.
    public var connections: Int
    /// Of one client; 0 is any number.
    public var connectionsPerAddress: Int
    /// Requests a second of one client; 0 is any number.
    public var requestRatePerAddress: Int
    /// Requests of one client that may come at once.
    public var requestBurstPerAddress: Int
    /// Networks whose clients the three limits before do not concern.
    public var exemptNetworks: [NetworkPrefix]
    /// What connections and answers that wait may hold in the whole process.
    public var memoryBytes: Int
    /// Memory for segments that are asked for again, in one piece; 0 is none.
    public var hotSegmentsBytes: Int
  }

  public struct Log: Sendable, Equatable {
    /// A level of swift-log by its name, `trace` to `critical`.
    public var level: String
    public var access: AccessFormat
    /// Absolute or relative to the current folder; `-` for standard output.
    public var accessPath: String
  }

  public enum AccessFormat: String, Sendable, CaseIterable {
    case off
    case json
    /// Apache's combined format.
    case combined
  }

  public struct Store: Sendable, Equatable {
    /// Address space reserved for the index, not disk space.
    public var indexMapSizeBytes: Int
    /// How long a replaced generation goes on being served.
    public var generationGraceMilliseconds: Int
    /// How old a blob that nothing refers to must be before it is removed.
    public var gcGraceMilliseconds: Int
    /// Time between two snapshots of the index; 0 is none.
    public var snapshotIntervalMilliseconds: Int
    public var snapshotsKept: Int
    /// Whether bytes of blobs are checked before they are sent.
    public var verifiesReads: Bool
  }

  /// The configuration of a server whose file says nothing.
  public static let defaults = ServerConfiguration(schema.defaults, base: "")

  /// - Parameters:
  ///   - table: decoded by `ServerConfiguration.schema`.
  ///   - base: the folder that relative paths start from.
  init(_ table: ConfigTable, base: String) {
    let server = table.table("server")
    listen = server.strings("listen").compactMap { ListenAddress($0) }
    admin = ListenAddress(server.string("admin"))
    trustedProxies = server.strings("trusted_proxies").compactMap { NetworkPrefix($0) }
    threads = server.integer("threads")
    workerThreads = server.integer("worker_threads")
    storage = ConfigPathText.join(base, server.string("storage"))
    sites = server.string("sites")
    kernelTLS = server.bool("kernel_tls")
    drainTimeoutMilliseconds = server.durationMilliseconds("drain_timeout")
    drainGraceMilliseconds = server.durationMilliseconds("drain_grace")

    let limits = table.table("limits")
    self.limits = Limits(
      requestLineBytes: limits.sizeBytes("request_line"), headerBlockBytes: limits.sizeBytes("header_block"),
      fields: limits.integer("fields"), ranges: limits.integer("ranges"),
      chunkExtensionBytes: limits.sizeBytes("chunk_extensions"), trailerBytes: limits.sizeBytes("trailers"),
      discardedBodyBytes: limits.sizeBytes("discarded_body"), pipeline: limits.integer("pipeline"),
      requestsPerConnection: limits.integer("requests_per_connection"),
      http2Streams: limits.integer("http2_streams"), http2Requests: limits.integer("http2_requests"),
      headerTimeoutMilliseconds: limits.durationMilliseconds("header_timeout"),
      idleTimeoutMilliseconds: limits.durationMilliseconds("idle_timeout"),
      sendTimeoutMilliseconds: limits.durationMilliseconds("send_timeout"),
      connections: limits.integer("connections"),
      connectionsPerAddress: limits.integer("connections_per_address"),
      requestRatePerAddress: limits.integer("request_rate_per_address"),
      requestBurstPerAddress: limits.integer("request_burst_per_address"),
      exemptNetworks: limits.strings("exempt_networks").compactMap { NetworkPrefix($0) },
      memoryBytes: limits.sizeBytes("memory"),
      hotSegmentsBytes: limits.sizeBytes("hot_segments"))

    tls = TLSCertificateSettings.all(table.table("tls"))

    let log = table.table("log")
    let accessPath = log.string("access_path")
    self.log = Log(
      level: log.string("level"), access: AccessFormat(rawValue: log.string("access")) ?? .off,
      accessPath: accessPath == "-" ? "-" : ConfigPathText.join(base, accessPath))

    let store = table.table("store")
    self.store = Store(
      indexMapSizeBytes: store.sizeBytes("index_map_size"),
      generationGraceMilliseconds: store.durationMilliseconds("generation_grace"),
      gcGraceMilliseconds: store.durationMilliseconds("gc_grace"),
      snapshotIntervalMilliseconds: store.durationMilliseconds("snapshot_interval"),
      snapshotsKept: store.integer("snapshots_kept"), verifiesReads: store.bool("verify_reads"))
    jobs = Jobs(table.table("jobs"))
  }
}

extension ServerConfiguration {
  /// Every key of `etc/headwater.toml`, declared.
  public static let schema = ConfigSection(
    "", "The server: one file, `etc/headwater.toml`.",
    sections: [server, tls, limits, log, store, Jobs.section])

  private static let server = ConfigSection(
    "server", "Where the server listens, what it runs on and where it keeps its files.",
    keys: [
      .strings(
        "listen", default: ["0.0.0.0:8080"], of: ListenAddress.text,
        "Addresses for players and CDNs, numeric, IPv6 in brackets; ` tls` behind one encrypts. Port 0 lets the system choose. With "
          + "` proxy` every connection must come from `trusted_proxies` and begin with a header of the PROXY protocol, version 1 "
          + "or 2; ` proxy tls` has the header before the encryption.",
        example: ["0.0.0.0:8080", "[::]:8443 tls"]),
      .string(
        "admin", default: "127.0.0.1:9090", ListenAddress.textOrEmpty,
        "Address for health, metrics and the console. Never make it public. Empty: none.",
        example: "127.0.0.1:9191"),
      .strings(
        "trusted_proxies", default: [], of: networkText,
        "Networks of the load balancers and CDNs whose word on a client's address is believed: in PROXY headers, `Forwarded` "
          + "and `X-Forwarded-For`, read from the right as far as each entry is one of these. The address found is what logs, "
          + "limits and signatures go by.",
        example: ["10.0.0.0/8", "2001:db8::/32"]),
      .integer(
        "threads", default: 0, in: 0...1024, "Event loops. 0: one for each processor core.", example: 4),
      .integer(
        "worker_threads", default: 4, in: 1...256,
        "Threads for work that blocks, such as reading cold files; shared by all event loops.", example: 8),
      .string(
        "storage", default: "storage", .nonEmpty,
        """
        The folder of blobs, index, incoming and quarantine, on one file system. A relative path starts at the \
        folder that holds `etc`, if the configuration file lies in a folder of that name, else at the \
        configuration file's own folder.
        """, example: "/var/lib/headwater"),
      .string(
        "sites", default: "sites/*.toml", sitesPattern,
        "The site files, relative to this file; `*` in the last part stands for any name. Without any such "
          + "file one site called `default` serves every host.",
        example: "tenants/*.toml"),
      .bool(
        "kernel_tls", default: true,
        "Have the kernel encrypt long answers (TLS 1.3), where it can: Linux with the module `tls`. Else OpenSSL does it."
      ),
      .duration(
        "drain_timeout", default: "30s", from: "0s", to: "1h",
        "How long running requests may go on after SIGTERM or a rolling restart before their connections are closed.",
        example: "2m"),
      .duration(
        "drain_grace", default: "10s", from: "0s", to: "1h",
        "How long an idle connection is kept meanwhile for its next request, whose answer says `Connection: close`: "
          + "clients that use one in that time see no failure. At most `drain_timeout`.",
        example: "30s"),
    ],
    validate: { table in
      let listen = table.strings("listen").compactMap { ListenAddress($0) }
      guard !listen.isEmpty else {
        return [ConfigComplaint(at: ["listen"], "listen needs at least one address")]
      }
      // Port 0 is a different one each time it is asked for.
      let admin = table.string("admin")
      if !admin.hasSuffix(":0"), listen.contains(where: { $0.description == admin }) {
        return [ConfigComplaint(at: ["admin"], "listen and admin both have \(admin)", code: .duplicate)]
      }
      if listen.contains(where: \.isProxied), table.strings("trusted_proxies").isEmpty {
        return [
          ConfigComplaint(
            at: ["listen"], "an address with proxy needs trusted_proxies: nobody could connect to it")
        ]
      }
      return listen.enumerated().compactMap { number, address in
        let before = listen[..<number].first { $0.description == address.description }
        guard let before, before != address, address.port != 0 else { return nil }
        return ConfigComplaint(
          at: ["listen", .index(number)],
          before.isTLS != address.isTLS
            ? "\(address) can be plain or encrypted, not both"
            : "\(address) can be with proxy or without, not both",
          code: .duplicate)
      }
    })

  private static let tls = ConfigSection(
    "tls",
    "The certificate for hosts whose site has none of its own. Without it, that of a site serves them.",
    keys: TLSCertificateSettings.keys, validate: TLSCertificateSettings.validate)

  static let networkText = ConfigText("a network such as \"10.0.0.0/8\" or \"2001:db8::/32\"") { text in
    NetworkPrefix(text) == nil ? .refused() : .accepted(text)
  }

  private static let sitesPattern = ConfigText("a path, with \"*\" in its last part only") { text in
    guard !ConfigPathText.name(of: text).isEmpty else { return .refused(suggestion: text + "*.toml") }
    return ConfigPathText.folder(of: text).contains("*") ? .refused() : .accepted(text)
  }

  private static let limits = ConfigSection(
    "limits", "What one client may cost. Beyond a limit the answer is an error, never a crash.",
    keys: [
      .size(
        "request_line", default: "8KiB", from: "256B", to: "64KiB",
        "Longest method, target and version together; 414 beyond.", example: "4KiB"),
      .size(
        "header_block", default: "32KiB", from: "1KiB", to: "64KiB",
        "Longest block of header fields, without the request line; 431 beyond.", example: "16KiB"),
      .integer(
        "fields", default: 100, in: 8...1000, "Most header fields in a request; 431 beyond.", example: 64),
      .integer(
        "ranges", default: 16, in: 1...256,
        "Most ranges in one request; beyond, the whole representation is sent.", example: 4),
      .size(
        "chunk_extensions", default: "16KiB", from: "0B", to: "1MiB",
        "Most bytes of chunk extensions in one body; the connection ends beyond.", example: "1KiB"),
      .size(
        "trailers", default: "8KiB", from: "0B", to: "1MiB",
        "Most bytes of trailer fields of one body; the connection ends beyond.", example: "1KiB"),
      .size(
        "discarded_body", default: "64KiB", from: "0B", to: "16MiB",
        "Most bytes of a body that nobody wants which are read to keep the connection; it ends beyond.",
        example: "8KiB"),
      .integer(
        "pipeline", default: 32, in: 1...10_000,
        "Most pipelined requests of one connection that are answered in one turn; the others wait, and no more are read.",
        example: 8),
      .integer(
        "requests_per_connection", default: 1_000_000, in: 1...1_000_000_000,
        "Most requests on one connection; the answer to the last says `Connection: close`.", example: 1000),
      .integer(
        "http2_streams", default: 128, in: 1...1000,
        "Most requests of one HTTP/2 connection at a time; beyond, one is refused, or the connection of a client that was told ends.",
        example: 64),
      .integer(
        "http2_requests", default: 1000, in: 1...100_000,
        "Most requests on one HTTP/2 connection, if `requests_per_connection` is not less; GOAWAY names the last one, and those "
          + "behind it are not answered.", example: 10_000),
      .duration(
        "header_timeout", default: "10s", from: "1s", to: "10m",
        "Longest time from the first byte of a request head to its last, and for a body that is thrown away.",
        example: "5s"),
      .duration(
        "idle_timeout", default: "190s", from: "1s", to: "1h",
        "How long a connection may wait for its next request. Longer than the CDN's own, so that it closes first.",
        example: "75s"),
      .duration(
        "send_timeout", default: "60s", from: "1s", to: "1h",
        "How long a client may take no byte of a response that waits for it.", example: "30s"),
      .integer(
        "connections", default: 65_536, in: 16...4_194_304,
        "Most open connections in the process; beyond, new ones get 503 and are closed.", example: 10_000),
      .integer(
        "connections_per_address", default: 0, in: 0...1_000_000,
        "Most open connections of one client, an IPv6 client being a /64; beyond, new ones get 429 and are closed. 0: any number. "
          + "Connections of `trusted_proxies` do not count, but those that a PROXY header announces do, for its client.",
        example: 100),
      .integer(
        "request_rate_per_address", default: 0, in: 0...1_000_000,
        "Most requests a second of one client, who is told from `trusted_proxies` as the log has it; beyond, 429 with "
          + "`Retry-After`. 0: any number.", example: 50),
      .integer(
        "request_burst_per_address", default: 100, in: 1...1_000_000,
        "Most requests of one client at once, after a pause.", example: 20),
      .strings(
        "exempt_networks", default: [], of: networkText,
        "Networks whose clients the limits by address do not concern.", example: ["10.0.0.0/8"]),
      .size(
        "memory", default: "1GiB", from: "64KiB", to: "16TiB",
        "What connections (1 KiB each), and answers that wait for their client, may hold together; beyond, new connections and "
          + "requests get 503 with `Retry-After`. Shared media, such as `hot_segments`, do not count.",
        example: "256MiB"),
      .size(
        "hot_segments", default: "256MiB", from: "0B", to: "1TiB",
        "Memory for segments that are asked for again and again, kept in one piece so that they leave like a file.",
        example: "1GiB"),
    ])

  private static let log = ConfigSection(
    "log", "What is written about the work. Secrets and tokens never are.",
    keys: [
      .string(
        "level", default: "info", .oneOf("trace", "debug", "info", "notice", "warning", "error", "critical"),
        "The least level that is written to standard error.", example: "warning"),
      .string(
        "access", default: "json", .oneOf("off", "json", "combined"),
        "One line for each request: none, a JSON object, or the combined format of Apache and nginx.",
        example: "combined"),
      .string(
        "access_path", default: "-", .nonEmpty,
        "The file of access lines, found as `storage` is; `-` for standard output.",
        example: "/var/log/headwater/access.log"),
    ])

  private static let store = ConfigSection(
    "store", "How the store of blobs and its index behave.",
    keys: [
      .size(
        "index_map_size", default: "64GiB", from: "64MiB", to: "16TiB",
        "Address space reserved for the index: the most it can grow to, not what it takes on disk.",
        example: "16GiB"),
      .duration(
        "generation_grace", default: "24h", from: "0s", to: "365d",
        "How long a replaced generation goes on being served. At least as long as the longest playback.",
        example: "7d"),
      .duration(
        "gc_grace", default: "24h", from: "1m", to: "365d",
        "How old a blob that nothing refers to must be before `headwater gc` removes it.", example: "2d"),
      .duration(
        "snapshot_interval", default: "1h", from: "0s", to: "30d",
        "How often a server copies the index to `snapshots/`, if it has changed. `0s`: never.", example: "6h"),
      .integer(
        "snapshots_kept", default: 4, in: 2...1000, "How many of these copies are kept.", example: 24),
      .bool(
        "verify_reads", default: false,
        "Compare what comes from the disk with the blob's digest before it is sent. Costs a SHA-256 of each mebibyte that is read in."
      ),
    ])
}
