import Glibc

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
    /// How long jobs that have ended are kept.
    public var retentionMilliseconds: Int

    init(_ table: ConfigTable) {
      workers = Self.count(table.string("workers"))
      diskBytes = table.sizeBytes("disk")
      requiresSandbox = table.bool("require_sandbox")
      nice = table.integer("nice")
      retentionMilliseconds = table.durationMilliseconds("retention")
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
          How far the processes of jobs stand back behind others for the processor; for the disk they are always last. \
          Read at the start only.
          """, example: 19),
        .duration(
          "retention", default: "7d", from: "1m", to: "3650d",
          """
          How long a job that has ended is kept, dead letters with their reason among them; a failed one can be retried \
          so long.
          """, example: "30d"),
      ])
  }
}

extension JobProcessSettings {
  /// What the configuration says.
  public init(_ settings: ServerConfiguration.Jobs) {
    self.init(requiresSandbox: settings.requiresSandbox, nice: settings.nice)
  }
}
