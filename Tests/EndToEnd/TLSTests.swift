import Foundation
import Support
import Synchronization
import Testing

extension EndToEnd {
  /// TLS as curl, OpenSSL and ffmpeg speak it.
  @Suite struct TLSTests {
    /// Sites `demo` (every host) and `other` (b.test), each with its own certificate, and `closed` (m.test), whose clients
    /// must have one.
    private final class Installation: Sendable {
      let certificates: Certificates
      let server: ServerUnderTest

      init(_ change: (inout ServerUnderTest.Options) -> Void = { _ in }) throws {
        certificates = try Certificates()
        try certificates.make("a", hosts: ["a.test", "localhost"])
        try certificates.make("b", hosts: ["b.test"], isRSA: true)
        try certificates.make("m", hosts: ["m.test"])
        try certificates.make("client")
        try certificates.makeResponse("a")
        var options = ServerUnderTest.Options()
        options.listen.append("127.0.0.1:0 tls")
        options.sites = [
          "demo":
            "hosts = [\"a.test\", \"*\"]\n[tls]\n\(Self.pair(certificates, "a"))ocsp = \"\(certificates.path("a.ocsp"))\"",
          "other": "hosts = [\"b.test\"]\n[tls]\n\(Self.pair(certificates, "b"))",
          "closed":
            "hosts = [\"m.test\"]\n[tls]\n\(Self.pair(certificates, "m"))client_ca = \"\(certificates.authority)\"",
        ]
        change(&options)
        server = try ServerUnderTest(options)
      }

      private static func pair(_ certificates: Certificates, _ name: String) -> String {
        """
        certificate = "\(certificates.path(name + ".pem"))"
        key_file = "\(certificates.path(name + ".key"))"

        """
      }

      func put(_ site: String, _ path: String, _ bytes: [UInt8]) throws {
        let done = try server.headwater(["put", "--site", site, path, server.folder.write(path, bytes)])
        try #require(done.status == 0, "\(done.errors)")
      }

      func url(_ host: String, _ path: String) -> String { "https://\(host):\(server.tlsPort)\(path)" }

      func curl(_ host: String, _ path: String, _ arguments: [String] = []) throws -> Command {
        try Command.run(
          "curl",
          ["-sS", "--cacert", certificates.authority, "--resolve", "\(host):\(server.tlsPort):127.0.0.1"]
            + arguments + [url(host, path)])
      }

      /// What OpenSSL's client says about a connection on which nothing is asked.
      func client(_ arguments: [String]) throws -> String {
        let done = try Command.run(
          "openssl",
          ["s_client", "-connect", "127.0.0.1:\(server.tlsPort)", "-CAfile", certificates.authority]
            + arguments,
          stdin: Array("Q\n".utf8))
        return done.text + done.errors
      }
    }

    private final class Load: Sendable {
      let isDone = Atomic(false)
    }

    private static func random(_ count: Int) -> [UInt8] {
      var random = SplitMix64(seed: 5)
      return random.bytes(count)
    }

