import HTTP
import Store
import Testing

@testable import EngagementPlugin
@testable import Origin

@Suite struct ExpiringTableTests {
  @Test func entriesEndAndMakeRoom() {
    var table = ExpiringTable<Int, String>(lifetimeMilliseconds: 100, limit: 3)
    table.set(1, "a", at: 0)
    table.set(2, "b", at: 50)
    #expect(table.value(1, at: 99) == "a" && table.value(1, at: 100) == nil)
    table.set(1, "c", at: 90)
    table.set(3, "d", at: 91)
    table.set(4, "e", at: 92)
    #expect(table.count == 3 && table.value(2, at: 92) == nil, "the one that was set longest ago has gone")
    #expect(table.value(1, at: 120) == "c")
    table.remove(1)
    #expect(table.value(1, at: 120) == nil)
    table.trim(at: 1000)
    #expect(table.count == 0)
  }

  @Test func manySettingsTakeNoMemory() {
    var table = ExpiringTable<Int, Int>(lifetimeMilliseconds: 1000, limit: 10)
    for round in 0..<10_000 { table.set(round % 5, round, at: Int64(round)) }
    #expect(table.count == 5 && table.keys(at: 9_999).sorted() == [0, 1, 2, 3, 4])
    #expect(table.value(4, at: 9_999) == 9_999)
  }
}

@Suite struct HyperLogLogTests {
  private func filled(_ range: Range<Int>) -> HyperLogLog {
    var log = HyperLogLog()
    for number in range {
      log.insert(
        hash: BlobID.digest(of: Array("\(number)".utf8)).withUnsafeBytes { $0.loadUnaligned(as: UInt64.self) }
      )
    }
    return log
  }

  @Test(arguments: [0, 1, 64, 65, 1_000, 10_000, 50_000]) func estimatesAreNear(count: Int) {
    let found = filled(0..<count).estimate
    // Four times the standard error.
    #expect(abs(found - count) <= max(count <= 64 ? 0 : 6, count * 65 / 1000), "\(found) for \(count)")
  }

  @Test func mergingIsTheUnion() {
    for (left, right, union) in [
      (0..<40, 20..<60, 60), (0..<40, 0..<5_000, 5_000), (0..<5_000, 2_500..<7_500, 7_500),
    ] {
      var log = filled(left)
      log.merge(filled(right))
      #expect(abs(log.estimate - union) <= max(4, union * 65 / 1000), "\(log.estimate) for \(union)")
    }
  }
}

@Suite struct RateLedgerTests {
  private let address = NetworkAddress("192.0.2.1")!
  private let start: UInt64 = 1_700_000_000_000_000

  @Test func cellsLetThroughABurstAndThenARate() {
    var ledger = RateLedger(RateRule(.cellRate, requests: 10, perMilliseconds: 1000, burst: 3), setCount: 4)
    for _ in 0..<3 { #expect(ledger.take(address, at: start) == nil) }
    #expect(ledger.take(address, at: start) == 1)
    #expect(ledger.take(NetworkAddress("192.0.2.2")!, at: start) == nil)
    #expect(ledger.take(address, at: start + 100_000) == nil)
    #expect(ledger.take(address, at: start + 100_000) == 1)
    #expect(ledger.take(address, at: start + 10_000_000) == nil)
  }

  @Test func windowsBeginAnew() {
    let windowStart = start / 60_000_000 * 60_000_000
    var ledger = RateLedger(
      RateRule(.fixedWindow, requests: 2, perMilliseconds: 60_000, burst: 1), setCount: 4)
    #expect(ledger.take(address, at: windowStart) == nil && ledger.take(address, at: windowStart + 1) == nil)
    #expect(ledger.take(address, at: windowStart + 59_000_000) == 1)
    #expect(ledger.take(address, at: windowStart) == 60)
    #expect(ledger.take(address, at: windowStart + 60_000_000) == nil)
  }

  @Test func whatOthersUsedCounts() {
    var ledger = RateLedger(
      RateRule(.fixedWindow, requests: 10, perMilliseconds: 60_000, burst: 1), setCount: 4)
    #expect(ledger.take(address, at: start) == nil && ledger.take(address, at: start) == nil)
    let told = ledger.drain()
    #expect(told.count == 1 && told[0].amount == 2 && told[0].address == address)
    #expect(ledger.drain().isEmpty)
    #expect(ledger.take(address, at: start) == nil)
    ledger.absorb(address, window: told[0].window, used: 9, at: start)
    #expect(ledger.take(address, at: start) != nil, "nine of all and one since")
    var cells = RateLedger(RateRule(.cellRate, requests: 10, perMilliseconds: 1000, burst: 5), setCount: 4)
    #expect(cells.take(address, at: start) == nil)
    _ = cells.drain()
    cells.absorb(address, window: 0, used: 600_000, at: start)
    #expect(cells.take(address, at: start) == 1)
  }

  @Test func manyAddressesForgetThoseThatHardlySend() {
    var ledger = RateLedger(
      RateRule(.cellRate, requests: 10, perMilliseconds: 1000, burst: 100), setCount: 1, seed: 1)
    for _ in 0..<90 { _ = ledger.take(address, at: start) }
    for number in 0..<1000 {
      _ = ledger.take(NetworkAddress(bits: UInt128(number + 9), isIPv6: false), at: start)
    }
    for _ in 0..<10 { #expect(ledger.take(address, at: start) == nil) }
    #expect(ledger.take(address, at: start) != nil, "the heaviest sender is remembered")
  }
}

@Suite struct ViewSamplingTests {
  @Test func whereThereAreTooManyOneInTenStandsForAll() {
    let sampling = ViewSampling(above: 10)
    let quiet = (0..<10).map { sampling.weight(video: "film", viewer: "quiet-\($0)", nowMilliseconds: 1_000) }
    #expect(quiet.allSatisfy { $0 == 1 })
    let busy = (0..<10_000).map {
      sampling.weight(video: "film", viewer: "busy-\($0)", nowMilliseconds: 2_000)
    }
    #expect(Set(busy.dropFirst(10)) == [0, 10])
    let sum = busy.reduce(0, +)
    #expect((9_000...11_000).contains(sum), "\(sum)")
    let again = (0..<10_000).map {
      sampling.weight(video: "film", viewer: "busy-\($0)", nowMilliseconds: 3_000)
    }
    #expect(again[10...] == busy[10...], "the same viewers stand for the others")
    #expect(ViewSampling(above: 0).weight(video: "film", viewer: "one", nowMilliseconds: 0) == 1)
  }
}

@Suite struct ViewerIdentityTests {
  @Test func viewersAreToldApartForADay() {
    let identity = ViewerIdentity(key: Array("0123456789abcdef".utf8))
    func viewer(_ address: String = "192.0.2.1", _ agent: String = "a", _ day: String = "20260101") -> String
    {
      identity.derived(address: address, userAgent: Array(agent.utf8), day: day)
    }
    #expect(viewer() == viewer() && AssetID.isValid(viewer()))
    #expect(
      Set([viewer(), viewer("192.0.2.2"), viewer("192.0.2.1", "b"), viewer("192.0.2.1", "a", "20260102")])
        .count == 4)
    #expect(
      ViewerIdentity(key: nil).viewer(ofSession: "s") != ViewerIdentity(key: nil).viewer(ofSession: "s"))
  }

