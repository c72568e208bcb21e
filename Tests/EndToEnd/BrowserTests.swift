import Foundation
import Support
import Testing

extension EndToEnd {
  /// Headless Chromium plays what the server makes, from a page that the server serves.
  @Suite(
    .enabled(if: Checkout.tool("chromium") != nil, "chromium is not installed"),
    .served { try BrowserPage.publish($0) })
  struct BrowserTests {
    @Test(arguments: ["native", "mse"]) func chromiumPlaysToTheEnd(_ mode: String) throws {
      let server = try Served.server
      let file = try Fixtures.path("h264-aac-2997.mp4")
      let presentation = try Presentation(server, asset: "film")
      let frames = try Command.run(
        "ffprobe",
        [
          "-v", "error", "-select_streams", "v:0", "-count_packets", "-show_entries",
          "stream=nb_read_packets", "-of",
          "csv=p=0", file,
        ])
      let expected = try #require(Int(frames.lines.first?.prefix { $0.isNumber } ?? ""))

      let listener = try Listener()
      let profile = try TemporaryFolder("chromium")
      let playlists = presentation.master.playlists.joined(separator: ",")
      let page = server.url("/f/play.html?mode=\(mode)&report=\(listener.port)&playlists=\(playlists)")
      let browser = try BackgroundCommand(
        "chromium",
        [
          "--headless=new", "--no-sandbox", "--disable-gpu", "--mute-audio", "--no-first-run",
          "--autoplay-policy=no-user-gesture-required", "--user-data-dir=\(profile.url.path)", page,
        ])
      defer {
        browser.kill()
        // The profile can only be removed when nothing writes to it any more.
        _ = browser.wait(.seconds(10))
      }
      let report = try Report(listener.request(startingWith: "/report?", timeout: .seconds(60)))
      #expect(report["error"] == "", "\(report)")
      #expect(report["ended"] == "true", "\(report)")
      #expect(report["ranges"] == "1", "one buffered range: \(report)")
      #expect(abs(report.number("from")) < 0.1, "\(report)")
      #expect(abs(report.number("to") - report.number("duration")) < 0.1, "\(report)")
      #expect(abs(report.number("duration") - 20.02) < 0.1, "\(report)")
      #expect(abs(report.number("frames") - Double(expected)) <= 2, "\(report), expected \(expected)")
    }
  }
}

/// What the page found out about itself.
private struct Report: CustomStringConvertible {
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

/// The page under `/f/`, and the film it plays.
private enum BrowserPage {
  @Sendable static func publish(_ server: ServerUnderTest) throws {
    try server.importAsset("film", Fixtures.path("h264-aac-2997.mp4"))
    try server.putFile("play.html", server.folder.write("play.html", text: html))
  }

  /// `native` gives the browser the playlist; `mse` appends every segment itself, so that the times inside the
  /// segments decide, not those of the playlist.
  static let html = """
    <!doctype html><meta charset="utf-8"><video id="v" muted playsinline></video><script>
    const query = new URLSearchParams(location.search), video = document.getElementById("v");
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
    async function append(buffer, url) {
      const answer = await fetch(url);
      if (!answer.ok) throw new Error(url + ": " + answer.status);
      const data = await answer.arrayBuffer();
      await new Promise((done, fail) => {
        buffer.onupdateend = done;
        buffer.onerror = () => fail(new Error("append " + url));
        buffer.appendBuffer(data);
      });
    }
    async function mse() {
      const source = new MediaSource();
      video.src = URL.createObjectURL(source);
      await new Promise(done => source.onsourceopen = done);
      const master = await (await fetch("/v/film/master.m3u8")).text();
      const codecs = master.match(/CODECS="([^"]+)"/)[1].split(",");
      const type = kind => kind + '/mp4; codecs="' + codecs.find(c => c.startsWith("mp4a") === (kind === "audio")) + '"';
      const jobs = [];
      for (const path of query.get("playlists").split(",")) {
        const text = await (await fetch(path)).text(), base = new URL(path, location);
        const init = text.match(/#EXT-X-MAP:URI="([^"]+)"/)[1];
        const names = [init, ...text.split("\\n").filter(line => line && !line.startsWith("#"))];
        const kind = (await fetch(new URL(init, base))).headers.get("Content-Type").split("/")[0];
        jobs.push([source.addSourceBuffer(type(kind)), names.map(name => new URL(name, base))]);
      }
      for (const [buffer, urls] of jobs) for (const url of urls) await append(buffer, url);
      source.endOfStream();
    }
    (async () => {
      if (query.get("mode") === "mse") await mse(); else video.src = "/v/film/master.m3u8";
      video.playbackRate = 4;
      await video.play();
      video.playbackRate = 4;
    })().catch(error => report("page: " + error));
    </script>
    """
}
