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

  /// A program that was taken over, behind all layers, in both forms of the sandbox.
  @Test(arguments: [false, true]) func aWholeSandboxHolds(allowsThreads: Bool) throws {
    let folder = try TemporaryFolder("siege")
    let canary = try Canary()
    let index = try folder.write("data.mdb", text: "the index")
    let limitBytes = 3 << 20
    let ended = try Command.run(
      "sh",
      [
        "-c",
        #"program=$0 out=$1; shift; "$program" sandbox-check "$@" 3</dev/null 4<>"$out" 5>/dev/null; echo "status $?""#,
        Remuxed.program, folder.path("out"), "--file", index, "--port", "\(canary.port)", "--output-bytes",
        "\(limitBytes)", "--threads", allowsThreads ? "yes" : "no",
      ])
    // The shell is the parent.
    #expect(ended.status == 0 && ended.lines.last == "status 0", "\(ended.text)\(ended.errors)")
    let refused = ended.lines.filter { $0.contains(": refused (") }.map { $0.prefix { $0 != ":" } }
    #expect(refused.count == 26 && ended.lines.count == 27, "\(ended.text)")
    for attempt in [
      "read a file", "read /etc/passwd", "connect", "run a program", "start processes", "trace the parent",
      "kill the parent", "ask by io_uring", "write 10 GB",
    ] { #expect(refused.contains(attempt[...]), "\(attempt)") }
    #expect(canary.visits == 0)
    #expect(String(decoding: try bytes(ofFile: index), as: UTF8.self) == "the index")
    #expect(try bytes(ofFile: folder.path("out")).count == limitBytes)
  }

  /// What the kernel says of a process that waits in its sandbox for an order.
  @Test func aProcessHasAnAccountOfItsOwnAndRunsWhenIdle() async throws {
    let folder = try TemporaryFolder("account")
    let order = folder.path("order")
    #expect(try Command.run("mkfifo", [order]).status == 0)
    let process = try BackgroundCommand(
      "sh",
      [
        "-c", #"exec "$0" stills --nice 19 --when-idle 3<>"$1" 4<>"$2" 5>/dev/null"#, Remuxed.program, order,
        folder.path("out"),
      ])
    defer { process.kill() }
    func status(_ name: String, of process: String) -> [Substring] {
      let text = (try? String(decoding: bytes(ofFile: "/proc/\(process)/status"), as: UTF8.self)) ?? ""
      return text.split(separator: "\n").first { $0.hasPrefix("\(name):") }?.split(separator: "\t")
        .dropFirst()
        .map { $0 } ?? []
    }
    let id = "\(process.id)"
    // Fields from the third on; 19 is nice, 41 the policy: SCHED_IDLE.
    func stat() -> [Substring] {
      let text = (try? String(decoding: bytes(ofFile: "/proc/\(id)/stat"), as: UTF8.self)) ?? ""
      return text[(text.lastIndex(of: ")") ?? text.startIndex)...].split(separator: " ").dropFirst().map {
        $0
      }
    }
    // The account comes before, and what comes after waits for an idle processor.
    #expect(await eventually { stat().dropFirst(38).first == "5" })
    #expect(stat().dropFirst(16).first == "19", "\(stat())")
    let own = try #require(status("Uid", of: "self").first.flatMap { UInt32($0) })
    let effective = try #require(status("CapEff", of: "self").first.flatMap { UInt64($0, radix: 16) })
    let canChange = effective & 0xE0 == 0xE0
    if canChange {
      let account = "\(0x7000_0000 + process.id)"
      // In a user namespace it may be nobody's.
      let (users, groups) = (status("Uid", of: id), status("Gid", of: id))
      #expect(Set(users).isSubset(of: [account[...], "65534"]) && Set(users).count == 1 && users == groups)
      #expect(status("CapPrm", of: id).first.flatMap { UInt64($0, radix: 16) } == 0)
      #expect(status("Groups", of: id).allSatisfy { $0.allSatisfy { $0 == " " } })
    } else {
      #expect(status("Uid", of: id).first.flatMap { UInt32($0) } == own)
    }
  }

  /// What libav would follow to other files and hosts, under names and beginnings of media. What they name is a pipe that nobody
  /// writes to, where opening it would wait for ever, and a port of somebody who counts visits.
  @Test func playlistsInDisguiseOpenNothing() throws {
    let folder = try TemporaryFolder("disguise")
    let canary = try Canary()
    let pipe = folder.path("secret.ts")
    #expect(try Command.run("mkfifo", [pipe]).status == 0)
    for (name, text) in Disguise.texts(file: pipe, port: canary.port) {
      let path = try folder.write("\(name).mp4", text)
      for demuxer in ["mov", "matroska", "mpegts", "avi", "hls", "concat", "dash", "sdp", "mpegvideo"] {
        for command in [["survey"], ["remux"], ["transcode-audio", "--request", Self.sound]] {
          let ended = try Command.run(
            "sh",
            [
              "-c", #"program=$0 in=$1 out=$2; shift 2; exec "$program" "$@" 3<"$in" 4<>"$out" 5>&1"#,
              Remuxed.program, path, folder.path("out"),
            ] + command + ["--demuxer", demuxer], timeout: .seconds(30))
          // A report of a failure, or of nothing found.
          #expect(
            ended.status == 0, "\(name) as \(demuxer) by \(command[0]): \(ended.status) \(ended.errors)")
          #expect(
            ended.text.contains("\"failure\":{") || ended.text.contains("\"kept\":[]"),
            "\(name) as \(demuxer) by \(command[0]): \(ended.text)")
        }
      }
    }
    #expect(canary.visits == 0)
  }

  private static let sound =
    #"{"bitsPerSecond":128000,"mostChannels":2,"zeroMicroseconds":0}"#

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
