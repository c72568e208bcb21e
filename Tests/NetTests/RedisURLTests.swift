import Testing

@testable import Net

@Suite struct RedisURLTests {
  typealias Host = RedisConfiguration.Host

  @Test(arguments: [
    ("redis://cache", RedisConfiguration.Place.server(Host(name: "cache", port: 6379)), 0),
    ("REDIS://cache:7000/3", .server(Host(name: "cache", port: 7000)), 3),
    ("redis://[2001:db8::1]:7000/", .server(Host(name: "2001:db8::1", port: 7000)), 0),
    ("redis+unix:///run/redis/redis.sock?db=2", .socket(path: "/run/redis/redis.sock"), 2),
    (
      "redis-sentinel://a,b:7/mymaster/4",
      .sentinels([Host(name: "a", port: 26379), Host(name: "b", port: 7)], primary: "mymaster"), 4
    ),
    ("redis-cluster://a,[::1]:1", .cluster([Host(name: "a", port: 6379), Host(name: "::1", port: 1)]), 0),
  ])
  func places(url: String, place: RedisConfiguration.Place, database: Int) throws {
    let configuration = try RedisConfiguration(url: url)
    #expect(configuration.place == place && configuration.database == database)
    #expect(configuration.user == nil && configuration.password == nil)
  }

  @Test func secretsAreReadAndNeverShown() throws {
    let configuration = try RedisConfiguration(url: "redis://head%3Awater:p%40ss%2Fw%25rd@cache:1/0")
    #expect(configuration.user == "head:water" && configuration.password == "p@ss/w%rd")
    #expect(configuration.description == "redis://head:water:***@cache:1")
    let nobody = try RedisConfiguration(url: "redis://:secret@cache")
    #expect(nobody.user == nil && nobody.password == "secret")
    #expect(!nobody.description.contains("secret"))
    let sentinel = try RedisConfiguration(
      url: "redis-sentinel://u:one@a/m?sentinel_user=s&sentinel_password=t%26wo")
    #expect(sentinel.sentinelUser == "s" && sentinel.sentinelPassword == "t&wo")
    #expect(sentinel.description == "redis-sentinel://u:***@a:26379/m")
  }

  @Test(arguments: [
    "", "cache", "http://cache", "redis://", "redis://:1", "redis://cache:0", "redis://cache:70000",
    "redis://cache:+1", "redis://cache:1x", "redis://a,b", "redis://cache/x", "redis://cache/-1",
    "redis://cache/1/2",
    "redis://2001:db8::1", "redis://hunter2@cache", "redis://u:%zz@cache", "redis://u:%2@cache",
    "redis://u:%FF@cache", "redis://cache?db=1", "redis://cache?db", "redis://ca che", "redis://cache#x",
    "redis+unix://host/path", "redis+unix://", "redis-sentinel://a", "redis-sentinel://a/",
    "redis-sentinel://a/m/x",
    "redis-sentinel://a/m?sentinel_user=x", "redis-cluster://a/1", "rediss://cache", "redis://u:p@",
    "redis-cluster://a,,b",
  ])
  func refused(url: String) {
    let error = #expect(throws: RedisError.self) { try RedisConfiguration(url: url) }
    #expect(error?.code == .configurationInvalid && error?.description.contains("hunter2") == false)
  }

  @Test func tlsIsRefusedWithAWayOut() {
    let error = #expect(throws: RedisError.self) { try RedisConfiguration(url: "rediss://cache") }
    #expect(error?.detail.contains("TLS") == true && error?.detail.contains("stunnel") == true)
  }

  @Test func commandsThatWouldChangeTheConnectionAreRefused() {
    for name in ["SUBSCRIBE", "multi", "MONITOR", "HELLO", "client", "SELECT", "", "GET x"] {
      #expect(RedisCommand(name, []).complaint != nil, "\(name)")
    }
    #expect(RedisCommand("get", "a").complaint == nil)
  }

  @Test func theFormOnTheWire() {
    let command = RedisCommand("SET", "k", RedisArgument([0, 13, 10]), 5, "\("x")y")
    #expect(
      command.wire == Array("*5\r\n$3\r\nSET\r\n$1\r\nk\r\n$3\r\n\0\r\n\r\n$1\r\n5\r\n$2\r\nxy\r\n".utf8))
    #expect(command.key == Array("k".utf8) && RedisCommand("PING", []).key == nil)
  }
}

