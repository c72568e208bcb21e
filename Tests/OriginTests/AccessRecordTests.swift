import Foundation
import HTTP
import Testing

@testable import Origin

@Suite struct AccessRecordTests {
  static let hostile: [UInt8] =
    Array("/a\"b\\c\r\n{}</script>".utf8) + [0x00, 0x1B, 0x7F, 0x80, 0xC3, 0xFF] + Array("é".utf8)

  static func record(target: [UInt8] = Array("/f/a?x=1".utf8)) -> AccessRecord {
    AccessRecord(
      site: "demo", startedMilliseconds: 1_709_164_800_123, durationMicroseconds: 42,
      remoteAddress: "2001:db8::1", method: "GET", target: target, host: Array("media.example.com".utf8),
      versionMajor: 1, versionMinor: 1, status: 206, sentBytes: 1234, kind: .segment,
      requestID: Array("r1".utf8),
      range: Array("bytes=0-1".utf8), referer: nil, userAgent: hostile)
  }

  private func json(_ record: AccessRecord) throws -> [String: Any] {
    var line: [UInt8] = []
    record.appendJSON(to: &line)
    #expect(line.last == 0x0A)
    #expect(line.dropLast().allSatisfy { (0x20..<0x7F).contains($0) }, "a line is one line of ASCII")
    let value = try JSONSerialization.jsonObject(with: Data(line))
    return try #require(value as? [String: Any])
  }

  @Test func aJSONLineHoldsEveryField() throws {
    let line = try json(Self.record())
    #expect(line["time"] as? String == "2024-02-29T00:00:00.123Z")
    #expect(line["site"] as? String == "demo")
    #expect(line["remote"] as? String == "2001:db8::1")
    #expect(line["method"] as? String == "GET")
    #expect(line["host"] as? String == "media.example.com")
    #expect(line["target"] as? String == "/f/a?x=1")
    #expect(line["status"] as? Int == 206)
    #expect(line["bytes"] as? Int == 1234)
    #expect(line["duration_us"] as? Int == 42)
    #expect(line["kind"] as? String == "segment")
    #expect(line["request_id"] as? String == "r1")
    #expect(line["range"] as? String == "bytes=0-1")
    #expect(line["protocol"] as? String == "HTTP/1.1")
    #expect(line["tls"] == nil)
    #expect(line["referer"] == nil)
    // Each byte is the code point of its number: nothing is lost, whatever it was.
    let agent = try #require(line["user_agent"] as? String)
    #expect(agent.unicodeScalars.map(\.value) == Self.hostile.map { UInt32($0) })
  }

