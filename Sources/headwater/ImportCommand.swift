import ArgumentParser
import Foundation
import Origin
import Store

struct ImportCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "import",
    abstract: "Ingest media as assets; works with the server running or stopped.",
    discussion: """
      Prints one line (or JSON object) an asset. A file that is damaged or no media is refused with its \
      reason, leaves nothing behind, and the rest of the list goes on; the exit status is then 1. Other bytes \
      under an id that exists make a new generation of that asset.
      """)

  @OptionGroup var options: CommandOptions
  @OptionGroup var siteOption: SiteOption
  @Option(name: .long, help: "The asset's id: 1 to 64 of A-Z a-z 0-9 _ -. Default: a new sortable one.")
  var id: String?
  @Option(name: .long, help: "The asset's title. Default: the file's name.")
  var title: String?
  @Flag(help: "Print JSON objects, one a line.")
  var json = false
  @Argument(help: "Media files.", completion: .file())
  var files: [String]

  func validate() throws {
    if files.isEmpty { throw ValidationError("name at least one file") }
    if let id {
      guard AssetID.isValid(id) else {
        throw ValidationError("\"\(id)\" is no asset id: use 1 to 64 of A-Z a-z 0-9 _ -")
      }
      guard files.count == 1 else { throw ValidationError("--id names one asset, so give one file") }
    }
  }

  func run() throws {
    let configuration = try options.load()
    let site = try siteOption.pick(configuration)
    let store = try options.openStore(configuration)
    let ingest = Ingest(
      store: store, site: site.name, segmentMilliseconds: UInt32(site.packaging.segmentMilliseconds))
    var failed = false
    for file in files {
      var bar = ProgressBar(file)
      do throws(IngestError) {
        let asset = try ingest.importFile(path: file, id: id, title: title) { bar.show($0, of: $1) }
        bar.clear()
        if json { Terminal.json(AssetRow(asset)) } else { Terminal.line(AssetRow(asset).line) }
      } catch {
        bar.clear()
        failed = true
        Terminal.error("\(error)")
      }
    }
    if failed { throw ExitCode.failure }
  }
}
