import Glibc
import Packaging
import Testing

@testable import Origin

/// The program behind `MediaProcess` is a shell script here: what is tested is what the parent gives, takes and ends.
@Suite struct MediaProcessTests {
  private let folder: ConfigFolder

  init() throws { folder = try ConfigFolder() }

  private func program(_ script: String) throws -> MediaProcess {
    MediaProcess(program: try folder.write("program", "#!/bin/sh\n\(script)\n", mode: 0o700))
  }

  /// Runs a script on `input`; what it reported and wrote.
  private func run(
    _ script: String, input: String = "in", limit: Duration = .seconds(60)
  ) throws -> (run: MediaProcess.Run, output: String) {
    let process = try program(script)
    let source = open(try folder.write("input", input), O_RDONLY | O_CLOEXEC)
    let path = try folder.write("output", "")
    let output = open(path, O_RDWR | O_CLOEXEC)
    defer {
      close(source)
      close(output)
    }
    let run = try process.run(
      ["remux", "--demuxer", "matroska"], input: source, output: output, limit: limit)
    return (run, String(decoding: try ConfigFixture.read(path), as: UTF8.self))
  }

  @Test func inputOutputReportAndArgumentsGoThrough() throws {
    let (run, output) = try run(
      #"cat <&3 >&4; printf '%s' "$*" >&5; echo noise; echo why >&2; exit 3"#, input: "bytes")
    #expect(output == "bytes")
    #expect(String(decoding: run.report, as: UTF8.self) == "remux --demuxer matroska")
    #expect(run.log == "why\n" && run.status == 3 && run.signal == 0 && run.hasEnded)
  }

  @Test func nothingElseIsInherited() throws {
    let secret = open(try folder.write("secret", "secret"), O_RDONLY)
    defer { close(secret) }
    setenv("HEADWATER_TEST_SECRET", "secret", 1)
    let (run, output) = try run(
      "env >&4; for n in 0 3 4; do readlink /proc/$$/fd/$n; done >&5; readlink /proc/$$/fd/* >&5; cat")
    #expect(!output.contains("HEADWATER_TEST_SECRET") && output.contains("PATH="))
    let files = String(decoding: run.report, as: UTF8.self).split(separator: "\n").map(String.init)
    try #require(files.count >= 9, "\(files)")
    #expect(files[0] == "/dev/null" && files[1].hasSuffix("/input") && files[2].hasSuffix("/output"))
    #expect(!files.contains { $0.hasSuffix("/secret") || $0.hasPrefix("socket:") })
  }

  @Test func timeEndsTheWholeGroup() throws {
    let (run, _) = try run("sleep 1000 & echo $! >&5; wait", limit: .milliseconds(300))
    #expect(!run.hasEnded)
    let child = try #require(
      pid_t(String(decoding: run.report, as: UTF8.self).split(separator: "\n").first.map(String.init) ?? ""))
    // It was killed with its parent; it takes the kernel a moment, and whoever inherits it may not reap it.
    let deadline = ContinuousClock.now + .seconds(20)
    var state: String?
    repeat {
      state = try? String(decoding: ConfigFixture.read("/proc/\(child)/stat"), as: UTF8.self)
      if state == nil || state?.contains(") Z ") == true { return }
    } while poll(nil, 0, 5) == 0 && ContinuousClock.now < deadline
    Issue.record("still there: \(state ?? "")")
  }

  @Test func timeEndsOneThatHasClosedItsPipes() throws {
    let (run, _) = try run("exec 5>&- 2>&-; sleep 1000", limit: .milliseconds(300))
    #expect(!run.hasEnded && run.report.isEmpty)
  }

  @Test func onlyTheEndOfALongLogIsKept() throws {
    let (run, _) = try run("head -c 300000 /dev/zero | tr '\\0' x >&2; echo end >&2")
    #expect(run.log.utf8.count <= 64 << 10 && run.log.hasSuffix("xend\n"))
  }

  @Test func anEndlessReportIsNotTaken() throws {
    let (run, _) = try run("exec cat /dev/zero >&5")
    #expect(!run.hasEnded && run.report.count < 65 << 20)
  }

  @Test func whatGivesNoReportIsAnError() throws {
    let source = open("/dev/null", O_RDONLY | O_CLOEXEC)
    defer { close(source) }
    func code(_ script: String) throws -> MediaProcessError? {
      let process = try program(script)
      do throws(MediaProcessError) {
        _ = try process.remux(input: source, inputBytes: 0, output: source, demuxer: "ogg")
        return nil
      } catch { return error }
    }
    #expect(try code("echo broken >&5; echo why >&2")?.code == "media-program-failed")
    #expect(try code("echo why >&2")?.log == "why\n")
    let killed = try code("kill -9 $$")
    #expect(killed?.message.contains("signal 9") == true)
    var absent: String?
    do throws(MediaProcessError) {
      _ = try MediaProcess(program: folder.path + "/none").remux(
        input: source, inputBytes: 0, output: source, demuxer: "ogg")
    } catch { absent = error.code }
    #expect(absent == "media-program-failed")
  }

  @Test func largeInputsGetMoreTime() {
    #expect(MediaProcess.limit(inputBytes: 0) == .seconds(60))
    #expect(MediaProcess.limit(inputBytes: 4 << 30) == .seconds(60 + 1024))
    #expect(MediaProcess.limit(inputBytes: .max) > .seconds(1 << 40))
  }
}
