import Foundation
import Origin
import PluginContract
import Store
import Testing

@testable import TranscodePlugin

@Suite struct TranscodePluginTests {
  @Test func keepsTheContract() async throws {
    let folder = FileManager.default.temporaryDirectory.appending(
      path: "headwater-transcode-\(UUID().uuidString)")
    defer { try? FileManager.default.removeItem(at: folder) }
    let store = try Store(
      path: folder.path, options: StoreOptions(indexMapSizeBytes: 1 << 30, indexReserveBytes: 0))
    let contract = PluginContract(
      TranscodePlugin.self, settings: ["lowest_first = false", "keep_source = true"], store: store)
    let violations = await contract.violations()
    #expect(violations.isEmpty)
  }

  @Test func aLadderIsAFileBesideTheSites() throws {
    let folder = FileManager.default.temporaryDirectory.appending(
      path: "headwater-ladders-\(UUID().uuidString)")
    defer { try? FileManager.default.removeItem(at: folder) }
    let ladders = folder.appending(path: "ladders")
    try FileManager.default.createDirectory(at: ladders, withIntermediateDirectories: true)
    try FileManager.default.createDirectory(
      at: folder.appending(path: "sites"), withIntermediateDirectories: true)
    try Data("quality = 30\n".utf8).write(to: ladders.appending(path: "small.toml"))
    try Data("\nqualty = 30\n".utf8).write(to: ladders.appending(path: "wrong.toml"))
    func decode(_ text: String) -> (table: ConfigTable, problems: [ConfigProblem]) {
      TranscodeConfig.section.decode(text: text, file: folder.path + "/sites/demo.toml")
    }
    let small = decode("ladder = \"small\"")
    #expect(small.problems.isEmpty)
    #expect(TranscodeConfig(small.table).ladder.rungs.allSatisfy { $0.quality == 30 })
    // Without a file of that name the default is what is shipped.
    #expect(TranscodeConfig(decode("").table).ladder == Ladder(Ladder.section.defaults))
    let missing = try #require(decode("ladder = \"smal\"").problems.first)
    #expect("\(missing)".contains("sites/demo.toml:1:10: "), "\(missing)")
    #expect(missing.suggestion == "small")
    let wrong = try #require(decode("ladder = \"wrong\"").problems.first)
    #expect("\(wrong)".contains("ladders/wrong.toml:2:1: unknown key"), "\(wrong)")
  }
}
