import Foundation
import Support
import Testing

private enum CodecLadders {
  /// Sites are told apart by the host: `demo` by numbers, `localhost` by its name.
  static let options: ServerUnderTest.Options = {
    var options = ServerUnderTest.Options()
    options.tables = "[jobs]\nworkers = \"2\""
    func site(_ host: String, _ ladder: String) -> String {
      "hosts = [\"\(host)\"]\n[packaging]\nsegment = \"2s\"\n[plugins.transcode]\nladder = \"\(ladder)\""
    }
    options.sites = [
      "demo": site("127.0.0.1", "codings"), "sound": site("localhost", "sound"),
      "two": site("two.test", "two"),
      "title": site("title.test", "title"),
      "../ladders/codings": """
      preset = "ultrafast"
      rungs = [
        { name = "h264", height = 72, kbps = 300 },
        { name = "hevc", height = 90, kbps = 300, encoder = "libx265", preset = "ultrafast", keep_hdr = true },
        { name = "av1", height = 108, kbps = 300, encoder = "libsvtav1", preset = "12", quality = 40, keep_hdr = true },
        { name = "vp9", height = 126, kbps = 300, encoder = "libvpx-vp9", preset = "8", quality = 40 },
        { name = "card", height = 144, kbps = 300, encoder = "h264_nvenc" },
      ]
      """,
      "../ladders/sound": """
      preset = "ultrafast"
      audio_channels = 6
      audio_kbps = 256
      loudness = -16
      rungs = [{ name = "72p", height = 72, kbps = 200 }]
      """,
      "../ladders/two": """
      preset = "veryfast"
      passes = 2
      rungs = [{ name = "90p", height = 90, kbps = 150 }, { name = "180p", height = 180, kbps = 600 }]
      """,
      "../ladders/title": """
      preset = "veryfast"
      mode = "per-title"
      rungs = [
        { name = "90p", height = 90, kbps = 4000 }, { name = "126p", height = 126, kbps = 4000 },
        { name = "144p", height = 144, kbps = 4000 }, { name = "180p", height = 180, kbps = 4000 },
      ]
      """,
    ]
    return options
  }()
}

extension EndToEnd {
  /// What ladders may ask for besides H.264 and stereo: other codings, high dynamic range, more channels, loudness, hardware that
  /// is not there, two passes, and measured rungs.
  @Suite(
    .enabled(if: Checkout.tool("ffmpeg") != nil, "ffmpeg is not installed"),
    .served(CodecLadders.options, { _ in }))
  struct TranscodeCodecTests {
    private struct Job: Decodable {
      let id: String
      let kind: String
      let state: String
      /// JSON in a string; `show` has it alone.
      let result: String?
    }

    /// What the results of `transcode.choose` and `transcode.join` hold.
    private struct Result: Decodable {
      struct Rung: Decodable {
        let name: String
        let quality: Double?
        let meanKilobitsPerSecond: Double
        let similarity: Double?
      }
      struct Warning: Decodable { let code: String, message: String }
      let rungs: [Rung]?
      let warnings: [Warning]?
    }

    private func jobs(_ site: String, _ id: String) throws -> [Job] {
      try Served.server.headwater(["jobs", "list", "--site", site, "--asset", id, "--json"]).lines.map {
        try JSONDecoder().decode(Job.self, from: Data($0.utf8))
      }
    }

    /// Of all jobs of a kind.
    private func results(_ kind: String, _ site: String, _ id: String) throws -> [Result] {
      try jobs(site, id).filter { $0.kind == kind }.map { job in
        let shown = try Served.server.headwater(["jobs", "show", "--json", job.id])
        let whole = try JSONDecoder().decode(Job.self, from: Data(shown.output))
        return try JSONDecoder().decode(Result.self, from: Data((whole.result ?? "{}").utf8))
      }
    }

    /// Imports, and waits for all rungs.
    private func transcode(_ site: String, _ id: String, _ file: String) throws {
      let server = try Served.server
      let done = try server.headwater(["import", "--site", site, "--id", id, file])
      try #require(done.status == 0, "\(done.errors)")
      let deadline = ContinuousClock.now + .seconds(120)
      while true {
        let jobs = try jobs(site, id)
        if let failed = jobs.first(where: { $0.state == "failed" }) {
          throw SupportError("\(failed)\n\(server.log)")
        }
        if jobs.contains(where: { $0.kind == "transcode.join" }), jobs.allSatisfy({ $0.state == "completed" })
        {
          return
        }
        guard ContinuousClock.now < deadline else {
          throw SupportError("\(jobs)\n\(server.log.suffix(3000))")
        }
        _ = try server.headwater(["jobs", "watch", "--site", site], timeout: .seconds(120))
      }
    }

