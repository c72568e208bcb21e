import Glibc
internal import Net

extension ServerConfiguration {
  /// `[jobs]`: background work, such as transcoding.
  public struct Jobs: Sendable, Equatable {
    /// Jobs at a time in this process; nil is none.
    public var workers: Int?
    /// For temporary outputs of this process together.
    public var diskBytes: Int
    public var requiresSandbox: Bool
    /// 0 to 19.
    public var nice: Int
    public var runWhenIdle: Bool
    /// How long jobs that have ended are kept.
    public var retentionMilliseconds: Int
    /// Where the queue is; nil: in the store. Without a password.
    public var queueURL: String?
    public var queuePassword: Secret?
    /// By which workers on other machines are known, and show themselves.
    public var workerToken: Secret?
    /// Where a worker on another machine finds the store; nil: it has the storage folder itself. Without a slash at its end.
    public var originURL: String?
    /// nil: the certification authorities of the system.
    public var originAuthoritiesPath: String?
    /// For what a worker on another machine keeps of the blobs that it has fetched.
    public var sourceCacheBytes: Int

    init(_ table: ConfigTable) {
      workers = Self.count(table.string("workers"))
      diskBytes = table.sizeBytes("disk")
      requiresSandbox = table.bool("require_sandbox")
      nice = table.integer("nice")
      runWhenIdle = table.bool("when_idle")
      retentionMilliseconds = table.durationMilliseconds("retention")
      let queue = table.string("queue")
      queueURL = queue == Self.embedded ? nil : queue
      queuePassword = table.secret("queue_password")
      workerToken = table.secret("worker_token")
      let origin = table.string("origin")
      originURL = origin.isEmpty ? nil : origin
      let authorities = table.string("origin_ca_file")
      originAuthoritiesPath = authorities.isEmpty ? nil : authorities
      sourceCacheBytes = table.sizeBytes("source_cache")
    }

    private static let embedded = "embedded"

    /// What `queue` takes: checked here, so that what is read later can't fail.
    public static let queueText = ConfigText("\"embedded\" or a URL of Redis without a password") { text in
      if text == embedded { return .accepted(text) }
      do throws(RedisError) {
        let place = try RedisConfiguration(url: text)
        guard (place.password ?? "").isEmpty, place.sentinelPassword == nil else {
          return .refused(reason: "a password never stands in a URL: keep it in a file (queue_password_file)")
        }
        return .accepted(text)
      } catch {
        return .refused(reason: "this is no place of a queue: \(error.detail)")
      }
    }

    /// What `origin` takes.
    public static let originText = ConfigText("\"\" or a URL of http or https without a path") { text in
      if text.isEmpty { return .accepted(text) }
      let trimmed = text.hasSuffix("/") ? String(text.dropLast()) : text
      let authority = ["https://", "http://"].first { trimmed.hasPrefix($0) }.map {
        trimmed.dropFirst($0.count)
      }
      guard let authority, !authority.isEmpty,
        authority.utf8.allSatisfy({ (0x21...0x7E).contains($0) && !"/?#@".utf8.contains($0) })
      else { return .refused() }
      return .accepted(trimmed)
    }

    /// Where and who the queue is asked as; nil: it is in the store.
    var redis: RedisConfiguration? {
      guard let queueURL else { return nil }
      do throws(RedisError) {
        var configuration = try RedisConfiguration(url: queueURL)
        configuration.password = queuePassword.map { String(decoding: $0.bytes, as: UTF8.self) }
        // A step may add some thousand jobs.
        configuration.commandTimeoutMilliseconds = 2_000
        configuration.mostCommandBytes = 64 << 20
        return configuration
      } catch {
        preconditionFailure("the configuration takes no such URL: \(error)")
      }
    }

    /// All processors but one, and one at least.
    public static var automaticWorkers: Int { max(1, Int(sysconf(Int32(_SC_NPROCESSORS_ONLN))) - 1) }

    private static func count(_ text: String) -> Int? {
      switch text {
      case "auto": automaticWorkers
      case "off": nil
      default: Int(text)
      }
    }

    private static let workersText = ConfigText("\"auto\", \"off\" or a number from \"1\" to \"256\"") {
      text in
      if text == "auto" || text == "off" { return .accepted(text) }
      guard let number = Int(text), (1...256).contains(number), "\(number)" == text else { return .refused() }
      return .accepted(text)
    }

