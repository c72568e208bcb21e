import Foundation
import PluginContract
import Store
import Testing

@testable import Origin
@testable import ThumbnailsPlugin

/// Settings as they stand in a site file, and what becomes of them.
@Suite struct ThumbnailsPluginTests {
  struct Refused: Error { let problem: ConfigProblem }

  static func table(_ text: String) throws -> ConfigTable {
    let (table, problems) = ThumbnailsPlugin.declaration.settings.decode(text: text)
    if let problem = problems.first { throw Refused(problem: problem) }
    return table
  }

  @Test func keepsTheContract() async throws {
    let folder = FileManager.default.temporaryDirectory.appending(
      path: "headwater-thumbnails-\(UUID().uuidString)")
    defer { try? FileManager.default.removeItem(at: folder) }
    let store = try Store(
      path: folder.path, options: StoreOptions(indexMapSizeBytes: 1 << 30, indexReserveBytes: 0))
    let contract = PluginContract(
      ThumbnailsPlugin.self, settings: ["widths = [\"160\"]\nposter = \"12s\"", "manifests = false"],
      store: store)
    #expect(await contract.violations().isEmpty)
  }

  @Test func settingsBecomeValues() throws {
    let config = try ThumbnailsConfig(
      Self.table("widths = [\"640\", \"160\"]\nposter = \"1500ms\"\ncache = \"2GiB\"\ninterval = \"10s\""))
    #expect(config.widthsPixels == [160, 640])
    #expect(config.poster == .time(milliseconds: 1500))
    #expect(config.cacheBytes == 2 << 30)
    #expect(config.intervalMilliseconds == 10_000)
  }

  @Test(arguments: [
    ("widths = [\"big\"]", "widths"), ("widths = [\"9000\"]", "widths"), ("poster = \"sometime\"", "poster"),
    ("poster = \"-1s\"", "poster"), ("poster = \"99999999999999999999s\"", "poster"),
    ("columns = 50\ntile_width = 320", "columns"), ("columns = 25\nrows = 50", "rows"),
  ])
  func wrongSettingsAreRefused(text: String, key: String) throws {
    let table = try Self.table(text)
    do throws(PluginError) {
      _ = try ThumbnailsConfig(table)
      Issue.record("\(text) is taken")
    } catch {
      #expect(error.key == key)
    }
  }

  @Test func onlyOfferedWidthsAreMade() throws {
    var config = try ThumbnailsConfig(Self.table("widths = [\"160\", \"640\"]"))
    func width(_ wished: Int?, token: Bool = false) -> Int? {
      try? config.width(wished, fallback: 320) { () throws(Problem) in if !token { throw .assetPrivate } }
    }
    #expect(width(nil) == 320)
    #expect(width(320) == 320)
    #expect(width(160) == 160)
    #expect(width(161) == nil && width(0) == nil && width(161, token: true) == nil)
    config.allowsSignedWidths = true
    #expect(width(161, token: true) == 161)
    #expect(width(161) == nil && width(0, token: true) == nil && width(99_999, token: true) == nil)
  }
}