    private func made(_ name: String, _ arguments: [String]) throws -> String {
      let path = try Served.server.folder.path(name)
      let done = try Command.run("ffmpeg", ["-v", "error", "-nostdin", "-y"] + arguments + [path])
      guard done.status == 0 else { throw SupportError("ffmpeg \(name): \(done.errors)") }
      return path
    }

    private func entries(_ url: String, _ stream: String, _ entries: String) throws -> [String] {
      try Command.run(
        "ffprobe",
        [
          "-v", "error", "-select_streams", stream, "-show_entries", "stream=\(entries)", "-of", "csv=p=0",
          url,
        ]
      ).lines.first.map { $0.split(separator: ",").map(String.init) } ?? []
    }

    private static let picture = ["-f", "lavfi", "-i", "testsrc2=size=320x180:rate=25:duration=4"]
    private static let plain = [
      "-c:v", "libx264", "-preset", "ultrafast", "-threads", "1", "-pix_fmt", "yuv420p",
    ]

    @Test func everyCodingIsMadeAndPlays() throws {
      let server = try Served.server
      try transcode("demo", "all", made("all.mp4", Self.picture + Self.plain + ["-g", "50"]))
      for (rung, coding) in [
        ("h264", "h264"), ("hevc", "hevc"), ("av1", "av1"), ("vp9", "vp9"), ("card", "h264"),
      ] {
        let url = server.url("/v/all/\(rung).mp4")
        #expect(try FFmpeg.codec(url, "v:0") == coding, "\(rung)")
        let frames = try Command.run(
          "ffmpeg", ["-v", "warning", "-nostdin", "-xerror", "-i", url, "-f", "null", "-"])
        #expect(frames.status == 0 && frames.errors.isEmpty, "\(rung): \(frames.errors)")
      }
      #expect(try FFmpeg.warnings(server.url("/v/all/master.m3u8")) == [])
      #expect(try FFmpeg.warnings(server.url("/v/all/manifest.mpd")) == [])
      // The card is not there: an encoder in software took its place, and the job says so.
      let warnings = try results("transcode.join", "demo", "all").flatMap { $0.warnings ?? [] }
      #expect(
        warnings.contains {
          $0.code == "encoder-replaced" && $0.message.contains("h264_nvenc needs a device")
        },
        "\(warnings)")
    }

    @Test func highDynamicRangeIsKeptOrMapped() throws {
      let server = try Served.server
      try transcode(
        "demo", "hdr",
        made(
          "hdr.mp4",
          Self.picture + [
            "-vf",
            "zscale=tin=bt709:pin=bt709:min=bt709:rin=limited:t=smpte2084:p=bt2020:m=bt2020nc:npl=200,format=yuv420p10le",
            "-c:v", "libx265", "-preset", "ultrafast", "-tag:v", "hvc1", "-x265-params",
            "log-level=error:keyint=50:pools=1:frame-threads=1:colorprim=bt2020:transfer=smpte2084:colormatrix=bt2020nc",
          ]))
      for (rung, format, transfer) in [
        ("h264", "yuv420p", "bt709"), ("hevc", "yuv420p10le", "smpte2084"),
        ("av1", "yuv420p10le", "smpte2084"),
        ("vp9", "yuv420p", "bt709"),
      ] {
        let found = try entries(server.url("/v/hdr/\(rung).mp4"), "v:0", "pix_fmt,color_transfer")
        #expect(found == [format, transfer], "\(rung)")
      }
      // Both kinds of range are stated, so that a player can choose by its screen.
      let playlist = try server.curl("/v/hdr/master.m3u8").text
      #expect(playlist.contains("VIDEO-RANGE=PQ") && playlist.contains("VIDEO-RANGE=SDR"), "\(playlist)")
      // Mapped to what it was before, by and large: neither grey nor burnt out.
      func brightness(_ url: String) throws -> Double {
        let done = try Command.run(
          "ffmpeg",
          [
            "-v", "error", "-i", url, "-vf", "signalstats,metadata=print:key=lavfi.signalstats.YAVG:file=-",
            "-frames:v", "1", "-f", "null", "-",
          ])
        return done.text.split(separator: "=").last.flatMap { Double($0.filter { !$0.isNewline }) } ?? .nan
      }
      let source = try brightness(made("sdr.mp4", Self.picture + Self.plain))
      #expect(abs(try brightness(server.url("/v/hdr/h264.mp4")) - source) < 40, "\(source)")
    }

