import Foundation
import Support
import Testing

extension EndToEnd {
  /// A browser with nothing but the MPD, the segments and the key: Clear Key of W3C "Encrypted Media Extensions" §9.1.
  @Suite struct EncryptionBrowserTests {
    @Test(arguments: ["cbcs", "cenc"]) func clearKeyPlaysToTheEnd(method: String) throws {
      guard Checkout.tool("chromium") != nil else {
        print("note: Clear Key left out: chromium is not installed")
        return
      }
      let film = "h264-aac-2997.mp4"
      var options = ServerUnderTest.Options()
      options.sites["demo"] = """
        hosts = ["*"]
        [encryption]
        method = "\(method)"
        key_file = "../keys.toml"
        serve_key = true
        """
      let server = try ServerUnderTest(options)
      let keys = try server.folder.write(
        "etc/keys.toml", text: "[default]\nsecret = \"\(String(repeating: "5ec2e7d0", count: 8))\"\n")
      try FileManager.default.setAttributes([.posixPermissions: 0o600], ofItemAtPath: keys)
      try server.start()
      try server.importAsset("film", Fixtures.path(film))
      try server.putFile("play.html", server.folder.write("play.html", text: Self.html))

      let listener = try Listener()
      let profile = try TemporaryFolder("browser")
      let browser = try Viewing.Browser.chromium.start(
        profile, server.url("/f/play.html?report=\(listener.port)"))
      defer {
        browser.kill()
        // The profile can only be removed when nothing writes to it any more.
        _ = browser.wait(.seconds(10))
      }
      let target = try listener.request(startingWith: "/report?", timeout: .seconds(90))
      let items = URLComponents(string: target)?.queryItems ?? []
      let report = Dictionary(items.map { ($0.name, $0.value ?? "") }) { $1 }
      #expect(report["error"] == "" && report["ended"] == "true", "\(report)")
      // Asked for by the MPD's boxes or by those of the init segments, which are the same.
      #expect(report["encrypted"].flatMap(Int.init).map { $0 > 0 } == true, "\(report)")
      let frames = try FFmpeg.packets(Fixtures.path(film), "v:0").count
      #expect(
        report["frames"].flatMap(Int.init).map { abs($0 - frames) <= 2 } == true, "\(report), \(frames)")
      #expect(try server.stop() == 0)
    }

    private static let html = """
      <!doctype html><meta charset="utf-8"><video id="v" muted playsinline></video><script>
      const query = new URLSearchParams(location.search), video = document.getElementById("v");
      let reported = false, encrypted = 0;
      function report(error) {
        if (reported) return;
        reported = true;
        const values = { error, encrypted, ended: video.ended,
          frames: video.getVideoPlaybackQuality().totalVideoFrames };
        fetch("http://127.0.0.1:" + query.get("report") + "/report?" + new URLSearchParams(values), { mode: "no-cors" });
      }
      video.addEventListener("ended", () => report(""));
      video.addEventListener("error", () => report("media: " + video.error.code + " " + video.error.message));
      setTimeout(() => report("no end after 45 s"), 45000);
      const text64 = bytes => btoa(String.fromCharCode(...bytes))
        .replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
      \(PageScript.append)
      async function play() {
        const at = new URL("/v/film/manifest.mpd", location);
        const mpd = new DOMParser().parseFromString(await (await fetch(at)).text(), "text/xml");
        const base = new URL(mpd.querySelector("MPD > BaseURL").textContent, at);
        const protection = mpd.querySelector("ContentProtection"), scheme = protection.getAttribute("value");
        const id = protection.getAttribute("cenc:default_KID").replaceAll("-", "").match(/../g)
          .map(digits => parseInt(digits, 16));
        const key = new Uint8Array(await (await fetch(new URL("key", base))).arrayBuffer());
        const sets = [...mpd.querySelectorAll("AdaptationSet")].filter(set => !set.querySelector("EssentialProperty"));
        const type = set => set.getAttribute("contentType") + '/mp4; codecs="'
          + set.querySelector("Representation").getAttribute("codecs") + '"';
        const capabilities = kind => sets.filter(set => set.getAttribute("contentType") === kind)
          .map(set => ({ contentType: type(set), encryptionScheme: scheme }));
        const access = await navigator.requestMediaKeySystemAccess("org.w3.clearkey", [{ initDataTypes: ["cenc"],
          videoCapabilities: capabilities("video"), audioCapabilities: capabilities("audio") }]);
        const mediaKeys = await access.createMediaKeys();
        await video.setMediaKeys(mediaKeys);
        video.addEventListener("encrypted", async event => {
          encrypted++;
          const session = mediaKeys.createSession();
          session.addEventListener("message", () => session.update(new TextEncoder().encode(JSON.stringify({
            keys: [{ kty: "oct", kid: text64(id), k: text64(key) }], type: "temporary" })))
            .catch(error => report("key: " + error)));
          await session.generateRequest(event.initDataType, event.initData).catch(error => report("request: " + error));
        });
        const source = new MediaSource();
        video.src = URL.createObjectURL(source);
        await new Promise(done => source.onsourceopen = done);
        const jobs = sets.map(set => {
          const template = set.querySelector("SegmentTemplate");
          const name = set.querySelector("Representation").getAttribute("id"), urls = [];
          const add = (text, number) => urls.push(new URL(text.replace("$RepresentationID$", name)
            .replace("$Number%04d$", String(number).padStart(4, "0")), base));
          add(template.getAttribute("initialization"));
          let number = 0;
          for (const entry of template.querySelectorAll("S"))
            for (let left = 1 + Number(entry.getAttribute("r") ?? 0); left > 0; left--)
              add(template.getAttribute("media"), number++);
          return [source.addSourceBuffer(type(set)), urls];
        });
        for (const [buffer, urls] of jobs) for (const url of urls) await append(buffer, url);
        source.endOfStream();
        video.playbackRate = 4;
        await video.play();
        video.playbackRate = 4;
      }
      play().catch(error => report("page: " + error));
      </script>
      """
  }
}
