import Foundation
import Packaging
import Support
import Testing

/// Damaged files end in a report or in a crash of the process, never in a hang.
@Suite("Remuxing damaged files")
struct RemuxDamageTests {
  private static let sources = [
    "ts-h264-aac.ts", "vp9-opus.webm", "mkv-ass.mkv", "mkv-srt.mkv", "ts-h264-mp3-id3.ts", "ts-hevc-aac.ts",
    "av1.webm", "vp8-webvtt.webm", "mkv-pgs.mkv", "ts-h264-ac3.ts",
  ]
  /// `HEADWATER_REMUX_SEEDS` runs more of them.
  private static let seeds: [UInt64] = {
    let count = ProcessInfo.processInfo.environment["HEADWATER_REMUX_SEEDS"].flatMap { UInt64($0) } ?? 50
    return Array(1...max(count, 1))
  }()

  private func damaged(_ bytes: [UInt8], _ random: inout SplitMix64) -> [UInt8] {
    var bytes = bytes
    for _ in 0..<Int.random(in: 1...20, using: &random) where bytes.count > 64 {
      let position = Int.random(in: 0..<bytes.count, using: &random)
      // Half of the damage hits the head, where the structure is.
      let near = Bool.random(using: &random) ? position : position % min(bytes.count, 4096)
      let end = min(bytes.count, near + Int.random(in: 1...600, using: &random))
      switch Int.random(in: 0..<6, using: &random) {
      case 0: bytes[near] ^= 1 << UInt8.random(in: 0..<8, using: &random)
      case 1: bytes[near] = [0, 0xFF, 0x7F, 0x80, 0x47].randomElement(using: &random) ?? 0
      case 2: bytes.removeSubrange(near..<end)
      case 3: bytes.insert(contentsOf: bytes[near..<end], at: near)
      case 4: for index in near..<end { bytes[index] = UInt8.random(in: 0...255, using: &random) }
      default: if near > bytes.count / 2 { bytes.removeLast(bytes.count - near) }
      }
    }
    return bytes
  }

  @Test(arguments: seeds) func damageEndsInAReport(seed: UInt64) throws {
    guard SharedMedia.folder != nil else { return print("note:", SharedMedia.absence) }
    var random = SplitMix64(seed: seed)
    let name = Self.sources[Int(seed % UInt64(Self.sources.count))]
    let folder = try TemporaryFolder("damage")
    let path = try folder.write("in", damaged(bytes(ofFile: SharedMedia.path(name)), &random))
    // Throws where the process hangs.
    let remuxed = try Remuxed(path, demuxer: Remuxed.demuxer(of: name), timeout: .seconds(30))
    guard let report = remuxed.report else {
      print("note: seed \(seed) of \(name) ended with \(remuxed.status)")
      #expect(remuxed.status < 0, "a crash is a signal")
      return
    }
    guard report.failure == nil else {
      #expect(report.failure?.kind != .environment, "\(String(describing: report.failure))")
      return
    }
    #expect(!report.kept.isEmpty)
    switch MediaInspector.inspect(ArraySource(try bytes(ofFile: remuxed.outputPath))) {
    case .packageable, .bytesOnly: break
    case .refused(let error): Issue.record("seed \(seed) of \(name): \(error)")
    }
  }

  @Test func emptyAndForeignFilesAreDamaged() throws {
    let folder = try TemporaryFolder("damage")
    for bytes in [[], Array("plain text, and no media".utf8), [UInt8](repeating: 0, count: 100_000)] {
      for demuxer in ["matroska", "mpegts", "flv", "ogg", "mp3", "aac", "flac"] {
        let remuxed = try Remuxed(folder.write("in", bytes), demuxer: demuxer)
        #expect(remuxed.report?.failure != nil, "\(demuxer)")
      }
    }
  }
}
