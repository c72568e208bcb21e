import Foundation
import Support
import Testing

/// A browser, how it is given the film, and which film.
struct Viewing: Sendable, CustomTestStringConvertible {
  enum Browser: String, Sendable {
    case chromium
    case firefox = "firefox-esr"
  }
  /// `native` gives the browser the HLS playlist; `mse` and `dash` append every segment that the playlists or the MPD
  /// name, so that the times inside the segments decide, not those of the manifest.
  enum Mode: String, Sendable { case native, mse, dash }

  let browser: Browser
  let mode: Mode
  /// A fixture, or a file of the shared media.
  let file: String
  var isFixture = false

  var asset: String { file.replacing(/[^A-Za-z0-9_-]/, with: "_") }
  var testDescription: String { "\(browser.rawValue) \(mode.rawValue) \(file)" }

  func path() throws -> String { try isFixture ? Fixtures.path(file) : SharedMedia.path(file) }

  static let fixture = [
    Viewing(browser: .chromium, mode: .native, file: "h264-aac-2997.mp4", isFixture: true),
    Viewing(browser: .chromium, mode: .mse, file: "h264-aac-2997.mp4", isFixture: true),
    Viewing(browser: .chromium, mode: .dash, file: "h264-aac-2997.mp4", isFixture: true),
    Viewing(browser: .firefox, mode: .dash, file: "h264-aac-2997.mp4", isFixture: true),
  ]

  /// What each browser can decode, by codec and by container of the source.
  static let shared = [
    Viewing(browser: .chromium, mode: .native, file: "h264-aac-elst-audio-delay.mp4"),
    Viewing(browser: .chromium, mode: .native, file: "frag-h264-aac-8s.mp4"),
    Viewing(browser: .chromium, mode: .native, file: "ts-h264-aac-6s.ts"),
    Viewing(browser: .chromium, mode: .dash, file: "av1-aac-elst.mp4"),
    Viewing(browser: .chromium, mode: .dash, file: "vp9-opus.webm"),
    Viewing(browser: .firefox, mode: .dash, file: "hevc-hev1.mp4"),
    Viewing(browser: .firefox, mode: .dash, file: "hevc-hvc1-hdr10.mp4"),
    Viewing(browser: .firefox, mode: .dash, file: "vp9-aac.mp4"),
    Viewing(browser: .firefox, mode: .dash, file: "mkv-av1.mkv"),
  ]
}

extension EndToEnd {
  /// Headless browsers play what the server makes, from a page that the server serves.
  @Suite(.served { try BrowserPage.publish($0) })
  struct BrowserTests {
    @Test(arguments: Viewing.fixture) func playsToTheEnd(_ viewing: Viewing) throws { try judge(viewing) }

    @Test(
      .enabled(if: SharedMedia.folder != nil, Comment(rawValue: SharedMedia.absence)),
      arguments: Viewing.shared)
    func playsFilesOfManyMakers(_ viewing: Viewing) throws { try judge(viewing) }

    private func judge(_ viewing: Viewing) throws {
      guard Checkout.tool(viewing.browser.rawValue) != nil else {
        print("note: \(viewing.testDescription) left out: \(viewing.browser.rawValue) is not installed")
        return
      }
      let server = try Served.server
      let file = try viewing.path()
      try server.importAsset(viewing.asset, file)
      let presentation = try Presentation(server, asset: viewing.asset)
      let expected = try FFmpeg.packets(file, "v:0").count
      let longest = presentation.playlists.map(\.playlist.totalSeconds).max() ?? 0

      let listener = try Listener()
      let profile = try TemporaryFolder("browser")
      let playlists = presentation.master.playlists.joined(separator: ",")
      let page = server.url(
        "/f/play.html?asset=\(viewing.asset)&mode=\(viewing.mode.rawValue)&report=\(listener.port)&playlists=\(playlists)"
      )
      let browser = try viewing.browser.start(profile, page)
      defer {
        browser.kill()
        // The profile can only be removed when nothing writes to it any more.
        _ = browser.wait(.seconds(10))
      }
      let report = try BrowserReport(listener.request(startingWith: "/report?", timeout: .seconds(90)))
      #expect(report["error"] == "", "\(report)")
      #expect(report["ended"] == "true", "\(report)")
      #expect(report["ranges"] == "1", "one buffered range: \(report)")
      #expect(abs(report.number("from")) < 0.1, "\(report)")
      #expect(abs(report.number("to") - report.number("duration")) < 0.1, "\(report)")
      #expect(abs(report.number("duration") - longest) < 0.2, "\(report), stated \(longest)")
      #expect(abs(report.number("frames") - Double(expected)) <= 2, "\(report), expected \(expected)")
    }
  }
}