    /// Long answers, and what follows on the same connection, with each cipher that the kernel may take over. Without a kernel
    /// that has TLS they come from OpenSSL all the same.
    @Test(
      arguments: ["TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256"],
      [true, false])
    func longAnswersAreTheSameFromTheKernel(suite: String, isOn: Bool) throws {
      let it = try Installation { if !isOn { $0.server = "kernel_tls = false" } }
      let large = Self.random(9 << 20)
      let small = Self.random(3000)
      try it.put("demo", "large.bin", large)
      try it.put("demo", "small.bin", small)
      try it.server.start()
      let folder = it.server.folder
      // One connection: small, long, a range of the long one, several ranges, nothing, small, long again.
      func next(_ path: String, _ name: String, _ more: [String] = []) -> [String] {
        [
          "--next", "-sS", "--tls13-ciphers", suite, "--tlsv1.3", "--http1.1", "--cacert",
          it.certificates.authority,
        ]
          + ["--resolve", "a.test:\(it.server.tlsPort):127.0.0.1", "--max-time", "60"] + more
          + ["-o", folder.path(name), it.url("a.test", path)]
      }
      let done = try Command.run(
        "curl",
        Array(
          (next("/f/small.bin", "1") + next("/f/large.bin", "2")
            + next("/f/large.bin", "3", ["-r", "1000-3000000"])
            + next("/f/large.bin", "4", ["-r", "0-9,100-199"]) + next("/f/large.bin", "5", ["-I"])
            + next("/f/small.bin", "6")
            + next("/f/large.bin", "7", ["-w", "%{num_connects} %{ssl_verify_result}"])).dropFirst()))
      #expect(done.status == 0, "\(done.errors)")
      // The last answer came over the first connection.
      #expect(done.text == "0 0", "\(done.text)")
      #expect(try bytes(ofFile: folder.path("1")) == small)
      #expect(try bytes(ofFile: folder.path("2")) == large)
      #expect(try bytes(ofFile: folder.path("3")) == Array(large[1000...3_000_000]))
      #expect(try bytes(ofFile: folder.path("6")) == small)
      #expect(try bytes(ofFile: folder.path("7")) == large)
      // A slow client: the kernel's buffers are full most of the time. And one whose goodbye is asked for.
      let slow = try it.curl(
        "a.test", "/f/large.bin", ["--limit-rate", "20M", "--tls13-ciphers", suite, "--http1.1"])
      #expect(slow.output == large, "\(slow.errors)")
      let said = try Command.run(
        "openssl",
        [
          "s_client", "-quiet", "-connect", "127.0.0.1:\(it.server.tlsPort)", "-ciphersuites", suite,
          "-CAfile", it.certificates.authority,
        ],
        stdin: Array("GET /f/large.bin HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n".utf8))
      #expect(Array(said.output.suffix(large.count)) == large)
      #expect(!said.errors.contains("unexpected eof"), "\(said.errors)")

      let metrics = try it.server.request("GET", "/metrics", admin: true).text
      let inKernel = try #require(metrics.firstMatch(of: /headwater_tls_kernel_connections_total (\d+)/)).1
      if isOn,
        try String(contentsOfFile: "/proc/sys/net/ipv4/tcp_available_ulp", encoding: .utf8).contains("tls")
      {
        #expect(inKernel == "3", "\(suite): of three connections the kernel has taken over \(inKernel)")
      } else {
        print("TLS of the kernel: off, or this kernel has none")
        #expect(inKernel == "0")
      }
      #expect(try it.server.stop() == 0)
    }

    @Test func versionsNamesAndBodies() throws {
      let it = try Installation()
      let large = Self.random(9 << 20)
      for site in ["demo", "other"] {
        try it.put(site, "large.bin", large)
        try it.put(site, "small.txt", Array("small".utf8))
      }
      try it.server.start()
      for (host, version, name) in [
        ("a.test", "1.2", "TLSv1.2"), ("a.test", "1.3", "TLSv1.3"), ("b.test", "1.2", "TLSv1.2"),
        ("b.test", "1.3", "TLSv1.3"),
      ] {
        let small = try it.curl(host, "/f/small.txt", ["-v", "--http1.1", "--tls-max", version])
        #expect(small.text == "small", "\(small.errors)")
        #expect(small.errors.contains("SSL connection using \(name)"))
        #expect(
          small.errors.contains("subject: CN=\(host.prefix(1))\n")
            || small.errors.contains("CN=\(host.prefix(1))"))
        #expect(small.errors.contains("server accepted http/1.1"))
        let whole = try it.curl(host, "/f/large.bin", ["--http1.1", "--tls-max", version])
        #expect(Content(whole.output) == Content(large))
        let range = try it.curl(
          host, "/f/large.bin", ["--http1.1", "--tls-max", version, "-r", "5000000-8999999"])
        #expect(Content(range.output) == Content(large[5_000_000..<9_000_000]))
      }
      // A reader that makes the socket full, so that records wait.
      let slow = try it.curl("a.test", "/f/large.bin", ["--http1.1", "--limit-rate", "6M"])
      #expect(Content(slow.output) == Content(large))
      for old in ["-tls1", "-tls1_1"] {
        let refused = try it.client([old, "-cipher", "DEFAULT@SECLEVEL=0"])
        #expect(refused.contains("Cipher is (NONE)"), "\(old) is not spoken")
      }
      #expect(try it.client(["-alpn", "spdy/3"]).contains("no application protocol"))
      // The last answer of a connection arrives whole, however slowly it is read.
      let last = try it.curl(
        "a.test", "/f/large.bin", ["--http1.1", "-H", "Connection: close", "--limit-rate", "12M"])
      #expect(Content(last.output) == Content(large))
      #expect(!it.server.log.contains("PRIVATE KEY"))
      #expect(try it.server.stop() == 0)
    }

