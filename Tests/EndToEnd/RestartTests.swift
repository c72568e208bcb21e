import Foundation
import Support
import Testing

extension EndToEnd {
  /// Reload, rolling restart, socket activation and the end: nothing of these fails a request.
  @Suite struct RestartTests {
    /// `make torture` has the long form.
    private static let isLong = ProcessInfo.processInfo.environment["HEADWATER_TORTURE"] != nil
    private static let clientCount = isLong ? 64 : 16

    // MARK: - Stopping

    @Test func drainingFinishesTheDownloadInFlight() throws {
      let server = try ServerUnderTest()
      let content = try Self.putBigFile(server)
      try server.start()

      let download = try server.connect(timeout: .seconds(20), receiveBufferBytes: 65536)
      try download.send("GET /f/big.bin HTTP/1.1\r\nHost: localhost\r\n\r\n")
      let beginning = try download.receive()
      let idle = try server.connect()
      try idle.send("GET /f/none HTTP/1.1\r\nHost: localhost\r\n\r\n")
      #expect(try idle.response().status == 404)

      server.signal(SIGTERM)
      let deadline = ContinuousClock.now + .seconds(10)
      var refused = false
      while !refused && ContinuousClock.now < deadline { refused = (try? server.connect()) == nil }
      #expect(refused, "a draining server accepts no more")
      #expect(idle.isClosedByPeer(), "an idle connection does not hold up the end beyond the grace time")

      let answer = try RawResponse.parse(beginning + download.receiveToEnd())
      #expect(
        answer.status == 200 && answer.body == content, "\(answer.body.count) of \(content.count) bytes")
      #expect(try server.waitForEnd(.seconds(15)) == 0)
    }

    @Test func theLastAnswerOfADrainSaysSo() throws {
      var options = ServerUnderTest.Options()
      options.server = #"drain_grace = "30s""#
      let server = try ServerUnderTest(options)
      try server.putFile("notes.txt", Fixtures.path("notes.txt"))
      let content = try Self.putBigFile(server)
      try server.start()
      let request = "GET /f/notes.txt HTTP/1.1\r\nHost: localhost\r\n\r\n"
      let idle = try server.connect()
      try idle.send(request)
      #expect(try idle.response()["Connection"] == nil)
      // The head of this answer does not say that it is the last.
      let busy = try server.connect(timeout: .seconds(20), receiveBufferBytes: 65536)
      try busy.send("GET /f/big.bin HTTP/1.1\r\nHost: localhost\r\n\r\n")
      let beginning = try busy.receive()
      server.signal(SIGTERM)
      try #require(server.logLine { $0.contains("draining") } != nil)
      #expect(try server.request("GET", "/readyz", admin: true).status == 503)

      var received = beginning
      let head = try #require(received.firstRange(of: Array("\r\n\r\n".utf8)))
      while received.count < head.upperBound + content.count { received += try busy.receive() }
      for connection in [idle, busy] {
        try connection.send(request)
        let answer = try connection.response()
        #expect(answer.status == 200 && answer.body.count == 1920)
        #expect(answer["Connection"] == "close")
        #expect(connection.isClosedByPeer())
      }
      #expect(try server.waitForEnd() == 0, "with the last connection, not with the grace time")
    }

    @Test(arguments: [SIGTERM, SIGINT]) func stoppingEndsWithZero(_ signal: Int32) throws {
      let server = try ServerUnderTest()
      try server.start()
      server.signal(signal)
      #expect(try server.waitForEnd() == 0)
    }

    // MARK: - Reloading