    private static let surround = [
      "-f", "lavfi", "-i",
      "aevalsrc=0.02*sin(880*t)|0.02*sin(1000*t)|0.02*sin(660*t)|0|0.01*sin(440*t)|0.01*sin(550*t):c=5.1:d=8:s=48000",
    ]

    @Test func moreChannelsAreMixedDownOrKeptAndMadeAsLoudAsWanted() throws {
      let server = try Served.server
      let film = try made(
        "surround.mkv",
        ["-f", "lavfi", "-i", "testsrc2=size=160x90:rate=25:duration=8"] + Self.surround + Self.plain
          + ["-c:a", "ac3", "-b:a", "384k"])
      try transcode("demo", "stereo", film)
      #expect(try entries(server.url("/v/stereo/h264.mp4"), "a:0", "codec_name,channels") == ["aac", "2"])
      try transcode("sound", "wide", film)
      let url = "http://localhost:\(server.port)/v/wide/72p.mp4"
      #expect(try entries(url, "a:0", "codec_name,channels") == ["aac", "6"])
      // Integrated loudness by ffmpeg's meter: far below before, near to -16 LUFS after.
      func loudness(_ url: String) throws -> Double {
        let done = try Command.run(
          "ffmpeg", ["-v", "info", "-nostdin", "-i", url, "-vn", "-af", "ebur128", "-f", "null", "-"])
        let line = done.errors.split(separator: "\n").last { $0.contains("I:") && $0.contains("LUFS") }
        return line?.split(separator: " ").compactMap { Double($0) }.first ?? .nan
      }
      #expect(try loudness(film) < -25)
      #expect(abs(try loudness(url) + 16) < 2)
    }

    private func meanKilobits(_ file: [UInt8], _ seconds: Double) -> Double {
      Double(file.count) * 8 / 1000 / seconds
    }

    @Test func twoPassesHaveTheRateOfTheRung() throws {
      let server = try Served.server
      // An easy half and a hard one.
      let film = try made(
        "two.mp4",
        [
          "-f", "lavfi", "-i", "testsrc2=size=320x180:rate=25:duration=12", "-f", "lavfi", "-i",
          "testsrc2=size=320x180:rate=25:duration=12,noise=alls=6:allf=t", "-filter_complex", "concat=n=2",
        ] + Self.plain + ["-g", "50"])
      try transcode("two", "film", film)
      for (rung, kilobits) in [("90p", 150.0), ("180p", 600)] {
        let file = try server.curl("/v/film/\(rung).mp4", [("Host", "two.test")])
        let mean = meanKilobits(file.body, 24)
        #expect(abs(mean / kilobits - 1) < 0.2, "\(rung): \(mean) kbit/s")
      }
      let chosen = try #require(try results("transcode.choose", "two", "film").first?.rungs)
      #expect(chosen.map(\.name) == ["90p", "180p"] && chosen.allSatisfy { $0.quality != nil })
    }

    @Test func aTitleGetsTheRungsThatSuitIt() throws {
      let server = try Served.server
      // Nearly still: the rungs in the middle would save next to nothing.
      let still = try made(
        "still.mp4",
        ["-f", "lavfi", "-i", "smptebars=size=320x180:rate=25:duration=8"] + Self.plain + ["-g", "50"])
      try transcode("title", "still", still)
      let chosen = try #require(try results("transcode.choose", "title", "still").first?.rungs)
      let kept = chosen.filter { $0.quality != nil }.map(\.name)
      #expect(kept.first == "90p" && kept.last == "180p" && kept.count < 4, "\(chosen)")
      #expect(chosen.allSatisfy { ($0.similarity ?? 0) > 0.9 }, "\(chosen)")
      for name in chosen.map(\.name) {
        let status = try server.curl("/v/still/\(name).mp4", [("Host", "title.test")], method: "HEAD").status
        #expect(status == (kept.contains(name) ? 200 : 404), "\(name)")
      }
      // The same again, under another name: the same choice.
      try transcode("title", "again", still)
      let again = try #require(try results("transcode.choose", "title", "again").first?.rungs)
      #expect(again.map(\.quality) == chosen.map(\.quality))
      #expect(again.map(\.similarity) == chosen.map(\.similarity))
    }
  }
}