@Suite struct RedisSlotTests {
  @Test(arguments: [
    ("foo", 12182), ("{user1000}.following", 3443), ("live:{ch1}", 9930), ("meta:{ch1}", 9930),
    ("user:{}:x", 14781), ("a{b}{c}", 3300), ("b", 3300), ("", 0),
  ])
  func slots(key: String, slot: Int) { #expect(RedisSlot.of(Array(key.utf8)) == slot) }

  @Test func checksum() { #expect(RedisSlot.crc16("123456789".utf8) == 0x31C3) }

  @Test func redirections() {
    func read(_ text: String, _ asked: String? = "here") -> RedisCluster.Redirection? {
      let host = asked.map { RedisConfiguration.Host(name: $0, port: 1) }
      return RedisCluster.Redirection(RedisError(.serverError, detail: text), asked: host)
    }
    #expect(read("MOVED 3999 127.0.0.1:6381") == .moved(slot: 3999, .init(name: "127.0.0.1", port: 6381)))
    #expect(read("MOVED 1 ::1:7") == .moved(slot: 1, .init(name: "::1", port: 7)))
    #expect(read("MOVED 1 :7") == .moved(slot: 1, .init(name: "here", port: 7)))
    #expect(read("ASK 1 ?:7") == .ask(.init(name: "here", port: 7)))
    #expect(read("TRYAGAIN Multiple keys") == .tryAgain)
    for text in [
      "MOVED", "MOVED 16384 a:1", "MOVED -1 a:1", "MOVED 1 a", "MOVED 1 a:70000", "MOVED x a:1", "ERR x",
    ] {
      #expect(read(text) == nil, "\(text)")
    }
    #expect(read("MOVED 1 :7", nil) == nil)
  }
}

@Suite struct RedisBreakerTests {
  @Test func fiveFailuresInARowOpenIt() {
    var breaker = RedisBreaker()
    let opens = { (time: UInt64) in breaker.failed(atMilliseconds: time) }
    #expect((0..<4).allSatisfy { !opens($0) } && breaker.isClosed)
    breaker.answered(atMilliseconds: 4)
    #expect((5..<9).allSatisfy { !opens($0) })
    #expect(opens(9) && !breaker.isClosed && breaker.openings == 1)
    guard case .open(let until) = breaker.state else { return #expect(Bool(false)) }
    #expect((1009...1259).contains(until))
  }

  @Test func mostlyFailingOpensIt() {
    var breaker = RedisBreaker()
    var opened: Int?
    for call in 0..<40 where opened == nil {
      if call % 3 == 0 {
        breaker.answered(atMilliseconds: UInt64(call))
      } else if breaker.failed(atMilliseconds: UInt64(call)) {
        opened = call
      }
    }
    #expect(opened == 19, "at the twentieth call, two of three failing")
    // The same, but spread over so much time that no window has twenty.
    breaker = RedisBreaker()
    for call in 0..<200 {
      let time = UInt64(call) * 1000
      if call % 3 == 0 {
        breaker.answered(atMilliseconds: time)
      } else {
        _ = breaker.failed(atMilliseconds: time)
      }
    }
    #expect(breaker.isClosed)
  }

  @Test func twoAnswersCloseIt() {
    var breaker = RedisBreaker()
    for _ in 0..<5 { _ = breaker.failed(atMilliseconds: 0) }
    breaker.answered(atMilliseconds: 1)
    #expect(!breaker.isClosed, "a late answer says nothing")
    breaker.probeBegins()
    #expect(breaker.state == .halfOpen(answers: 0))
    breaker.answered(atMilliseconds: 1200)
    #expect(!breaker.isClosed)
    let opensAgain = breaker.failed(atMilliseconds: 1201)
    #expect(opensAgain && breaker.openings == 1)
    breaker.probeBegins()
    breaker.answered(atMilliseconds: 2400)
    breaker.answered(atMilliseconds: 2401)
    #expect(breaker.isClosed)
  }
}