  @Test func whatThePlayerToldIsAnObject() throws {
    var record = Self.record()
    record.cmcd = CMCD(dictionary: Array(#"br=(3200;v 128;a),bs,pr=1.08,sid="a\"b",sta=p,v=2"#.utf8))
    let told = try #require(try json(record)["cmcd"] as? [String: Any])
    #expect(told["br"] as? [Int] == [3200, 128])
    #expect(told["bs"] as? Bool == true && told["pr"] as? Double == 1.08 && told["v"] as? Int == 2)
    #expect(told["sid"] as? String == #"a"b"# && told["sta"] as? String == "p")
  }

  /// Whoever reads a log must not get a working URL out of it.
  @Test func noTokenComesInByWhatAPlayerTold() throws {
    for (query, kept) in [
      ("CMCD=nor%3D%22b.m4s%3Fsig%3Dx%22", "CMCD=***"), ("CMCD=nor%3D%22b.m4s%253fsig%253Dx%22", "CMCD=***"),
      ("CMCD=nor%3D%22b.m4s%22%2Csu", "CMCD=nor%3D%22b.m4s%22%2Csu"),
    ] {
      #expect(ExchangeRecord.redacted(Array("/v/a?\(query)&b".utf8)) == Array("/v/a?\(kept)&b".utf8))
    }
    var record = Self.record()
    for (text, url) in [
      (#"nor="b.m4s?sig=x""#, "b.m4s"), (#"nor="b.m4s%3Fsig=x""#, "b.m4s"), (#"nor="b.m4s""#, "b.m4s"),
    ] {
      record.cmcd = CMCD(dictionary: Array(text.utf8))
      #expect((try json(record)["cmcd"] as? [String: Any])?["nor"] as? String == url)
    }
    record.cmcd = CMCD(dictionary: Array(#"nor=("b.m4s?sig=x" "c.m4s")"#.utf8))
    #expect((try json(record)["cmcd"] as? [String: Any])?["nor"] as? [String] == ["b.m4s", "c.m4s"])
  }

  @Test func theProtocolIsNamed() throws {
    var record = Self.record()
    (record.versionMajor, record.versionMinor, record.tls) = (2, 0, .tls13)
    #expect(try json(record)["protocol"] as? String == "HTTP/2")
    #expect(try json(record)["tls"] as? String == "TLSv1.3")
    (record.versionMajor, record.versionMinor, record.tls) = (1, 0, .tls12)
    #expect(try json(record)["protocol"] as? String == "HTTP/1.0")
    #expect(try json(record)["tls"] as? String == "TLSv1.2")
  }

  @Test func anAnswerThatWasCutSaysSo() throws {
    #expect(try json(Self.record())["complete"] == nil)
    var record = Self.record()
    record.isComplete = false
    #expect(try json(record)["complete"] as? Bool == false)
  }

  @Test func everyByteSurvivesJSON() throws {
    let all = (0...255).map { UInt8($0) }
    let line = try json(Self.record(target: all))
    #expect((line["target"] as? String)?.unicodeScalars.map(\.value) == all.map { UInt32($0) })
  }

  @Test func aCombinedLineCanNotBeForged() {
    var line: [UInt8] = []
    Self.record(target: Self.hostile).appendCombined(to: &line)
    let text = String(decoding: line, as: UTF8.self)
    let shown =
      #"/a\x22b\x5cc\x0d\x0a{}</script>\x00\x1b\x7f\x80\xc3\xff\xc3\xa9"#
    #expect(
      text
        == "2001:db8::1 - - [29/Feb/2024:00:00:00 +0000] \"GET \(shown) HTTP/1.1\" 206 1234 \"-\" \"\(shown)\" r1\n"
    )
    // The request line, referer and agent: no more quotes than the format has.
    #expect(line.filter { $0 == 0x22 }.count == 6)
    #expect(line.filter { $0 == 0x0A }.count == 1)
  }

  @Test(
    arguments: [
      (0, "1970-01-01T00:00:00.000Z"), (951_782_399_999, "2000-02-28T23:59:59.999Z"),
      (951_782_400_000, "2000-02-29T00:00:00.000Z"), (951_868_800_000, "2000-03-01T00:00:00.000Z"),
      (4_107_542_399_000, "2100-02-28T23:59:59.000Z"), (4_107_542_400_000, "2100-03-01T00:00:00.000Z"),
      (253_402_300_799_999, "9999-12-31T23:59:59.999Z"),
    ] as [(Int64, String)])
  func times(milliseconds: Int64, text: String) {
    #expect(AccessRecord.iso8601(milliseconds) == text)
  }

  @Test(arguments: [
    ("/v/a/source", "/v/a/source"), ("/v/a?", "/v/a?"), ("/v/a?sig=", "/v/a?sig=***"),
    ("/v/a?expires=1&kid=k&sig=SECRET", "/v/a?expires=1&kid=k&sig=***"),
    ("/v/a?sig=SECRET&sig=MORE&x=1", "/v/a?sig=***&sig=***&x=1"),
    ("/v/a?sig=SEC=RET", "/v/a?sig=***"), ("/v/a?x=1?sig=2&sig=SECRET", "/v/a?x=1?sig=2&sig=***"),
    ("/v/a?signature=1&sig&xsig=2", "/v/a?signature=1&sig&xsig=2"), ("/sig=a", "/sig=a"),
    ("/v/a?&&sig=SECRET&", "/v/a?&&sig=***&"), ("/v/a?hdnts=exp=1~hmac=2&b", "/v/a?hdnts=***&b"),
    ("/v/a?Policy=A&Signature=B&Key-Pair-Id=K", "/v/a?Policy=***&Signature=***&Key-Pair-Id=K"),
    (
      "https://media.example.com/v/a/master.m3u8?sig=SECRET",
      "https://media.example.com/v/a/master.m3u8?sig=***"
    ),
  ])
  func signaturesAreNotKept(target: String, kept: String) {
    #expect(String(decoding: ExchangeRecord.redacted(Array(target.utf8)), as: UTF8.self) == kept)
  }
}
