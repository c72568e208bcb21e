import Loop
import Support
import Testing

@testable import Net

@Suite(.serialized) struct RedisSubscriberTests {
  /// Gives the events of a subscriber on a loop of its own.
  static func withSubscriber(
    _ url: String, channels: [String], checkMilliseconds: UInt64 = 10_000,
    _ body: (inout AsyncStream<RedisSubscriber.Event>.Iterator) async throws -> Void
  ) async throws {
    ignoreSIGPIPE()
    let threads = try LoopThreads(count: 1)
    let workers = try WorkerPool(threadCount: 1)
    let loop = threads.loops[0]
    let configuration = try RedisConfiguration(url: url)
    let (events, event) = AsyncStream.makeStream(of: RedisSubscriber.Event.self)
    loop.execute {
      let subscriber = RedisSubscriber(
        loop: loop, workers: workers, configuration: configuration, channels: channels,
        checkMilliseconds: checkMilliseconds
      ) { event.yield($0) }
      loop.onStop { subscriber.close() }
    }
    var iterator = events.makeAsyncIterator()
    let result: Result<Void, any Error>
    do { result = .success(try await body(&iterator)) } catch { result = .failure(error) }
    threads.stopAndJoin()
    workers.shutdown()
    try result.get()
  }

  @Test func messagesArriveAndLossIsTold() async throws {
    let server = try RedisServer()
    try await Self.withSubscriber(server.url, channels: ["a", "b"], checkMilliseconds: 20) { events in
      #expect(await events.next() == .began)
      for number in 0..<50 {
        try server.command("publish", number % 2 == 0 ? "a" : "b", "m\(number)")
        let expected = RedisSubscriber.Event.message(
          channel: number % 2 == 0 ? "a" : "b", payload: Array("m\(number)".utf8))
        #expect(await events.next() == expected)
      }
      server.kill()
      guard case .lost = await events.next() else { return #expect(Bool(false), "the loss is told") }
      try server.restart()
      #expect(await events.next() == .began)
      try server.command("publish", "b", "again")
      #expect(await events.next() == .message(channel: "b", payload: Array("again".utf8)))
      // Stopped, it still holds the connection: the check finds that out.
      server.pause()
      guard case .lost = await events.next() else { return #expect(Bool(false), "the silence is noticed") }
      server.goOn()
      #expect(await events.next() == .began)
    }
  }

  @Test(arguments: ["unsubscribing", "odd-message", "short-message", "plain-message", "garbage", "deep"])
  func oddMessagesEndTheConnectionOnly(mode: String) async throws {
    let server = try ScriptedRedis(mode)
    try await Self.withSubscriber(server.url, channels: ["a"]) { events in
      // Connected to again and again, and none the worse.
      var began = 0
      while server.count("command SUBSCRIBE") < 3 {
        if mode == "garbage" || mode == "deep" { continue }
        if case .began = await events.next() { began += 1 }
      }
      #expect(mode == "garbage" || mode == "deep" || began >= 1)
    }
  }
}