    @Test func reloadingFailsNoRequestOfKeepAliveClients() async throws {
      let rounds = Self.isLong ? 50 : 12
      var options = ServerUnderTest.Options()
      options.threads = 2
      let server = try ServerUnderTest(options)
      try server.start()
      try server.importAsset("film", Fixtures.path("h264-aac-faststart.mp4"))
      let clients = try VerifyingClients(server, path: "/v/film/source")
      try await clients.run(Self.clientCount) {
        for round in 1...rounds {
          // A different lifetime each time shows that the new configuration is in force.
          options.sites["demo"] = "hosts = [\"*\"]\n[cache]\nmanifest_max_age = \"\(100 + round)s\""
          try server.configure(options)
          server.signal(SIGHUP)
          #expect(Self.lifetime(of: server, becomes: 100 + round), "reload \(round)")
          #expect(clients.grow(by: 2 * Self.clientCount), "every client goes on after reload \(round)")
        }
        // A mistake is refused, and the configuration in force stays.
        options.sites["demo"] = "hosts = [\"*\"]\n[cache]\nmanifest_max_agee = \"1s\""
        try server.configure(options)
        server.signal(SIGHUP)
        #expect(server.logLine { $0.contains("demo.toml:3:1") } != nil, "\(server.log.suffix(1000))")
        #expect(Self.lifetime(of: server, becomes: 100 + rounds))
        options.sites["demo"] = "hosts = [\"*\"]\n[cache]\nmanifest_max_age = \"7s\""
        try server.configure(options)
        server.signal(SIGHUP)
        #expect(Self.lifetime(of: server, becomes: 7), "a good configuration after a bad one")
      }
      let (events, violations) = clients.result
      print("reload: \(events) events, \(violations.count) violations")
      #expect(events >= rounds * 2 * Self.clientCount)
      #expect(violations.isEmpty, "\(violations.prefix(5))")
      #expect(try server.stop() == 0)
    }

    private static func lifetime(of server: ServerUnderTest, becomes seconds: Int) -> Bool {
      let deadline = ContinuousClock.now + .seconds(10)
      while ContinuousClock.now < deadline {
        let control = (try? server.request("GET", "/v/film/master.m3u8"))?["Cache-Control"] ?? ""
        if control.contains("max-age=\(seconds)") { return true }
      }
      return false
    }

    // MARK: - Rolling restart

    @Test func rollingRestartsFailNoRequestOfKeepAliveClients() async throws {
      let rounds = Self.isLong ? 20 : 4
      var options = ServerUnderTest.Options()
      options.threads = 2
      options.server = #"drain_grace = "10s""#
      let server = try ServerUnderTest(options)
      let content = try Self.putBigFile(server)
      try server.start()
      try server.importAsset("film", Fixtures.path("h264-aac-faststart.mp4"))
      let port = server.port
      let clients = try VerifyingClients(server, path: "/v/film/source")
      let first = server.processID
      let download = try server.connect(timeout: .seconds(20), receiveBufferBytes: 65536)
      try download.send("GET /f/big.bin HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
      let beginning = try download.receive()
      try await clients.run(Self.clientCount) {
        for round in 1...rounds {
          // Another number of loops takes over the same queues.
          options.threads = [1, 3, 2][round % 3]
          try server.configure(options)
          try server.restart()
          #expect(clients.grow(by: 2 * Self.clientCount), "every client goes on after restart \(round)")
        }
      }
      #expect(server.processID != first && server.port == port)
      let (events, violations) = clients.result
      print("rolling restart: \(events) events, \(violations.count) violations")
      #expect(violations.isEmpty, "\(violations.prefix(5))")
      let answer = try RawResponse.parse(beginning + download.receiveToEnd())
      #expect(
        answer.body == content, "a download that began before the first restart ends in the first process")
      #expect(try server.request("GET", "/healthz", admin: true).status == 200)
      #expect(try server.stop() == 0)
    }

