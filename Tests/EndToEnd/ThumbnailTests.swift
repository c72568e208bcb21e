import Foundation
import Support
import Testing

extension EndToEnd {
  /// Posters, thumbnails and storyboards, judged by ffmpeg.
  @Suite(
    .enabled(if: Checkout.tool("ffmpeg") != nil, "ffmpeg is not installed"),
    .served(StillMedia.served) { server in
      for (id, media) in StillMedia.all {
        try server.importAsset(id, StillMedia.make(media, in: server.folder, name: "\(id).mp4"))
      }
    })
  struct ThumbnailTests {
    private let server: ServerUnderTest

    init() throws { server = try Served.server }

    private func get(_ path: String, status: Int = 200) throws -> RawResponse {
      let answer = try server.curl(path)
      #expect(answer.status == status, "\(path): \(answer.text.prefix(300))")
      return answer
    }

    /// How often the server decoded for an asset, by the names it gave the results.
    private func made(_ asset: String, containing part: String) -> Int {
      server.log.split(separator: "\n").count {
        $0.contains("picture made") && $0.contains("asset=\(asset)") && $0.contains(part)
      }
    }

    // MARK: Pictures

    /// The key frame, or the very frame, that ffmpeg finds there, scaled by ffmpeg.
    @Test(arguments: [
      ("thumb_4000.jpg", 100, 320), ("thumb_4900.jpg?w=640", 100, 640), ("thumb_5100.jpg?w=160", 150, 160),
      ("thumb_0.webp", 0, 320), ("thumb_5480.jpg?exact=1", 137, 320),
      ("thumb_5500.webp?w=640&exact=1", 137, 640),
      ("thumb_39.jpg?exact=1", 0, 320), ("thumb_40.jpg?exact=1", 1, 320),
      ("thumb_11999.jpg?exact=1", 299, 320),
    ])
    func aThumbnailIsThatFrame(name: String, frame: Int, width: Int) throws {
      let answer = try get("/v/film/\(name)")
      #expect(answer["Content-Type"] == (name.contains("webp") ? "image/webp" : "image/jpeg"))
      let picture = try server.folder.write("picture", answer.body)
      #expect(try StillMedia.size(picture) == "\(width)x\(width * 9 / 16)")
      let source = server.folder.path("film.mp4")
      let similarity = try StillMedia.similarity(picture, source, frame: frame, width: width)
      #expect(similarity > 0.96, "\(name)")
      for other in [frame - 1, frame + 1] where (0..<300).contains(other) {
        #expect(
          try StillMedia.similarity(picture, source, frame: other, width: width) < similarity, "\(name)")
      }
    }

    @Test(arguments: ["hevc", "vp9", "av1"])
    func otherCodingsGivePictures(id: String) throws {
      let picture = try server.folder.write("picture", get("/v/\(id)/thumb_1000.jpg").body)
      let source = server.folder.path("\(id).mp4")
      #expect(try StillMedia.similarity(picture, source, frame: 25, width: 320) > 0.93)
    }