    @Test func ffmpegPlaysOverTLS() throws {
      let it = try Installation()
      try it.server.start()
      try it.server.importAsset("film", Fixtures.path("h264-aac-faststart.mp4"))
      for manifest in ["master.m3u8", "manifest.mpd"] {
        let url = "https://localhost:\(it.server.tlsPort)/v/film/\(manifest)"
        let played = try Command.run(
          "ffmpeg",
          ["-v", "error", "-nostdin", "-tls_verify", "0", "-i", url, "-map", "0:v:0", "-f", "framemd5", "-"])
        let plain = try Command.run(
          "ffmpeg",
          [
            "-v", "error", "-nostdin", "-i", it.server.url("/v/film/\(manifest)"), "-map", "0:v:0", "-f",
            "framemd5", "-",
          ])
        #expect(played.status == 0 && played.lines.count > 10, "\(played.errors)")
        #expect(played.text == plain.text)
      }
      #expect(try it.server.stop() == 0)
    }

    /// A client that comes back is spared the handshake, on whichever loop it lands, but not under another site's name.
    @Test(arguments: ["-tls1_2", "-tls1_3"]) func sessionsAreResumedWithinTheirSite(_ version: String) throws
    {
      let it = try Installation { $0.threads = 2 }
      try it.server.start()
      let ticket = it.server.folder.path("ticket")
      // Tickets of TLS 1.3 follow the handshake: the client must read on, so it asks something.
      let first = try Command.run(
        "openssl",
        [
          "s_client", "-connect", "127.0.0.1:\(it.server.tlsPort)", "-servername", "a.test", version,
          "-sess_out",
          ticket, "-ign_eof",
        ], stdin: Array("GET /f/none HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n".utf8))
      #expect(first.text.contains("New, TLSv"))
      for _ in 0..<4 {
        #expect(
          try it.client(["-servername", "a.test", version, "-sess_in", ticket]).contains("Reused, TLSv"))
      }
      for host in ["b.test", "m.test"] {
        let other = try it.client(["-servername", host, version, "-sess_in", ticket])
        #expect(!other.contains("Reused, TLSv"), "\(host)")
      }
      it.server.signal(SIGHUP)
      #expect(it.server.logLine { $0.contains("configuration reloaded") } != nil)
      #expect(try it.client(["-servername", "a.test", version, "-sess_in", ticket]).contains("Reused, TLSv"))
      // Nor does a client notice that another process has taken over, or yet another.
      for _ in 0..<2 {
        try it.server.restart()
        #expect(
          try it.client(["-servername", "a.test", version, "-sess_in", ticket]).contains("Reused, TLSv"))
      }
      #expect(try it.server.stop() == 0)
    }

    @Test func theResponseIsStapled() throws {
      let it = try Installation()
      try it.server.start()
      #expect(
        try it.client(["-servername", "a.test", "-status"]).contains("OCSP Response Status: successful"))
      #expect(
        try it.client(["-servername", "b.test", "-status"]).contains("OCSP response: no response sent"))
      #expect(try it.server.stop() == 0)
    }

    @Test(arguments: ["1.2", "1.3"]) func clientsOfAClosedSiteShowACertificate(_ version: String) throws {
      let it = try Installation()
      for site in ["demo", "closed"] { try it.put(site, "hello.txt", Array("hello".utf8)) }
      try it.server.start()
      let key = [
        "--cert", it.certificates.path("client.crt"), "--key", it.certificates.path("client.key"),
        "--http1.1",
        "--tls-max", version,
      ]
      #expect(try it.curl("m.test", "/f/hello.txt", key).text == "hello")
      let without = try it.curl("m.test", "/f/hello.txt", ["--http1.1", "--tls-max", version])
      #expect(without.status != 0 && without.output.isEmpty)
      // A certificate of somebody else's authority.
      let stranger = try Certificates()
      try stranger.make("client")
      let foreign = try it.curl(
        "m.test", "/f/hello.txt",
        ["--cert", stranger.path("client.crt"), "--key", stranger.path("client.key"), "--tls-max", version])
      #expect(foreign.status != 0 && foreign.output.isEmpty)
      // Neither another site's connection nor a plain one leads in.
      let status = ["-o", "/dev/null", "-w", "%{http_code}", "-H", "Host: m.test"]
      #expect(try it.curl("a.test", "/f/hello.txt", key + status).text == "421")
      #expect(try it.server.request("GET", "/f/hello.txt", [("Host", "m.test")]).status == 421)
      #expect(try it.curl("a.test", "/f/hello.txt").text == "hello")
      #expect(try it.server.stop() == 0)
    }

    /// Connections that are open when the certificate changes go on with what they have; new ones meet the new one; no
    /// request fails.
    @Test func aCertificateIsReplacedUnderLoad() async throws {
      let it = try Installation { $0.threads = 2 }
      try it.put("demo", "hello.txt", Array("hello".utf8))
      try it.server.start()
      let serial = {
        try it.client(["-servername", "a.test"]).split(separator: "\n")
          .first { $0.hasPrefix("MII") }.map(String.init)
      }
      let before = try serial()
      let load = Load()
      let answers = try await withThrowingTaskGroup(of: Int.self) { group in
        for _ in 0..<4 {
          group.addTask {
            var count = 0
            while !load.isDone.load(ordering: .relaxed) {
              // Many requests over one connection.
              let urls = (0..<200).flatMap { _ in ["-o", "-", it.url("a.test", "/f/hello.txt")] }
              let done = try it.curl("a.test", "/f/hello.txt", ["--http1.1", "-f"] + urls)
              #expect(done.status == 0 && done.output.count == 201 * 5, "\(done.errors)")
              count += 201
            }
            return count
          }
        }
        for _ in 0..<3 {
          let reloads = it.server.log.components(separatedBy: "configuration reloaded").count
          try it.certificates.make("a", hosts: ["a.test", "localhost"])
          try it.certificates.makeResponse("a")
          it.server.signal(SIGHUP)
          let deadline = ContinuousClock.now + .seconds(10)
          while it.server.log.components(separatedBy: "configuration reloaded").count == reloads,
            ContinuousClock.now < deadline
          { try await Task.sleep(for: .milliseconds(20)) }
        }
        load.isDone.store(true, ordering: .relaxed)
        return try await group.reduce(0, +)
      }
      #expect(answers > 0)
      let after = try serial()
      #expect(before != nil && after != nil && before != after)
      // One that can't be used is refused, and the last good one stays.
      try it.certificates.folder.write("a.pem", text: "not a certificate")
      it.server.signal(SIGHUP)
      #expect(it.server.logLine { $0.contains("configuration refused") && $0.contains("certificate") } != nil)
      #expect(try it.curl("a.test", "/f/hello.txt").text == "hello")
      #expect(try it.server.stop() == 0)
    }

    /// Whoever does not finish the handshake is let go in time, and whoever speaks nonsense is told so.
    @Test func handshakesThatComeToNothing() throws {
      let it = try Installation { $0.tables = "[limits]\nheader_timeout = \"1s\"" }
      try it.put("demo", "hello.txt", Array("hello".utf8))
      try it.server.start()
      let silent = try RawConnection(port: it.server.tlsPort)
      let half = try RawConnection(port: it.server.tlsPort)
      try half.send([0x16, 0x03, 0x01, 0x01, 0x00, 0x01])
      for nonsense in [
        Array("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n".utf8), [UInt8](repeating: 0xFF, count: 300),
        [0x16, 0x03, 0x01, 0x00, 0x04, 0x01, 0x00, 0x00, 0x00], [0x15, 0x03, 0x03, 0x00, 0x02, 0x02, 0x28],
      ] as [[UInt8]] {
        let connection = try RawConnection(port: it.server.tlsPort)
        try connection.send(nonsense)
        connection.closeSending()
        let answer = try connection.receiveToEnd()
        #expect(answer.isEmpty || answer[0] == 0x15, "an alert or nothing: \(answer)")
      }
      #expect(silent.isClosedByPeer())
      #expect(half.isClosedByPeer())
      #expect(try it.curl("a.test", "/f/hello.txt").text == "hello")
      #expect(try it.server.stop() == 0)
    }
  }
}
