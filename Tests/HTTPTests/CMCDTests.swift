import Testing

@testable import HTTP

/// Texts are those of CTA-5004 and CTA-5004-B, or near them.
@Suite struct CMCDTests {
  static let first =
    #"bl=21300,br=3200,bs,cid="faec5fc2",d=4004,dl=18500,mtp=48100,nor="..%2F300kbps%2Ftrack.m4v",nrr="12323-48763",ot=v,pr=1.08,rtp=12000,sf=h,sid="6e2fb550-c457-11e9-bb97-0800200c9a66",st=v,su,tb=6000"#
  static let firstQuery =
    "CMCD=bl%3D21300%2Cbr%3D3200%2Cbs%2Ccid%3D%22faec5fc2%22%2Cd%3D4004%2Cdl%3D18500%2Cmtp%3D48100%2Cnor%3D%22..%252F300kbps%252Ftrack.m4v%22%2Cnrr%3D%2212323-48763%22%2Cot%3Dv%2Cpr%3D1.08%2Crtp%3D12000%2Csf%3Dh%2Csid%3D%226e2fb550-c457-11e9-bb97-0800200c9a66%22%2Cst%3Dv%2Csu%2Ctb%3D6000"
  static let second =
    #"bl=(21300;v),br=(3200;v 128;a),nor=("seg-11.m4s" "seg-12.m4s";r="0-9999"),ot=v,sid="6e2fb550",sn=7,sta=p,v=2"#
  static let secondQuery =
    "CMCD=bl%3D%2821300%3Bv%29%2Cbr%3D%283200%3Bv%20128%3Ba%29%2Cnor%3D%28%22seg-11.m4s%22%20%22seg-12.m4s%22%3Br%3D%220-9999%22%29%2Cot%3Dv%2Csid%3D%226e2fb550%22%2Csn%3D7%2Csta%3Dp%2Cv%3D2"

  private func read(_ text: String) -> CMCD? { CMCD(dictionary: Array(text.utf8)) }

  @Test func theFirstVersionIsRead() throws {
    let told = try #require(read(Self.first))
    #expect(told.values.count == 17)
    #expect(told.integer(.bl) == 21300 && told.integer(.br) == 3200 && told.integer(.tb) == 6000)
    #expect(told.flag(.bs) && told.flag(.su) && !told.flag(.bg))
    #expect(told[.pr] == .thousandths(1080) && told.text(.ot) == "v" && told.text(.cid) == "faec5fc2")
    #expect(told.text(.nor) == "..%2F300kbps%2Ftrack.m4v")
    #expect(CMCD(query: Array(Self.firstQuery.utf8)) == told)
    #expect(CMCD(query: Array("a=1&\(Self.firstQuery)&b".utf8)) == told)
  }

