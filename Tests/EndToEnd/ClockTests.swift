import Foundation
import Support
import Testing

extension EndToEnd {
  /// A wall clock that is set forward and back under a running server: timers go by the other clock, and no date is
  /// false.
  @Suite struct ClockTests {
    @Test func stepsOfTheClockDoNoHarm() throws {
      var options = ServerUnderTest.Options()
      options.tables = "[limits]\nheader_timeout = \"1s\"\nidle_timeout = \"10m\"\n"
      let server = try ServerUnderTest(options)
      let shim = try FaultShim(below: server.folder.path("storage"))
      try server.importAsset("film", Fixtures.path("h264-aac-faststart.mp4"))
      try server.putFile("notes.txt", Fixtures.path("notes.txt"))
      server.environment = shim.environment
      try server.start()
      let paths = ["/f/notes.txt", "/v/film/master.m3u8", try Presentation(server, asset: "film").segment(0)]
      let before = try paths.map { try server.request("GET", $0) }
      let idle = try server.connect()
      try idle.send("GET /f/notes.txt HTTP/1.1\r\nHost: localhost\r\n\r\n")
      #expect(try idle.response().status == 200)
      let hour: Int64 = 3600
      let decade = 10 * 365 * 24 * hour
      let steps = [hour, -decade, 0] + (Torture.isLong ? [-hour, decade, 1, 2, 1, 0, -1, 5, 0] : [])
      for step in steps {
        shim.clockOffsetSeconds = step
        // The server asks for the time once a second.
        let deadline = ContinuousClock.now + .seconds(5)
        while try abs(Self.lag(server, step)) > 3, ContinuousClock.now < deadline {}
        for (path, old) in zip(paths, before) {
          let answer = try server.request("GET", path)
          #expect(answer.status == 200 && answer.body == old.body && answer["ETag"] == old["ETag"])
          let date = try #require(answer["Date"].flatMap(Self.seconds))
          #expect(try abs(Self.lag(server, step)) < 3, "Date is wrong at step \(step)")
          let modified = try #require(answer["Last-Modified"].flatMap(Self.seconds))
          #expect(modified <= date, "\(path): modified \(modified - date) s in the future at step \(step)")
          #expect(try server.request("GET", path, [("If-None-Match", old["ETag"] ?? "")]).status == 304)
        }
        let slow = try server.connect(timeout: .seconds(6))
        let clock = ContinuousClock()
        try slow.send("GET /f/no")
        let waited = try clock.measure {
          shim.clockOffsetSeconds = -step
          _ = try slow.receiveToEnd()
        }
        #expect(waited > .milliseconds(500) && waited < .seconds(4), "a head may take 1 s: \(waited)")
        shim.clockOffsetSeconds = step
      }
      // None of the steps has made the idle connection old.
      try idle.send("GET /f/notes.txt HTTP/1.1\r\nHost: localhost\r\n\r\n")
      #expect(try idle.response().status == 200)
      shim.clockOffsetSeconds = 0
      #expect(try server.stop() == 0)
    }

    /// By how many seconds a fresh `Date` is off.
    private static func lag(_ server: ServerUnderTest, _ step: Int64) throws -> Double {
      let date = try server.request("GET", "/f/none")["Date"].flatMap(seconds) ?? 0
      return date - Date.now.timeIntervalSince1970 - Double(step)
    }

    private static func seconds(_ text: String) -> Double? {
      let format = DateFormatter()
      format.locale = Locale(identifier: "en_US_POSIX")
      format.timeZone = TimeZone(identifier: "GMT")
      format.dateFormat = "EEE, dd MMM yyyy HH:mm:ss 'GMT'"
      return format.date(from: text)?.timeIntervalSince1970
    }
  }
}
