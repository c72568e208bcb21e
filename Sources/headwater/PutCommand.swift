import ArgumentParser
import Foundation
import HTTP
import Origin
import Store

struct PutCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "put",
    abstract: "Publish static files under /f/.",
    usage: "headwater put [--site S] PATH FILE\nheadwater put [--site S] --recursive PREFIX DIR",
    discussion: "Each file appears as a whole or not at all, and replaces what was under its path.")

  @OptionGroup var options: CommandOptions
  @OptionGroup var siteOption: SiteOption
  @Flag(help: "Publish every file below DIR under PREFIX.")
  var recursive = false
  @Flag(help: "Print JSON objects, one a line.")
  var json = false
  @Argument(help: "The path below /f/, or with --recursive a prefix; \"\" is the top.")
  var path: String
  @Argument(help: "The file, or with --recursive the folder.", completion: .file())
  var file: String

  private struct Row: Encodable {
    var path: String
    var blob: String
    var bytes: UInt64
    var mediaType: String
  }

  func run() throws {
    let configuration = try options.load()
    let site = try siteOption.pick(configuration)
    let store = try options.openStore(configuration)
    var failed = false
    for (target, source) in try sources() {
      do throws(StoreError) {
        let staged = try store.blobs.importFile(source)
        let record = try store.publishFile(
          FileDraft(
            site: site.name, path: target, blob: staged.id,
            mediaType: "\(MediaType.forPath(Array(target.utf8).span))"))
        let row = Row(
          path: record.path, blob: record.blob.hex, bytes: record.sizeBytes, mediaType: record.mediaType)
        if json { Terminal.json(row) } else { Terminal.line("/f/\(row.path)\t\(row.blob)\t\(row.bytes)") }
      } catch {
        failed = true
        Terminal.error("\(source): \(error)")
      }
    }
    if failed { throw ExitCode.failure }
  }

  /// Pairs of published path and local file.
  private func sources() throws -> [(String, String)] {
    var isFolder: ObjCBool = false
    guard FileManager.default.fileExists(atPath: file, isDirectory: &isFolder) else {
      throw ValidationError("\(file) does not exist")
    }
    guard recursive else {
      if isFolder.boolValue { throw ValidationError("\(file) is a folder; publish it with --recursive") }
      return [(Self.trimmed(path), file)]
    }
    guard isFolder.boolValue else { throw ValidationError("\(file) is not a folder") }
    guard let walk = FileManager.default.enumerator(atPath: file) else {
      throw ValidationError("\(file) can't be listed")
    }
    let prefix = Self.trimmed(path)
    var found: [(String, String)] = []
    for case let name as String in walk {
      let full = "\(file)/\(name)"
      var isInner: ObjCBool = false
      if FileManager.default.fileExists(atPath: full, isDirectory: &isInner), !isInner.boolValue {
        found.append((prefix.isEmpty ? name : "\(prefix)/\(name)", full))
      }
    }
    return found.sorted { $0.0 < $1.0 }
  }

  /// Without the slashes around it; the paths of the store have none.
  private static func trimmed(_ path: String) -> String {
    var path = Substring(path)
    while path.hasPrefix("/") { path = path.dropFirst() }
    while path.hasSuffix("/") { path = path.dropLast() }
    return String(path)
  }
}