    @Test func aTurnedFilmHasATurnedPicture() throws {
      let picture = try server.folder.write("picture", get("/v/turned/poster.jpg").body)
      #expect(try StillMedia.size(picture) == "180x320")
      // ffmpeg turns by itself when it decodes.
      #expect(
        try StillMedia.similarity(picture, server.folder.path("turned.mp4"), frame: 0, size: "180:320") > 0.9)
    }

    @Test func thePosterIsNotBlack() throws {
      // The first half of the film is black.
      let picture = try server.folder.write("picture", get("/v/fade/poster.jpg").body)
      let statistics = try Command.run(
        "ffmpeg",
        [
          "-v", "error", "-i", picture, "-vf", "signalstats,metadata=print:key=lavfi.signalstats.YAVG:file=-",
          "-f", "null", "-",
        ])
      let average = statistics.text.split(separator: "=").last.flatMap { Double($0.filter { !$0.isNewline }) }
      #expect(try #require(average) > 60)
    }

    @Test func theAssetMayChooseItsPoster() throws {
      // Frame 137 is no key frame.
      let before = try get("/v/film/poster.jpg")
      let chosen = try server.headwater(["assets", "update", "film", "--thumbnail-time", "5.48"])
      #expect(chosen.status == 0, "\(chosen.errors)")
      let poster = try get("/v/film/poster.jpg")
      #expect(poster["ETag"] != before["ETag"])
      let picture = try server.folder.write("picture", poster.body)
      let source = server.folder.path("film.mp4")
      #expect(try StillMedia.similarity(picture, source, frame: 137, width: 640) > 0.96)
      // Its generation stays, so its name says nothing about which picture it is.
      let generation = String((poster["ETag"] ?? "").dropFirst().prefix { $0 != "-" })
      let pinned = try get("/v/film/g/\(generation)/poster.jpg")
      #expect(pinned["ETag"] == poster["ETag"] && pinned["Cache-Control"]?.contains("immutable") == false)
      for time in ["x", "-1", "1e9"] {
        #expect(try server.headwater(["assets", "update", "film", "--thumbnail-time", time]).status == 64)
      }
      // Behind the end it is the last picture; taken away, the site chooses again.
      #expect(try server.headwater(["assets", "update", "film", "--thumbnail-time", "9999"]).status == 0)
      #expect(try get("/v/film/poster.jpg")["ETag"] != poster["ETag"])
      #expect(try server.headwater(["assets", "update", "film", "--thumbnail-time", ""]).status == 0)
      #expect(try get("/v/film/poster.jpg")["ETag"] == before["ETag"])
    }

    // MARK: As answers

    @Test func aThumbnailIsAnAnswerLikeOthers() throws {
      let newest = try get("/v/film/thumb_2000.jpg?w=160")
      let tag = try #require(newest["ETag"])
      #expect(newest["Cache-Control"]?.contains("immutable") == false)
      #expect(newest["Surrogate-Key"] == "site-demo asset-film latest-film kind-thumbnail")
      let generation = String(tag.dropFirst().prefix { $0 != "-" })
      let pinned = try get("/v/film/g/\(generation)/thumb_2000.jpg?w=160")
      #expect(pinned["Cache-Control"]?.contains("immutable") == true)
      #expect(pinned["ETag"] == tag && Content(pinned.body) == Content(newest.body))
      // Another width, another picture; what is no parameter changes nothing.
      #expect(try get("/v/film/thumb_2000.jpg")["ETag"] != tag)
      #expect(try get("/v/film/thumb_2000.jpg?utm=1&w=160")["ETag"] == tag)
      let head = try server.curl("/v/film/thumb_2000.jpg?w=160", method: "HEAD")
      #expect(head.status == 200 && head["Content-Length"] == "\(newest.body.count)")
      let part = try server.curl("/v/film/thumb_2000.jpg?w=160", [("Range", "bytes=2-9")])
      #expect(part.status == 206 && part.body == Array(newest.body[2...9]))
      #expect(try server.curl("/v/film/thumb_2000.jpg?w=160", [("If-None-Match", tag)]).status == 304)
    }

    @Test(arguments: [
      ("/v/film/thumb_0.jpg?w=161", 400, "thumbnail-width"),
      ("/v/film/thumb_0.jpg?w=", 400, "thumbnail-width"),
      ("/v/film/trick_99.bif", 400, "thumbnail-width"), ("/v/film/thumb_12000.jpg", 404, "not-found"),
      ("/v/film/thumb_9999999999.jpg", 404, "not-found"), ("/v/film/storyboard_9.jpg", 404, "not-found"),
      ("/v/none/poster.jpg", 404, "not-found"), ("/v/sound/poster.jpg", 404, "no-picture"),
      ("/v/sound/storyboard.vtt", 404, "no-picture"), ("/v/broken/thumb_0.jpg", 422, "thumbnail-undecodable"),
      ("/v/broken/storyboard_0.jpg", 422, "thumbnail-undecodable"),
      ("/v/broken/poster.webp", 422, "thumbnail-undecodable"),
      ("/v/huge/poster.jpg", 422, "thumbnail-undecodable"),
      ("/v/huge/storyboard_0.jpg", 422, "thumbnail-undecodable"),
      ("/v/film/clip/0-4000/poster.jpg", 404, "not-found"),
    ])
    func whatCanNotBeMadeIsRefused(path: String, status: Int, code: String) throws {
      let clock = ContinuousClock.now
      let answer = try get(path, status: status)
      #expect(answer.text.contains("\"\(code)\""), "\(answer.text)")
      #expect(ContinuousClock.now - clock < .seconds(5))
    }

    @Test func manyAskersCostOneDecode() async throws {
      let server = server
      let bodies = try await withThrowingTaskGroup(of: RawResponse.self) { group in
        for _ in 0..<64 {
          group.addTask(executorPreference: BlockingExecutor.shared) {
            try server.request("GET", "/v/film/thumb_8000.jpg?w=640")
          }
        }
        var bodies: [Content] = []
        for try await answer in group {
          #expect(answer.status == 200)
          bodies.append(Content(answer.body))
        }
        return bodies
      }
      #expect(bodies.count == 64 && bodies.allSatisfy { $0 == bodies[0] })
      #expect(made("film", containing: "k200-640") == 1)
      // Another instant with the same key frame is the same picture.
      #expect(try get("/v/film/thumb_8100.jpg?w=640").body.count > 0)
      #expect(made("film", containing: "k200-640") == 1)
    }

    @Test func aRestartFindsWhatWasMade() throws {
      let server = try ServerUnderTest(StillMedia.served)
      try server.start()
      try server.importAsset("film", StillMedia.make(.film, in: server.folder, name: "film.mp4"))
      let first = try server.request("GET", "/v/film/thumb_2000.jpg")
      #expect(first.status == 200)
      #expect(try server.stop() == 0)
      try server.start()
      let again = try server.request("GET", "/v/film/thumb_2000.jpg")
      #expect(Content(again.body) == Content(first.body) && again["ETag"] == first["ETag"])
      #expect(!server.log.contains("picture made"))
      // With the asset its pictures go.
      #expect(try server.headwater(["assets", "remove", "--site", "demo", "film"]).status == 0)
      #expect(server.logLine { $0.contains("pictures removed") } != nil)
      #expect(
        !FileManager.default.fileExists(atPath: server.folder.path("storage/derived/thumbnails/demo/film")))
      #expect(try server.request("GET", "/v/film/thumb_2000.jpg").status == 404)
      #expect(try server.stop() == 0)
    }

    // MARK: Storyboards

    @Test func theStoryboardHasAllItsTiles() throws {
      let text = try get("/v/film/storyboard.vtt").text
      let cues = text.matches(of: /-->.*\n(.+\.jpg)#xywh=(\d+),(\d+),(\d+),(\d+)/)
      #expect(cues.count == 12)
      let sheet = try #require(cues.first?.1)
      #expect(cues.allSatisfy { $0.1 == sheet })
      let path = try server.folder.write("sheet", get("/v/film/\(sheet)").body)
      #expect(try StillMedia.size(path) == "1600x540")
      // Each tile is the key frame of its time.
      for tile in [0, 5, 11] {
        let cut = try StillMedia.crop(path, "320:180:\(cues[tile].2):\(cues[tile].3)", server.folder)
        #expect(
          try StillMedia.similarity(cut, server.folder.path("film.mp4"), frame: tile / 2 * 50, width: 320)
            > 0.9)
      }
      let list = try get("/v/film/storyboard.m3u8").text
      #expect(
        list.contains(
          "#EXT-X-IMAGES-ONLY\n#EXTINF:12.000,\n#EXT-X-TILES:RESOLUTION=320x180,LAYOUT=5x3,DURATION=1.000\n"))
      #expect(list.contains(sheet))
      let index =
        try JSONSerialization.jsonObject(with: Data(get("/v/film/storyboard.json").body)) as? [String: Any]
      #expect(index?["times_ms"] as? [Int] == (0..<12).map { $0 / 2 * 2000 })
    }

    @Test func manifestsNameTheStoryboard() throws {
      let playlist = try get("/v/film/master.m3u8").text
      let line = try #require(
        playlist.firstMatch(
          of: /#EXT-X-IMAGE-STREAM-INF:BANDWIDTH=\d+,RESOLUTION=320x180,CODECS="jpeg",URI="(.+)"/))
      #expect(try get("/v/film/\(line.1)").text.contains("#EXT-X-IMAGES-ONLY"))
      let mpd = try get("/v/film/manifest.mpd").text
      let base = try #require(mpd.firstMatch(of: /<BaseURL>(.+)<\/BaseURL>/)).1
      let set = try #require(
        mpd.firstMatch(
          of:
            /contentType="image".*\n\s*<SegmentTemplate media="(.+)\$Number\$(.+)" timescale="1000" duration="15000" startNumber="0"\/>/
        ))
      #expect(mpd.contains("width=\"1600\" height=\"540\"") && mpd.contains("thumbnail_tile\" value=\"5x3\""))
      #expect(try get("/v/film/\(base)\(set.1)0\(set.2)")["Content-Type"] == "image/jpeg")
      let parsed = try Command.run(
        "ffprobe", ["-v", "error", "-show_entries", "format=duration", server.url("/v/film/master.m3u8")])
      #expect(parsed.status == 0)
    }

    @Test func aTrickPlayFileHasAPictureForEachInterval() throws {
      let file = try get("/v/film/trick_160.bif").body
      func number(_ offset: Int) -> Int {
        file[offset..<offset + 4].reversed().reduce(0) { $0 << 8 | Int($1) }
      }
      #expect(number(12) == 12 && number(16) == 1000)
      for picture in [0, 11] {
        let bytes = file[number(68 + 8 * picture)..<number(76 + 8 * picture)]
        let path = try server.folder.write("picture", Array(bytes))
        #expect(try StillMedia.size(path) == "160x90")
      }
      #expect(number(64 + 8 * 12) == 0xFFFF_FFFF && number(68 + 8 * 12) == file.count)
    }

    @Test(
      .enabled(if: Checkout.tool("chromium") != nil || Checkout.tool("google-chrome") != nil, "no browser"))
    func aBrowserDecodesThem() throws {
      for name in ["poster.jpg", "poster.webp", "storyboard_0.jpg"] {
        let html =
          "<img src=\"\(server.url("/v/film/\(name)"))\" onload=\"document.title=this.naturalWidth\">"
        let page = try server.folder.write("page.html", text: html)
        let browser = Checkout.tool("chromium") ?? Checkout.tool("google-chrome") ?? ""
        let done = try Command.run(
          browser,
          [
            "--headless", "--no-sandbox", "--disable-gpu", "--user-data-dir=\(server.folder.path("browser"))",
            "--dump-dom", "file://\(page)",
          ])
        #expect(
          done.text.contains("<title>\(name.hasPrefix("poster") ? 640 : 1600)</title>"),
          "\(name): \(done.text)")
      }
    }
  }
}