  @Test(arguments: ["short", "", "blank in it", String(repeating: "a", count: 65), "äöüäöüäöü", "a:b:c:d:e"])
  func otherTextsAreNoIds(id: String) {
    #expect(throws: Problem.self) { try ViewerIdentity.checked(id) }
  }

  @Test func aStampIsInUTC() {
    let stamp = CalendarStamp(milliseconds: 1_709_164_800_123)
    #expect(stamp.day == "20240229" && stamp.hour == "2024022900")
  }
}

@Suite struct RealtimeTests {
  private func report(_ text: String) throws -> CMCD { try #require(CMCD(dictionary: Array(text.utf8))) }

  @Test func reportsBecomeFigures() throws {
    var film = RealtimeRow()
    film.add(try report("br=3200,d=4000,ot=v"), bytes: 1_000_000)
    film.add(try report("br=(800;v),bs,d=4000,ot=v,v=2"), bytes: 500_000)
    film.add(try report("br=128,d=4000,ot=a"), bytes: 1_000)
    film.add(try report("bsd=(1500;v),e=t,sta=r,ts=1,v=2"), bytes: 0)
    #expect(film.reports == 4 && film.bytes == 1_501_000 && film.starvedReports == 2)
    #expect(film.stalledMilliseconds == 1500 && film.playedMilliseconds == 8000)
    #expect(film.bitrates == [3200: 1, 800: 1])
    let interval = RealtimeInterval(rows: ["film": film, "": film])
    #expect(RealtimeInterval(json: interval.json) == interval)
    #expect(RealtimeInterval(json: Array("[]".utf8)) == nil)
    let whole = RealtimeReport([interval, interval])
    #expect(whole.total.reports == 16 && whole.videos.map(\.id) == ["film"])
    let text = String(decoding: whole.json(live: [5, 3], windowMilliseconds: 300_000).bytes, as: UTF8.self)
    #expect(text.hasPrefix(#"{"window_seconds":300.000,"concurrent_viewers":5,"reports":16,"#), "\(text)")
    #expect(
      text.contains(#""buffering_ratio":0.500"#)
        && text.contains(#"{"kilobits_per_second":800,"share":0.500}"#))
  }

  @Test func theBusiestVideosAreToldByThemselves() throws {
    let collector = RealtimeCollector()
    for number in 0..<300 {
      for _ in 0...(number == 7 ? 5 : 0) {
        collector.add(event: try report("cid=\"film-\(number)\",sid=\"s-\(number)\",e=t,ts=1"))
      }
    }
    collector.add(event: try report("cid=\"no id\",sid=\"s\",e=t,ts=1"))
    let (interval, sessions) = collector.take()
    #expect(interval.rows.count == 201 && interval.rows["film-7"]?.reports == 6)
    #expect(interval.rows.values.reduce(0) { $0 + $1.reports } == 306)
    #expect(sessions.count == 300 && sessions["film-7"] == ["s-7"])
    #expect(collector.take().interval.rows.isEmpty)
  }
}