    static let section = ConfigSection(
      "jobs",
      "Background work, which the plugins of a site bring, such as transcoding. See docs/JOBS.md.",
      keys: [
        .string(
          "workers", default: "auto", workersText,
          """
          Jobs that `serve` does at a time. `auto`: one for each processor core but one, and one at least. `off`: none; \
          `headwater worker` does them. Read at the start only.
          """, example: "2"),
        .size(
          "disk", default: "50GiB", from: "64MiB", to: "1024TiB",
          """
          Most disk that the temporary outputs of the jobs of one process take together; a job that finds no room waits. \
          Read at the start only.
          """, example: "200GiB"),
        .bool(
          "require_sandbox", default: false,
          """
          Whether to decode nothing where the kernel lacks landlock or seccomp. Otherwise the log warns. Read at the \
          start only.
          """),
        .integer(
          "nice", default: 10, in: 0...19,
          """
          How far the processes of jobs stand back behind others for the processor, where `when_idle` is off or the kernel \
          refuses it; for the disk they are always last. Read at the start only.
          """, example: 19),
        .bool(
          "when_idle", default: true,
          """
          Whether the processes of jobs get processor and disk only while nobody else on the machine wants them (SCHED_IDLE), so \
          that serving beside them is as quick as without. `false`: they have a share by `nice` however much is served. Read at \
          the start only.
          """),
        .duration(
          "retention", default: "7d", from: "1m", to: "3650d",
          """
          How long a job that has ended is kept, dead letters with their reason among them; a failed one can be retried \
          so long.
          """, example: "30d"),
        .string(
          "queue", default: embedded, queueText,
          """
          Where jobs wait. `embedded`: in the store, for processes of this machine. `redis://HOST:6379/DATABASE` or another URL \
          of docs/REDIS.md, for workers on several machines; a user is written `redis://USER:@HOST`. Read at the start only.
          """, example: "redis://10.0.0.7:6379/1"),
        .secret(
          "queue_password", isRequired: false,
          "The password of the user that `queue` names, or of the default one."),
        .secret(
          "worker_token", isRequired: false,
          """
          The bearer token of workers on other machines, the same on both sides. Who shows it reads and writes blobs of every \
          site and ends jobs. Read at the start only.
          """),
        .string(
          "origin", default: "", originText,
          """
          Makes `headwater worker` one on another machine: it fetches blobs from this server, which has the store, and brings \
          back what it makes. Its host is one of a site. Needs `queue` and `worker_token`. `serve` takes no notice of it.
          """, example: "https://media.example.com"),
        .string(
          "origin_ca_file", default: "",
          .matching("\"\" or an absolute path") { $0.isEmpty || $0.hasPrefix("/") },
          "PEM file of the certification authorities that `origin` is trusted by. Empty: those of the system.",
          example: "/etc/ssl/private-ca.pem"),
        .size(
          "source_cache", default: "50GiB", from: "64MiB", to: "1024TiB",
          """
          Most disk that a worker on another machine takes for blobs that it has fetched; what was used longest ago goes first. \
          A larger source can't be worked on there.
          """, example: "500GiB"),
      ],
      validate: { table in
        if table.secret("queue_password") != nil, table.string("queue") == embedded {
          return [
            ConfigComplaint(
              at: ["queue_password"], "a password without a queue in Redis is never used", code: .missingKey)
          ]
        }
        if table.secret("queue_password") == nil,
          (try? RedisConfiguration(url: table.string("queue")))?.user != nil
        {
          return [
            ConfigComplaint(
              at: ["queue"], "the user of the queue needs a password: queue_password_file", code: .missingKey)
          ]
        }
        guard let token = table.secret("worker_token"), token.bytes.count < 16 else { return [] }
        return [
          ConfigComplaint(
            at: ["worker_token"], "the token of workers has at least 16 characters", code: .secret)
        ]
      })
  }
}

extension JobProcessSettings {
  /// What the configuration says.
  public init(_ settings: ServerConfiguration.Jobs) {
    self.init(
      requiresSandbox: settings.requiresSandbox, nice: settings.nice, runWhenIdle: settings.runWhenIdle)
  }
}
