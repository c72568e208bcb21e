import Foundation
import Packaging
import Support
import Testing

@Suite("The sandbox of headwater-media")
struct SandboxTests {
  private func check() throws -> [String: [String]] {
    let ended = try Command.run(Remuxed.program, ["sandbox-check"])
    #expect(ended.status == 0, "\(ended.text)")
    // layer: attempt: what became of it
    return Dictionary(grouping: ended.lines.map { $0.components(separatedBy: ": ") }, by: { $0[0] })
      .mapValues { $0.filter { $0.count == 3 && $0[2].hasPrefix("refused") }.map { $0[1] } }
  }

  @Test func everyLayerRefusesByItself() throws {
    let refused = try check()
    #expect(
      refused["landlock"] == ["open /etc/passwd", "make a file in /tmp", "run /bin/true", "connect by TCP"])
    #expect(refused["resources"] == ["allocate 64 GiB", "write past the limit", "one more descriptor"])
    #expect(
      refused["seccomp"] == [
        "open /etc/passwd", "make a file in /tmp", "run /bin/true", "make a socket", "connect by TCP",
        "start a process", "start a thread", "be traced", "signal the parent", "mount",
        "map executable memory", "new name spaces",
      ])
  }

  /// Playlists that libav would follow to other files, as uploads with the look of media.
  @Test(arguments: ["hls", "concat", "dash", "sdp", "mov", "image2", ""])
  func onlyTheListedContainersAreRead(demuxer: String) throws {
    let folder = try TemporaryFolder("sandbox")
    let path = try folder.write("list.mp4", text: "#EXTM3U\n#EXTINF:1,\n/etc/passwd\n#EXT-X-ENDLIST\n")
    let remuxed = try Remuxed(path, demuxer: demuxer)
    if demuxer.isEmpty {
      #expect(remuxed.status == 64)
    } else {
      #expect(remuxed.report?.failure?.kind == .environment)
      #expect(remuxed.report?.failure?.code == "demuxer")
    }
  }

  @Test func anOutputThatGrowsTooLargeIsRefused() throws {
    guard SharedMedia.folder != nil else { return print("note:", SharedMedia.absence) }
    let path = try SharedMedia.path("ts-h264-aac.ts")
    let remuxed = try Remuxed(path, demuxer: "mpegts", options: ["--output-bytes", "100000"])
    #expect(remuxed.report?.failure?.code == "output-too-large")
    #expect(remuxed.report?.failure?.kind == .unsupported)
    #expect(remuxed.report?.kept.isEmpty == true)
  }

  @Test func tooLittleMemoryIsARefusalOrACrash() throws {
    guard SharedMedia.folder != nil else { return print("note:", SharedMedia.absence) }
    let path = try SharedMedia.path("ts-h264-aac.ts")
    let remuxed = try Remuxed(path, demuxer: "mpegts", options: ["--memory-bytes", "1000000"])
    #expect(remuxed.status != 0 || remuxed.report?.failure != nil)
  }

  @Test func processorTimeHasALimit() throws {
    guard SharedMedia.folder != nil else { return print("note:", SharedMedia.absence) }
    let path = try SharedMedia.path("ts-h264-aac.ts")
    let remuxed = try Remuxed(path, demuxer: "mpegts", options: ["--cpu-seconds", "0"])
    #expect(remuxed.status < 0)
  }

  @Test func aCommandLineThatIsNotUnderstoodIsSaid() throws {
    for arguments in [
      [], ["remux"], ["remux", "--demuxer"], ["remux", "--demuxer", "mpegts", "--cpu-seconds", "x"],
    ] {
      let ended = try Command.run(Remuxed.program, arguments)
      #expect(ended.status == 64)
      #expect(ended.errors.hasPrefix("usage:"))
    }
    // The descriptors are not there.
    let ended = try Command.run(
      "sh", ["-c", #"exec "$0" remux --demuxer mpegts 3<&- 4<&- 5<&-"#, Remuxed.program])
    #expect(ended.status == 64)
  }
}
