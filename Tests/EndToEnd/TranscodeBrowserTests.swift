import Foundation
import Support
import Testing

extension EndToEnd {
  /// A browser plays a ladder and is made to change the rendition at every segment, as a player does on a network that comes
  /// and goes: no gap in what is buffered, no stall, no picture missing.
  @Suite(
    .enabled(if: Checkout.tool("chromium") != nil, "chromium is not installed"),
    .served(TranscodeLadder.options(workers: "2")) { server in
      try server.putFile("switch.html", server.folder.write("switch.html", text: SwitchingPage.html))
    })
  struct TranscodeBrowserTests {
    @Test(arguments: ["108p,180p", "72p,180p,108p"])
    func changingTheRenditionIsNotNoticed(renditions: String) async throws {
      let server = try Served.server
      let id = "film-" + renditions.replacing(",", with: "-")
      try server.importAsset(id, try Fixtures.path("h264-aac-faststart.mp4"))
      _ = try await TranscodeTests.transcoded(id) { asset in
        asset.status == "ready" && asset.renditions.contains { $0.name == "180p" }
      }
      let listener = try Listener()
      let profile = try TemporaryFolder("browser")
      let page = server.url("/f/switch.html?asset=\(id)&report=\(listener.port)&renditions=\(renditions)")
      let browser = try Viewing.Browser.chromium.start(profile, page)
      defer {
        browser.kill()
        _ = browser.wait(.seconds(10))
      }
      let report = try BrowserReport(listener.request(startingWith: "/report?", timeout: .seconds(90)))
      #expect(report["error"] == "" && report["ended"] == "true", "\(report)")
      // Every append left one range for picture and one for sound.
      #expect(report["ranges"] == "1" && report["mostRanges"] == "1", "\(report)")
      #expect(report["stalls"] == "0", "\(report)")
      #expect(abs(report.number("from")) < 0.1 && abs(report.number("to") - 8) < 0.1, "\(report)")
      // Four segments, each of another size than the one before.
      #expect(report.number("switches") == 3 && report.number("sizes") >= 3, "\(report)")
      #expect(report.number("frames") > 8 * 12, "\(report)")
    }
  }
}

/// The page under `/f/`: appends a segment when what is buffered comes to its end, of each rendition in turn.
private enum SwitchingPage {
  static let html = """
    <!doctype html><meta charset="utf-8"><video id="v" muted playsinline></video><script>
    const query = new URLSearchParams(location.search), video = document.getElementById("v");
    const base = new URL("/v/" + query.get("asset") + "/master.m3u8", location);
    let reported = false, stalls = 0, switches = 0, mostRanges = 0, isPlaying = false;
    const sizes = [];
    function report(error) {
      if (reported) return;
      reported = true;
      const b = video.buffered, n = b.length, quality = video.getVideoPlaybackQuality();
      const values = { error: error, ended: video.ended, ranges: n, mostRanges: mostRanges, from: n ? b.start(0) : -1,
        to: n ? b.end(n - 1) : -1, stalls: stalls, switches: switches, sizes: sizes.length,
        frames: quality.totalVideoFrames };
      fetch("http://127.0.0.1:" + query.get("report") + "/report?" + new URLSearchParams(values), { mode: "no-cors" });
    }
    video.addEventListener("ended", () => report(""));
    video.addEventListener("error", () => report("media: " + video.error.code + " " + video.error.message));
    video.addEventListener("resize", () => sizes.push(video.videoWidth));
    video.addEventListener("playing", () => isPlaying = true);
    // At the very end nothing is waited for any more.
    video.addEventListener("waiting", () => { if (isPlaying && video.currentTime < video.duration - 0.3) stalls++; });
    setTimeout(() => report("no end after 60 s"), 60000);
    async function text(url) { return (await fetch(url)).text(); }
    async function media(playlist) {
      const lines = (await text(playlist)).split("\\n");
      const init = lines.map(line => line.match(/#EXT-X-MAP:URI="([^"]+)"/)).find(found => found)[1];
      return { init: new URL(init, playlist),
        segments: lines.filter(line => line && !line.startsWith("#")).map(name => new URL(name, playlist)) };
    }
    \(PageScript.append)
    async function add(buffer, url) {
      await append(buffer, url);
      mostRanges = Math.max(mostRanges, buffer.buffered.length);
    }
    async function soon() {
      const end = () => video.buffered.length ? video.buffered.end(video.buffered.length - 1) : 0;
      while (end() - video.currentTime > 1.5) await new Promise(done => setTimeout(done, 50));
    }
    (async () => {
      const master = (await text(base)).split("\\n");
      const rungs = [];
      for (const name of query.get("renditions").split(",")) {
        const place = master.findIndex(line => !line.startsWith("#") && line.includes("/" + name + "/"));
        const codecs = master[place - 1].match(/CODECS="([^"]+)"/)[1].split(",");
        rungs.push({ codec: codecs.find(codec => codec.startsWith("avc")), media: await media(new URL(master[place], base)) });
      }
      const sound = await media(new URL(master.map(line => line.match(/TYPE=AUDIO.*URI="([^"]+)"/)).find(found => found)[1], base));
      const source = new MediaSource();
      video.src = URL.createObjectURL(source);
      await new Promise(done => source.onsourceopen = done);
      const pictures = source.addSourceBuffer('video/mp4; codecs="' + rungs[0].codec + '"');
      const sounds = source.addSourceBuffer('audio/mp4; codecs="mp4a.40.2"');
      await add(sounds, sound.init);
      for (const segment of sound.segments) await add(sounds, segment);
      const count = rungs[0].media.segments.length;
      for (let number = 0; number < count; number++) {
        const rung = rungs[number % rungs.length];
        if (number > 0) switches++;
        if (pictures.changeType) pictures.changeType('video/mp4; codecs="' + rung.codec + '"');
        await add(pictures, rung.media.init);
        await add(pictures, rung.media.segments[number]);
        // Two segments are there before it begins; the others come when they are nearly needed.
        if (number === 1) await video.play();
        if (number > 0) await soon();
      }
      source.endOfStream();
    })().catch(error => report("page: " + error));
    </script>
    """
}