  @Test func theSecondVersionIsRead() throws {
    let told = try #require(read(Self.second))
    #expect(told.integer(.br, objectType: "v") == 3200 && told.integer(.br, objectType: "a") == 128)
    #expect(told.integer(.br, objectType: "tt") == 3200 && told.integer(.v) == 2 && told.text(.sta) == "p")
    guard case .list(let next) = told[.nor] else { return #expect(Bool(false), "nor is a list") }
    #expect(next.map(\.value) == [.string("seg-11.m4s"), .string("seg-12.m4s")])
    #expect(CMCD(query: Array(Self.secondQuery.utf8)) == told)
  }

  @Test(arguments: [
    (#"cid="a,b\"c\\""#, #"a,b"c\"#), (#"cid=bare"#, "bare"), (#"cid="" "#, ""), (" cid=\"x\" ,\tbs", "x"),
    (#"bs,com.example-own="y",cid="z";q=1"#, "z"), (#"cid="old",cid="new""#, "new"),
  ]) func spellings(text: String, identifier: String) {
    #expect(read(text)?.text(.cid) == identifier)
  }

  @Test(arguments: [
    #"cid="open"#, "bs,", ",bs", "=1", "bl=", "bl=(1 2", "bl=(1;v128)x", "bl=1.", "bl=1234567890123456",
    "su=?2",
    #"cid="a\n""#, "bl = 1", "bs;;", "br=(1)(2)", "sid=\"\u{1}\"", "é=1",
  ]) func whatIsNoDictionarySaysNothing(text: String) {
    #expect(read(text) == nil)
  }

  @Test(arguments: [
    "br=fast", "ot=\"v\"", "sid=\"\(String(repeating: "a", count: 65))\"", "bl=-1", "bs=1", "d=(1 2)",
    "unknown=1",
    "cid=\"é\"", "br=(1 x)", "ot=\(String(repeating: "o", count: 17))",
  ]) func whatDoesNotFitItsKeyIsPassedOver(text: String) {
    #expect(read(text)?.values.isEmpty == true)
    #expect(read("su,\(text)")?.flag(.su) == true)
  }

  @Test func flagsMayBeWrittenOut() {
    #expect(read("su=?1")?.flag(.su) == true && read("su=?0")?.flag(.su) == false)
    #expect(read("") == CMCD())
  }

  @Test func allIsBounded() {
    #expect(read("cid=\"" + String(repeating: "a", count: 4096) + "\"") == nil)
    let many = (0..<65).map { "k\($0)" }.joined(separator: ",")
    #expect(read(many) == nil)
    #expect(read("br=(" + (0..<17).map(String.init).joined(separator: " ") + ")") == nil)
    let lines = Array(repeating: "e=t,ts=1", count: 300).joined(separator: "\n")
    #expect(CMCD.events(Array(lines.utf8)).count == 256)
    #expect(CMCD.events(Array("e=ps,sta=p,ts=1\r\n\n\"\ne=t".utf8)).count == 2)
  }

  @Test(arguments: [
    ("CMCD=su", ""), ("a=1&CMCD=su", "a=1"), ("CMCD=su&a=1", "a=1"), ("a&CMCD=su&b", "a&b"),
    ("CMCD=su&CMCD=bs", ""), ("a&CMCD=su&CMCD=bs", "a"), ("a&&CMCD=su", "a&"), ("cmcd=su&a", "cmcd=su&a"),
    ("xCMCD=su", "xCMCD=su"), ("a=CMCD=su", "a=CMCD=su"), ("CMCD", "CMCD"), ("", ""), ("CMCD=&x", "x"),
  ]) func theRestOfAQueryStaysByteForByte(query: String, rest: String) {
    #expect(CMCD.strip(from: Array(query.utf8)) == Array(rest.utf8))
  }

  @Test(arguments: ["CMCD=su&CMCD=su", "CMCD=%zz", "CMCD=%2", "CMCD=%FF", "cmcd=su", "CMCD"])
  func queriesThatSayNothing(query: String) {
    #expect(CMCD(query: Array(query.utf8)) == nil)
  }

  /// Bytes changed, cut and put together at random: whatever comes out, what is read of it is sound.
  @Test func mutationsStayWithinBounds() {
    var random = SplitMix64(seed: 9)
    let seeds = [Self.first, Self.second, Self.firstQuery, Self.secondQuery, "a&CMCD=su&&CMCD=%"].map {
      Array($0.utf8)
    }
    for _ in 0..<20_000 {
      var text = seeds[Int(random.next() % UInt64(seeds.count))]
      for _ in 0...Int(random.next() % 4) {
        let place = Int(random.next() % UInt64(text.count))
        switch random.next() % 4 {
        case 0: text[place] = UInt8(truncatingIfNeeded: random.next())
        case 1: text.remove(at: place)
        case 2: text.insert(Array("\"\\();,=?&%".utf8)[Int(random.next() % 10)], at: place)
        default: text += seeds[Int(random.next() % UInt64(seeds.count))].prefix(place)
        }
        if text.isEmpty { text = [0x22] }
      }
      text.withUnsafeBufferPointer { HTTPInvariants.checkCMCD($0.span) }
    }
  }

  @Test func fieldsGoBeforeTheQuery() {
    func told(_ target: String, _ fields: String) -> (isPresent: Bool, CMCD?) {
      var head = RequestHead(limits: HTTPLimits())
      var progress = ParseProgress()
      let bytes = Array("GET \(target) HTTP/1.1\r\nHost: a\r\n\(fields)\r\n".utf8)
      return bytes.withUnsafeBytes { buffer in
        _ = head.parse(buffer, resuming: &progress)
        return (CMCD.isPresent(in: head), CMCD(head))
      }
    }
    let both = told(
      "/a?CMCD=br%3D1", "CMCD-Object: br=3200,ot=v\r\ncmcd-session: sid=\"s\"\r\nCMCD-Status: bs\r\n")
    #expect(
      both.isPresent && both.1?.integer(.br) == 3200 && both.1?.text(.sid) == "s" && both.1?.flag(.bs) == true
    )
    let broken = told("/a?CMCD=br%3D1", "CMCD-Request: \"\r\n")
    #expect(broken.isPresent && broken.1?.integer(.br) == 1)
    #expect(told("/a?x=CMCD=1&CMCDE=2", "").isPresent == false)
    #expect(told("/a?CMCD=", "") == (true, nil))
  }
}