/// Films that ffmpeg makes from its test sources.
enum StillMedia: Sendable {
  case film, hevc, vp9, av1, turned, fade, sound, broken, huge

  /// A site with the plugin, and a log that tells of every decode.
  static let served: ServerUnderTest.Options = {
    var options = ServerUnderTest.Options()
    options.tables = "[log]\nlevel = \"debug\""
    options.threads = 2
    options.sites = [
      "demo":
        "hosts = [\"*\"]\n[plugins.thumbnails]\nenabled = true\nahead = false\nwidths = [\"160\", \"320\", \"640\"]\nposter_width = 640"
    ]
    return options
  }()

  static let all: [(String, StillMedia)] = [
    ("film", .film), ("hevc", .hevc), ("vp9", .vp9), ("av1", .av1), ("turned", .turned), ("fade", .fade),
    ("sound", .sound), ("broken", .broken), ("huge", .huge),
  ]

  private static let picture = ["-f", "lavfi", "-i", "testsrc2=size=640x360:rate=25:duration=12"]
  private static let small = ["-f", "lavfi", "-i", "testsrc2=size=320x180:rate=25:duration=2"]
  private static let h264 = [
    "-c:v", "libx264", "-preset", "veryfast", "-threads", "1", "-pix_fmt", "yuv420p", "-sc_threshold", "0",
  ]

