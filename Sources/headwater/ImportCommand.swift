import ArgumentParser
import Foundation
import Origin
import Store

struct ImportCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "import",
    abstract: "Ingest media as assets; works with the server running or stopped.",
    usage: """
      headwater import [--site S] [--id ID] [--title T] [--subtitle en=FILE …] FILE…
      headwater import [--site S] --id ID --rendition 720p FILE
      headwater import [--site S] --id ID --subtitle de=FILE
      """,
    discussion: """
      Prints one line (or JSON object) an asset. A file that is damaged or no media is refused with its \
      reason, leaves nothing behind, and the rest of the list goes on; the exit status is then 1. Other bytes \
      under an id that exists make a new generation of that asset.

      MP4 and MOV are packaged as they are. Matroska, WebM, MPEG-TS and the like are kept as they are, and an MP4 \
      with the same pictures and sounds is made beside them, by the program headwater-media.

      --rendition adds another encoding to an asset that exists, or replaces it: the picture of the file, and its \
      sound where the asset has none. Encode all renditions with key frames at the same times.
      """)

  @OptionGroup var options: CommandOptions
  @OptionGroup var siteOption: SiteOption
  @Option(name: .long, help: "The asset's id: 1 to 64 of A-Z a-z 0-9 _ -. Default: a new sortable one.")
  var id: String?
  @Option(name: .long, help: "The asset's title. Default: the file's name.")
  var title: String?
  @Option(
    name: .long,
    help: "A name such as 720p: FILE becomes this rendition of the asset --id, which must exist.")
  var rendition: String?
  @Option(
    name: .long,
    help: ArgumentHelp(
      "Subtitles in WebVTT, SubRip or SSA and their language; repeat it for several.",
      valueName: "language=file"), transform: Self.sidecar)
  var subtitle: [SidecarSubtitle] = []
  @Flag(help: "Print JSON objects, one a line.")
  var json = false
  @Argument(help: "Media files.", completion: .file())
  var files: [String] = []

  func validate() throws {
    if let id, !AssetID.isValid(id) {
      throw ValidationError("\"\(id)\" is no asset id: use 1 to 64 of A-Z a-z 0-9 _ -")
    }
    if let rendition {
      guard Ingest.isRenditionName(rendition) else {
        throw ValidationError(
          "\"\(rendition)\" can't name a rendition: use 1 to 32 of A-Z a-z 0-9 _ -, and not source, g or subtitle-…"
        )
      }
      guard id != nil, files.count == 1 else {
        throw ValidationError("--rendition adds one file to one asset, so give --id and one file")
      }
      if title != nil { throw ValidationError("--title is for a new asset; use: headwater assets update") }
    }
    if files.isEmpty, subtitle.isEmpty || id == nil {
      throw ValidationError("name at least one file, or --id and --subtitle for an asset that exists")
    }
    if files.count > 1 {
      if id != nil { throw ValidationError("--id names one asset, so give one file") }
      if !subtitle.isEmpty { throw ValidationError("--subtitle belongs to one asset, so give one file") }
    }
    let languages = subtitle.map(\.language)
    if let twice = languages.first(where: { language in languages.count { $0 == language } > 1 }) {
      throw ValidationError("--subtitle names \(twice) twice: one file a language")
    }
  }

  func run() throws {
    let configuration = try options.load()
    let site = try siteOption.pick(configuration)
    let store = try options.openStore(configuration)
    var ingest = Ingest(
      store: store, site: site.name, segmentMilliseconds: UInt32(site.packaging.segmentMilliseconds))
    ingest.notice = { Terminal.error($0) }
    var failed = false
    // Without a file the subtitles alone join the asset.
    for file in files.isEmpty ? [nil] : files.map(Optional.some) {
      var bar = ProgressBar(file ?? "")
      do throws(IngestError) {
        let asset = try run(ingest, file) { bar.show($0, of: $1) }
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

  /// `en=film.srt`.
  private static func sidecar(_ text: String) throws -> SidecarSubtitle {
    let parts = text.split(separator: "=", maxSplits: 1).map(String.init)
    guard parts.count == 2, let found = SidecarSubtitle(language: parts[0], path: parts[1]) else {
      throw ValidationError("write a language and a file, such as en=film.srt")
    }
    return found
  }

  private func run(_ ingest: Ingest, _ file: String?, _ progress: @escaping Ingest.Progress)
    throws(IngestError)
    -> AssetRecord
  {
    guard let file else { return try ingest.addSubtitles(subtitle, to: id ?? "") }
    guard let rendition, let id else {
      return try ingest.importFile(
        path: file, id: id, title: title, subtitles: subtitle, progress: progress)
    }
    return try ingest.addRendition(rendition, path: file, to: id, subtitles: subtitle, progress: progress)
  }
}
