import ArgumentParser
import Foundation
import Origin
import Store

struct AssetsCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "assets", abstract: "List, show, update and remove the assets of the catalog.",
    subcommands: [List.self, Show.self, Update.self, Remove.self])

  struct List: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "List the assets of a site, by id.")
    @OptionGroup var options: CommandOptions
    @OptionGroup var siteOption: SiteOption
    @Flag(help: "Print JSON objects, one a line.")
    var json = false

    func run() throws {
      let configuration = try options.load()
      let site = try siteOption.pick(configuration)
      let store = try options.openStore(configuration)
      try Failure.report {
        var last: String?
        while true {
          let page = try store.read { reader throws(StoreError) in
            try reader.listAssets(site: site.name, after: last, limit: 500)
          }
          for asset in page {
            if json { Terminal.json(AssetRow(asset)) } else { Terminal.line(AssetRow(asset).line) }
          }
          guard page.count == 500, let end = page.last else { return }
          last = end.id
        }
      }
    }
  }

  struct Show: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Show all there is to know about an asset.")
    @OptionGroup var options: CommandOptions
    @OptionGroup var siteOption: SiteOption
    @Flag(help: "Print a JSON object.")
    var json = false
    @Argument(help: "The asset's id.")
    var id: String

    func run() throws {
      let configuration = try options.load()
      let site = try siteOption.pick(configuration)
      let store = try options.openStore(configuration)
      try Failure.report {
        let found = try store.read { reader throws(StoreError) in try reader.asset(site: site.name, id: id) }
        guard let asset = found else {
          throw StoreError(
            .notFound, operation: "show asset", message: "site \(site.name) has no asset \(id)", context: id)
        }
        var row = AssetRow(asset)
        let filter = JobFilter(site: site.name, asset: id)
        let jobs = try options.openQueue(configuration, store).ask { queue throws(JobQueueError) in
          try await queue.jobs(filter, before: nil, limit: 100)
        }
        row.jobs = jobs.isEmpty ? nil : jobs.map { JobRow($0) }
        if json { return Terminal.json(row) }
        Terminal.line("id          \(row.id)")
        Terminal.line("site        \(row.site)")
        Terminal.line("title       \(row.title)")
        if !row.description.isEmpty { Terminal.line("description \(row.description)") }
        if !row.tags.isEmpty { Terminal.line("tags        \(row.tags.joined(separator: ", "))") }
        Terminal.line("privacy     \(row.privacy)")
        if let time = row.thumbnailTime { Terminal.line("poster      at \(time) s") }
        Terminal.line("status      \(row.status)")
        Terminal.line("created     \(row.created)")
        Terminal.line("updated     \(row.updated)")
        Terminal.line("views       \(row.views)")
        Terminal.line("generation  \(row.generation ?? "none")")
        Terminal.line("source      \(row.sourceName), \(row.mediaType), \(row.source ?? "none")")
        for rendition in row.renditions {
          let heading = rendition.kind == "subtitle" ? "subtitle  " : "rendition "
          Terminal.line(
            "\(heading)  \(rendition.name) (\(rendition.kind)\(rendition.details)) from \(rendition.blob)")
        }
        if let reason = row.reason { Terminal.line("bytes only  \(reason)") }
        for defect in row.defects { Terminal.line("note        \(defect)") }
        for job in row.jobs ?? [] {
          Terminal.line("job         \(job.id) \(job.kind) \(job.state) \(job.standing)")
        }
      }
    }
  }

  struct Update: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Change an asset's title, description, tags, privacy or poster; its generation stays.")
    @OptionGroup var options: CommandOptions
    @OptionGroup var siteOption: SiteOption
    @Option(name: .long, help: "A new title.") var title: String?
    @Option(name: .long, help: "A new description.") var description: String?
    @Option(name: .long, help: "A tag; repeat it for several. Replaces all tags; \"\" removes them.")
    var tag: [String] = []
    @Option(name: .long, help: "public, unlisted or private.") var privacy: String?
    @Option(
      name: .long, help: "What the poster shows, in seconds from the beginning; \"\" leaves it to the site.")
    var thumbnailTime: String?
    @Flag(help: "Print a JSON object.")
    var json = false
    @Argument(help: "The asset's id.")
    var id: String

    func validate() throws {
      if title == nil, description == nil, tag.isEmpty, privacy == nil, thumbnailTime == nil {
        throw ValidationError(
          "say what to change: --title, --description, --tag, --privacy or --thumbnail-time")
      }
      if let thumbnailTime, !thumbnailTime.isEmpty, Self.milliseconds(thumbnailTime) == nil {
        throw ValidationError("\"\(thumbnailTime)\" is no time: write seconds such as 12.5")
      }
      if let privacy, Privacy(name: privacy) == nil {
        throw ValidationError("\"\(privacy)\" is no privacy: use public, unlisted or private")
      }
    }

    func run() throws {
      let configuration = try options.load()
      let site = try siteOption.pick(configuration)
      let store = try options.openStore(configuration)
      try Failure.report {
        let asset = try store.updateAsset(site: site.name, id: id) { asset in
          if let title { asset.title = title }
          if let description { asset.description = description }
          if !tag.isEmpty { asset.tags = tag.filter { !$0.isEmpty } }
          if let privacy = privacy.flatMap({ Privacy(name: $0) }) { asset.privacy = privacy }
          if let thumbnailTime { asset.thumbnailMilliseconds = Self.milliseconds(thumbnailTime) }
        }
        if json { Terminal.json(AssetRow(asset)) } else { Terminal.line(AssetRow(asset).line) }
      }
    }

    /// Nil for what is no number of seconds, of four days at most.
    private static func milliseconds(_ seconds: String) -> UInt64? {
      guard let value = Double(seconds), (0...345_600).contains(value) else { return nil }
      return UInt64((value * 1000).rounded())
    }
  }

  struct Remove: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Remove assets; their blobs go with the next gc after the grace time.")
    @OptionGroup var options: CommandOptions
    @OptionGroup var siteOption: SiteOption
    @Argument(help: "Asset ids.")
    var ids: [String]

    func run() throws {
      let configuration = try options.load()
      let site = try siteOption.pick(configuration)
      let store = try options.openStore(configuration)
      try Failure.report {
        for id in ids { try store.removeAsset(site: site.name, id: id) }
      }
    }
  }
}

extension Privacy {
  init?(name: String) {
    guard let found = Privacy.allCases.first(where: { "\($0)" == name }) else { return nil }
    self = found
  }
}

/// Turns a store's error into one line on standard error and exit 1.
enum Failure {
  static func report(_ body: () throws -> Void) throws {
    do { try body() } catch  where error is StoreError || error is JobQueueError {
      Terminal.error("\(error)")
      throw ExitCode.failure
    }
  }
}