  private var arguments: [String] {
    switch self {
    case .film: Self.picture + Self.h264 + ["-g", "50", "-bf", "2", "-crf", "16"]
    case .hevc:
      Self.small + [
        "-c:v", "libx265", "-preset", "ultrafast", "-pix_fmt", "yuv420p", "-tag:v", "hvc1", "-x265-params",
        "log-level=error:keyint=25:min-keyint=25:pools=1:frame-threads=1",
      ]
    case .vp9:
      Self.small + [
        "-c:v", "libvpx-vp9", "-deadline", "realtime", "-cpu-used", "8", "-g", "25", "-b:v", "2M",
      ]
    case .av1: Self.small + ["-c:v", "libsvtav1", "-preset", "12", "-g", "25", "-crf", "25"]
    case .turned: Self.small + Self.h264
    case .fade:
      [
        "-f", "lavfi", "-i", "color=black:size=640x360:rate=25:duration=4", "-f", "lavfi", "-i",
        "testsrc2=size=640x360:rate=25:duration=4", "-filter_complex", "concat=n=2",
      ] + Self.h264 + ["-g", "25"]
    case .sound: ["-f", "lavfi", "-i", "sine=duration=2", "-c:a", "aac"]
    case .broken: Self.small + Self.h264 + ["-g", "10"]
    // 75 megapixels.
    case .huge:
      [
        "-f", "lavfi", "-i", "color=gray:size=8704x8704:rate=1:duration=1", "-c:v", "libx264", "-preset",
        "ultrafast", "-pix_fmt", "yuv420p",
      ]
    }
  }

