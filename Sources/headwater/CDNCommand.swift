import ArgumentParser
import CDNPlugin
import Foundation
import Origin
import Store

struct CDNCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "cdn", abstract: "Purge and warm the CDNs in front of a site, and see how they stand.",
    discussion: """
      What is asked for is written into the store, durably, and done by the server; it works with the server stopped, too: then it \
      is done when the server runs again.
      """,
    subcommands: [Purge.self, Prefetch.self, Status.self, Retry.self])

  struct Selection: ParsableArguments {
    @OptionGroup var options: CommandOptions
    @OptionGroup var site: SiteOption
    @Option(help: "Only this edge, by its name in the site's file.") var edge: String?

    func control() throws -> CDNControl {
      let configuration = try options.load()
      let site = try self.site.pick(configuration)
      let store = try options.openStore(configuration)
      return try CDNCommand.report { try CDNControl(store, site) }
    }
  }

  struct Purge: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Have edges forget assets, paths, tags or everything.",
      discussion: "  headwater cdn purge --asset film --path /f/offer.pdf --wait 10s")
    @OptionGroup var selection: Selection
    @Option(name: .long, help: "An asset's id; repeat it for several.") var asset: [String] = []
    @Option(name: .long, help: "A path of the site, as in a URL; repeat it for several.") var path: [String] =
      []
    @Option(name: .long, help: "A tag, such as kind-manifest; repeat it for several.") var tag: [String] = []
    @Flag(name: .long, help: "Everything of the site.") var everything = false
    @Option(name: .long, help: "How long to wait until the edges have acknowledged, such as 10s.") var wait:
      String?

    func run() throws {
      guard !asset.isEmpty || !path.isEmpty || !tag.isEmpty || everything else {
        throw ValidationError("say what is to be purged: --asset, --path, --tag or --everything")
      }
      var wish = CDNControl.Wish()
      wish.assets = asset
      wish.paths = path
      wish.tags = tag
      wish.everything = everything
      wish.edge = selection.edge
      let milliseconds = try wait.map(CDNCommand.milliseconds)
      let control = try selection.control()
      let made = wish
      let count = try CDNCommand.report { try control.purge(made) }
      Terminal.line("queued \(count)")
      guard let milliseconds else { return }
      let deadline = ContinuousClock.now + .milliseconds(milliseconds)
      while true {
        let status = try CDNCommand.report { try control.status(of: selection.edge) }
        let left = status.reduce(0) { $0 + $1.pending }
        if left == 0 { return }
        guard ContinuousClock.now < deadline else {
          Terminal.error("\(left) purges are not acknowledged yet; they stay in the queue")
          throw ExitCode.failure
        }
        Thread.sleep(forTimeInterval: 0.1)
      }
    }
  }

  struct Prefetch: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Have the beginning of assets fetched into edges.")
    @OptionGroup var selection: Selection
    @Argument(help: "Ids of assets.") var assets: [String]

    func run() throws {
      let control = try selection.control()
      let count = try CDNCommand.report { try control.prefetch(assets, edge: selection.edge) }
      Terminal.line("queued \(count)")
    }
  }

  struct Retry: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Try again what edges have refused.")
    @OptionGroup var selection: Selection

    func run() throws {
      let control = try selection.control()
      let count = try CDNCommand.report { try control.retry(edge: selection.edge) }
      Terminal.line("queued \(count)")
    }
  }

  struct Status: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Show what edges are owed, and what is wrong.")
    @OptionGroup var selection: Selection
    @Flag(help: "Print JSON objects, one a line.") var json = false

    private struct Row: Encodable {
      struct Failed: Encodable {
        var task: String
        var error: String
      }
      var edge: String
      var vendor: String
      var pending: Int
      var warming: Int
      var failed: Int
      var oldest: String?
      var trouble: String?
      var failures: [Failed]
      var traffic: Traffic?
      var trafficTrouble: String?
      var unlistedSegments: UInt64

      struct Traffic: Encodable {
        var from: String
        var until: String
        var ageSeconds: Int64
        var requests: UInt64
        var bytes: UInt64
        var bitsPerSecond: UInt64
        var hitRatio: Double?

        init(_ report: TrafficReport) {
          from = Terminal.time(report.fromSeconds * 1000)
          until = Terminal.time(report.untilSeconds * 1000)
          ageSeconds = report.ageSeconds(Store.wallClockMilliseconds())
          requests = report.requests
          bytes = report.bytes
          bitsPerSecond = report.bitsPerSecond
          hitRatio = report.hitRatio
        }
      }

      init(_ status: CDNControl.Status) {
        edge = status.edge
        vendor = status.vendor
        pending = status.pending
        warming = status.warming
        failed = status.failed
        oldest = status.oldestMilliseconds.map { Terminal.time($0) }
        trouble = status.standing.isEmpty ? nil : status.standing
        failures = status.failures.map { Failed(task: $0.task, error: $0.error) }
        traffic = status.traffic.map { Traffic($0) }
        trafficTrouble = status.trafficTrouble.isEmpty ? nil : status.trafficTrouble
        unlistedSegments = status.unlistedSegments
      }
    }

    func run() throws {
      let control = try selection.control()
      let all = try CDNCommand.report { try control.status(of: selection.edge) }
      for status in all {
        let row = Row(status)
        if json {
          Terminal.json(row)
          continue
        }
        var line =
          "\(row.edge)  \(row.vendor)  pending \(row.pending)  warming \(row.warming)  failed \(row.failed)"
        if let oldest = row.oldest { line += "  oldest \(oldest)" }
        Terminal.line(line)
        if let trouble = row.trouble { Terminal.line("  trouble: \(trouble)") }
        if let traffic = row.traffic {
          let ratio = traffic.hitRatio.map { ", \(($0 * 1000).rounded() / 10) % hits" } ?? ""
          Terminal.line(
            "  traffic: \(traffic.requests) requests, \(traffic.bytes) bytes, \(traffic.bitsPerSecond) bit/s\(ratio)"
              + "; from \(traffic.from) to \(traffic.until), \(traffic.ageSeconds) s ago")
        }
        if let trouble = row.trafficTrouble { Terminal.line("  traffic is not told: \(trouble)") }
        if row.unlistedSegments > 0 {
          Terminal.line(
            "  \(row.unlistedSegments) segments of removed assets were too many to purge; they end by their lifetime"
          )
        }
        for failure in row.failures { Terminal.line("  failed: \(failure.task): \(failure.error)") }
      }
    }
  }

  /// What `body` returns, or an exit with what is wrong on standard error.
  private static func report<Value>(_ body: () throws -> Value) throws -> Value {
    do { return try body() } catch {
      Terminal.error("\(error)")
      throw ExitCode.failure
    }
  }

  private static func milliseconds(_ text: String) throws -> Int {
    do throws(ConfigUnitError) { return try ConfigDuration.parse(text) } catch {
      throw ValidationError("--wait: \(error)")
    }
  }
}