    @Test func aSuccessorThatFailsChangesNothing() async throws {
      let server = try ServerUnderTest()
      try FileManager.default.createDirectory(
        atPath: server.folder.path("bin"), withIntermediateDirectories: true)
      let program = server.folder.path("bin/headwater")
      try FileManager.default.createSymbolicLink(
        atPath: program, withDestinationPath: try #require(realPath(Checkout.binary)))
      try server.start(executable: program)
      try server.putFile("notes.txt", Fixtures.path("notes.txt"))
      let process = server.processID
      let clients = try VerifyingClients(server, path: "/f/notes.txt")
      try await clients.run(4) {
        // A program that ends, one that cannot be started, and a configuration that is refused.
        try FileManager.default.removeItem(atPath: program)
        try server.folder.write("bin/headwater", text: "#!/bin/sh\nexit 3\n")
        try FileManager.default.setAttributes([.posixPermissions: 0o755], ofItemAtPath: program)
        server.signal(SIGUSR2)
        #expect(server.logLine { $0.contains("this process goes on: it ended with status 3") } != nil)
        try FileManager.default.removeItem(atPath: program)
        server.signal(SIGUSR2)
        #expect(server.logLine { $0.contains("this process goes on: start") } != nil)
        try FileManager.default.createSymbolicLink(
          atPath: program, withDestinationPath: try #require(realPath(Checkout.binary)))
        var broken = ServerUnderTest.Options()
        broken.server = "nonsense = 1"
        try server.configure(broken)
        server.signal(SIGUSR2)
        #expect(server.logLine { $0.contains("this process goes on: it ended with status 1") } != nil)
        #expect(server.processID == process && clients.grow(by: 8))
        // And then one that succeeds.
        try server.configure(ServerUnderTest.Options())
        try server.restart()
        #expect(server.processID != process && clients.grow(by: 8))
      }
      #expect(clients.result.violations.isEmpty, "\(clients.result.violations.prefix(5))")
      #expect(try server.stop() == 0)
    }

    // MARK: - Under systemd

    /// What systemd does, done by the test: sockets that outlive every process of the service.
    @Test func systemdsSocketsSurviveACrash() throws {
      let sockets = (try ListeningSocket(), try ListeningSocket())
      var options = ServerUnderTest.Options()
      options.threads = 2
      options.listen = ["127.0.0.1:\(sockets.0.port)"]
      options.admin = "127.0.0.1:\(sockets.1.port)"
      let server = try ServerUnderTest(options)
      try server.putFile("notes.txt", Fixtures.path("notes.txt"))
      let state = try NotifySocket(server.folder.path("notify"))
      func start() throws {
        try server.start(
          launcher: ["sh", "-c", #"LISTEN_PID=$$ exec "$0" "$@""#],
          environment: [
            "LISTEN_FDS": "2", "LISTEN_FDNAMES": "headwater.socket:admin", "NOTIFY_SOCKET": state.path,
          ], descriptors: [sockets.0.descriptor, sockets.1.descriptor])
      }
      func early() throws -> RawConnection {
        let client = try RawConnection(port: sockets.0.port, timeout: .seconds(20))
        try client.send("GET /f/notes.txt HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        return client
      }
      let before = try early()
      try start()
      #expect(server.port == sockets.0.port && server.adminPort == sockets.1.port)
      #expect(try before.response().body.count == 1920, "who came before the server is answered")
      #expect(try state.next() == "READY=1\n")
      for _ in 0..<8 { #expect(try server.request("GET", "/f/notes.txt").status == 200) }
      server.signal(SIGHUP)
      #expect(try state.next().hasPrefix("RELOADING=1\nMONOTONIC_USEC="))
      #expect(try state.next() == "READY=1\n")

      server.signal(SIGKILL)
      _ = try server.waitForEnd()
      let between = try early()
      try start()
      #expect(try between.response().status == 200, "who came between crash and restart is answered")
      #expect(try state.next() == "READY=1\n")

      try server.restart()
      #expect(try state.next().hasPrefix("RELOADING=1\n"))
      #expect(try state.next() == "MAINPID=\(server.processID)\nREADY=1\n")
      #expect(try server.request("GET", "/healthz", admin: true).status == 200)
      #expect(try server.stop() == 0)
      #expect(try state.next() == "STOPPING=1\n")
    }

    @Test func aSocketThatNoAddressNamesIsAnError() throws {
      let socket = try ListeningSocket()
      let server = try ServerUnderTest()
      #expect(throws: SupportError.self) {
        try server.start(
          launcher: ["sh", "-c", #"LISTEN_PID=$$ exec "$0" "$@""#], environment: ["LISTEN_FDS": "1"],
          descriptors: [socket.descriptor])
      }
    }

    // MARK: -

    private static func putBigFile(_ server: ServerUnderTest) throws -> [UInt8] {
      var random = SplitMix64(seed: 77)
      let block = random.bytes(1 << 20)
      // More than the kernel's buffers hold, each MiB different.
      let content = (0..<16).flatMap { index in block.dropLast() + [UInt8(index)] }
      try server.putFile("big.bin", server.folder.write("big.bin", content))
      return content
    }

    private func realPath(_ path: String) -> String? {
      URL(filePath: path).resolvingSymlinksInPath().path
    }
  }
}