  static func make(_ media: StillMedia, in folder: TemporaryFolder, name: String) throws -> String {
    let path = folder.path(name)
    let done = try Command.run(
      "ffmpeg", ["-v", "error", "-nostdin", "-y"] + media.arguments + ["-movflags", "+faststart", path])
    guard done.status == 0 else { throw SupportError("ffmpeg \(name): \(done.errors)") }
    switch media {
    case .turned:
      let turned = folder.path("turning.mp4")
      let again = try Command.run(
        "ffmpeg",
        ["-v", "error", "-nostdin", "-y", "-i", path, "-c", "copy", "-metadata:s:v:0", "rotate=90", turned])
      guard again.status == 0 else { throw SupportError("ffmpeg \(name): \(again.errors)") }
      try FileManager.default.removeItem(atPath: path)
      try FileManager.default.moveItem(atPath: turned, toPath: path)
    case .broken:
      // Everything behind the head of `mdat` becomes noise.
      var bytes = try Support.bytes(ofFile: path)
      let mdat = try #require(
        bytes.indices.dropLast(4).first { Array(bytes[$0..<$0 + 4]) == Array("mdat".utf8) })
      var random = SplitMix64(seed: 5)
      let noise = random.bytes(bytes.count - mdat - 4)
      bytes.replaceSubrange((mdat + 4)..., with: noise)
      try Data(bytes).write(to: URL(filePath: path))
    default: break
    }
    return path
  }

  /// `WIDTHxHEIGHT` of a picture, as ffprobe decodes it.
  static func size(_ path: String) throws -> String {
    let done = try Command.run(
      "ffprobe", ["-v", "error", "-show_entries", "frame=width,height", "-of", "csv=p=0:s=x", path])
    #expect(done.errors.isEmpty, "\(done.errors)")
    return done.text.trimmingCharacters(in: .whitespacesAndNewlines)
  }

  /// SSIM of a picture and a frame of a film, brought to the size and colours of the picture by ffmpeg.
  static func similarity(_ picture: String, _ film: String, frame: Int, width: Int) throws -> Double {
    try similarity(picture, film, frame: frame, size: "\(width):\(width * 9 / 16)")
  }

  static func similarity(_ picture: String, _ film: String, frame: Int, size: String) throws -> Double {
    let graph =
      "[0:v]select='eq(n,\(frame))',scale=\(size):flags=area:out_color_matrix=bt601:out_range=pc,format=yuvj420p,setpts=0[a];[1:v]scale=out_range=pc,format=yuvj420p,setpts=0[b];[a][b]ssim"
    let done = try Command.run(
      "ffmpeg",
      ["-nostdin", "-i", film, "-i", picture, "-filter_complex", graph, "-frames:v", "1", "-f", "null", "-"])
    guard let match = done.errors.firstMatch(of: /SSIM.*All:([0-9.]+)/), let value = Double(match.1) else {
      throw SupportError("no SSIM: \(done.errors.suffix(1000))")
    }
    return value
  }

  static func crop(_ path: String, _ area: String, _ folder: TemporaryFolder) throws -> String {
    let cut = folder.path("cut.png")
    let done = try Command.run(
      "ffmpeg", ["-v", "error", "-nostdin", "-y", "-i", path, "-vf", "crop=\(area)", cut])
    guard done.status == 0 else { throw SupportError(done.errors) }
    return cut
  }
}