extension Viewing.Browser {
  /// Opens a page without a window and lets it play without a click.
  func start(_ profile: TemporaryFolder, _ page: String) throws -> BackgroundCommand {
    switch self {
    case .chromium:
      return try BackgroundCommand(
        rawValue,
        [
          "--headless=new", "--no-sandbox", "--disable-gpu", "--mute-audio", "--no-first-run",
          "--autoplay-policy=no-user-gesture-required", "--user-data-dir=\(profile.url.path)", page,
        ])
    case .firefox:
      _ = try profile.write(
        "user.js",
        text: """
          user_pref("media.autoplay.default", 0);
          user_pref("browser.shell.checkDefaultBrowser", false);
          user_pref("datareporting.policy.dataSubmissionEnabled", false);
          user_pref("app.update.enabled", false);

          """)
      return try BackgroundCommand(
        rawValue, ["--headless", "--no-remote", "--profile", profile.url.path, page],
        environment: ["HOME": profile.url.path])
    }
  }
}

/// What the page found out about itself.
struct BrowserReport: CustomStringConvertible {
  let values: [String: String]

  init(_ target: String) throws {
    let items = URLComponents(string: target)?.queryItems ?? []
    values = Dictionary(items.map { ($0.name, $0.value ?? "") }) { $1 }
  }

  subscript(name: String) -> String? { values[name] }
  func number(_ name: String) -> Double { values[name].flatMap(Double.init) ?? .nan }
  var description: String {
    values.sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)" }.joined(separator: " ")
  }
}

/// The page under `/f/`.
private enum BrowserPage {
  @Sendable static func publish(_ server: ServerUnderTest) throws {
    try server.putFile("play.html", server.folder.write("play.html", text: html))
  }

  static let html = """
    <!doctype html><meta charset="utf-8"><video id="v" muted playsinline></video><script>
    const query = new URLSearchParams(location.search), video = document.getElementById("v");
    const asset = query.get("asset"), mode = query.get("mode");
    let reported = false;
    function report(error) {
      if (reported) return;
      reported = true;
      const b = video.buffered, n = b.length;
      const values = { error: error, ended: video.ended, ranges: n, from: n ? b.start(0) : -1,
        to: n ? b.end(n - 1) : -1, duration: video.duration,
        frames: video.getVideoPlaybackQuality().totalVideoFrames };
      fetch("http://127.0.0.1:" + query.get("report") + "/report?" + new URLSearchParams(values), { mode: "no-cors" });
    }
    video.addEventListener("ended", () => report(""));
    video.addEventListener("error", () => report("media: " + video.error.code + " " + video.error.message));
    setTimeout(() => report("no end after 45 s"), 45000);
    \(PageScript.append)
    async function open() {
      const source = new MediaSource();
      video.src = URL.createObjectURL(source);
      await new Promise(done => source.onsourceopen = done);
      return source;
    }
    async function play(source, jobs) {
      for (const [buffer, urls] of jobs) for (const url of urls) await append(buffer, url);
      source.endOfStream();
    }
    async function mse() {
      const source = await open();
      const master = await (await fetch("/v/" + asset + "/master.m3u8")).text();
      const codecs = master.match(/CODECS="([^"]+)"/)[1].split(",");
      const sound = c => /^(mp4a|Opus|fLaC)/.test(c);
      const type = kind => kind + '/mp4; codecs="' + codecs.find(c => sound(c) === (kind === "audio")) + '"';
      const jobs = [];
      for (const path of query.get("playlists").split(",")) {
        const text = await (await fetch(path)).text(), base = new URL(path, location);
        const init = text.match(/#EXT-X-MAP:URI="([^"]+)"/)[1];
        const names = [init, ...text.split("\\n").filter(line => line && !line.startsWith("#"))];
        const kind = (await fetch(new URL(init, base))).headers.get("Content-Type").split("/")[0];
        jobs.push([source.addSourceBuffer(type(kind)), names.map(name => new URL(name, base))]);
      }
      await play(source, jobs);
    }
    async function dash() {
      const source = await open(), at = new URL("/v/" + asset + "/manifest.mpd", location);
      const mpd = new DOMParser().parseFromString(await (await fetch(at)).text(), "text/xml");
      const base = new URL(mpd.querySelector("MPD > BaseURL")?.textContent ?? "", at), jobs = [];
      for (const set of mpd.querySelectorAll("AdaptationSet")) {
        const kind = set.getAttribute("contentType"), first = set.querySelector("Representation");
        if (kind === "text" || set.querySelector("EssentialProperty") || jobs.some(job => job[2] === kind)) continue;
        const template = first.querySelector("SegmentTemplate"), id = first.getAttribute("id");
        const name = (text, number) => new URL(text.replace("$RepresentationID$", id)
          .replace("$Number%04d$", String(number).padStart(4, "0")), base);
        const urls = [name(template.getAttribute("initialization"))];
        let number = Number(template.getAttribute("startNumber"));
        for (const entry of template.querySelectorAll("S"))
          for (let left = 1 + Number(entry.getAttribute("r") ?? 0); left > 0; left--)
            urls.push(name(template.getAttribute("media"), number++));
        const type = kind + '/mp4; codecs="' + first.getAttribute("codecs") + '"';
        jobs.push([source.addSourceBuffer(type), urls, kind]);
      }
      await play(source, jobs);
    }
    (async () => {
      if (mode === "mse") await mse(); else if (mode === "dash") await dash();
      else video.src = "/v/" + asset + "/master.m3u8";
      video.playbackRate = 4;
      await video.play();
      video.playbackRate = 4;
    })().catch(error => report("page: " + error));
    </script>
    """
}
