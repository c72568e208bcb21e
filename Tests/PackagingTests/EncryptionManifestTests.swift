import Foundation
import Packaging
import Testing

@Suite("Encryption: pssh, playlists and MPDs")
struct EncryptionManifestTests {
  private static func text(_ bytes: [UInt8]) -> String { String(decoding: bytes, as: UTF8.self) }

  @Test func theCommonBoxListsTheKeys() {
    let other = [UInt8](repeating: 7, count: 16)
    let expected: [UInt8] =
      [0, 0, 0, 68] + Array("pssh".utf8) + [1, 0, 0, 0] + ProtectionSystem.commonID
      + [0, 0, 0, 2] + EncryptionFixture.keyID + other + [0, 0, 0, 0]
    #expect(ProtectionSystem.common(keyIDs: [EncryptionFixture.keyID, other]).box == expected)
  }

  @Test func aBoxOfALicenseServiceIsCopied() throws {
    let made = try #require(ProtectionSystem(id: ProtectionSystem.widevineID, data: [8, 1, 18, 2]))
    #expect(
      made.box == [0, 0, 0, 36] + Array("pssh".utf8) + [0, 0, 0, 0] + ProtectionSystem.widevineID + [
        0, 0, 0, 4, 8, 1, 18, 2,
      ])
    let read = try ProtectionSystem(
      base64: Data(made.box).base64EncodedString(options: .lineLength64Characters))
    #expect(read == made)
    let common = ProtectionSystem.common(keyIDs: [EncryptionFixture.keyID])
    #expect(try ProtectionSystem(box: common.box) == common)
    #expect(ProtectionSystem(id: [1], data: []) == nil)
  }

  @Test func whatIsNotOneWholeBoxIsRefused() throws {
    let good = ProtectionSystem.common(keyIDs: [EncryptionFixture.keyID]).box
    for count in 0..<good.count {
      #expect(throws: MediaError.self) { try ProtectionSystem(box: Array(good.prefix(count))) }
    }
    var version = good
    version[8] = 2
    var keys = good
    keys[28] = 0xFF
    var size = good
    size[51] = 1
    for bad in [good + [0], version, keys, size] {
      let code = #expect(throws: MediaError.self) { try ProtectionSystem(box: bad) }?.code
      #expect(code == "pssh")
    }
    for bad in ["A", "AA=A", "AB==", "AAB=", "%%%%", "AAA=="] {
      #expect(throws: MediaError.self, "\(bad)") { try ProtectionSystem(base64: bad) }
    }
  }

  /// A key holds for what stands behind it, the map too.
  @Test func keysStandInFrontOfTheMap() {
    let key = HLSKey(method: .aes128, uri: "../key", iv: EncryptionFixture.iv)
    let other = HLSKey(method: .aes128, uri: "other", iv: EncryptionFixture.iv)
    let segments = WriterFixture.segments([540_540, 540_540], bytes: [1000, 2000])
    let track = WriterFixture.video()
    let clear = Self.text(MediaPlaylist.bytes(track: track, segments: segments, uriPrefix: ""))
    let keyed = Self.text(
      MediaPlaylist.bytes(track: track, segments: segments, uriPrefix: "", keys: [key, other]))
    let lines = Self.text(key.line) + Self.text(other.line)
    #expect(keyed.contains(lines + "#EXT-X-MAP:"))
    #expect(keyed.replacing(lines, with: "") == clear)
  }

  @Test func keyLinesSayAllThatIsThere() {
    let plain = HLSKey(method: .aes128, uri: "key.bin?a=1&b={c}\"", iv: EncryptionFixture.iv)
    #expect(
      Self.text(plain.line)
        == "#EXT-X-KEY:METHOD=AES-128,URI=\"key.bin?a=1&b=%7Bc%7D%22\",IV=0xf0e7ded5ccc3bab1a89f968d847b7269\n"
    )
    let fairPlay = HLSKey(
      method: .sampleAES, uri: "skd://film", keyFormat: "com.apple.streamingkeydelivery",
      keyFormatVersions: "1")
    #expect(
      Self.text(fairPlay.sessionLine)
        == "#EXT-X-SESSION-KEY:METHOD=SAMPLE-AES,URI=\"skd://film\","
        + "KEYFORMAT=\"com.apple.streamingkeydelivery\",KEYFORMATVERSIONS=\"1\"\n")
    let quoted = HLSKey(method: .sampleAESCTR, uri: "k", keyFormat: "a\"b\n", keyFormatVersions: "1/2")
    #expect(
      Self.text(quoted.line)
        == "#EXT-X-KEY:METHOD=SAMPLE-AES-CTR,URI=\"k\",KEYFORMAT=\"a'b\",KEYFORMATVERSIONS=\"1/2\"\n")
  }

  @Test func keyLinesOfSystemsCarryTheirData() throws {
    let widevine = try #require(ProtectionSystem(id: ProtectionSystem.widevineID, data: [1, 2, 3]))
    let box = Data(widevine.box).base64EncodedString()
    #expect(
      Self.text(HLSKey(scheme: .cbcs, system: widevine).line)
        == "#EXT-X-KEY:METHOD=SAMPLE-AES,URI=\"data:text/plain;base64,\(box)\","
        + "KEYFORMAT=\"urn:uuid:edef8ba9-79d6-4ace-a3c8-27dcd51d21ed\",KEYFORMATVERSIONS=\"1\"\n")
    let playReady = try #require(ProtectionSystem(id: ProtectionSystem.playReadyID, data: [1, 2, 3]))
    #expect(
      Self.text(HLSKey(scheme: .cenc, system: playReady).line)
        == "#EXT-X-KEY:METHOD=SAMPLE-AES-CTR,URI=\"data:text/plain;charset=UTF-16;base64,AQID\","
        + "KEYFORMAT=\"com.microsoft.playready\",KEYFORMATVERSIONS=\"1\"\n")
  }

  @Test func theMPDNamesKeyAndSystems() throws {
    let widevine = try #require(ProtectionSystem(id: ProtectionSystem.widevineID, data: [1, 2, 3]))
    let protection = ContentProtection(
      scheme: .cbcs, keyID: EncryptionFixture.keyID, systems: [widevine],
      clearKeyLicenseURL: "https://example.com/keys?a=1&b=<2>")
    let common = Data(ProtectionSystem.common(keyIDs: [EncryptionFixture.keyID]).box).base64EncodedString()
    let expected = """
      <ContentProtection schemeIdUri="urn:mpeg:dash:mp4protection:2011" value="cbcs" \
      xmlns:cenc="urn:mpeg:cenc:2013" cenc:default_KID="a0a1a2a3-a4a5-a6a7-a8a9-aaabacadaeaf"/>
      <ContentProtection schemeIdUri="urn:uuid:edef8ba9-79d6-4ace-a3c8-27dcd51d21ed" \
      xmlns:cenc="urn:mpeg:cenc:2013"><cenc:pssh>\(Data(widevine.box).base64EncodedString())</cenc:pssh></ContentProtection>
      <ContentProtection schemeIdUri="urn:uuid:e2719d58-a985-b3c9-781a-b030af78d30e" value="ClearKey1.0" \
      xmlns:cenc="urn:mpeg:cenc:2013" xmlns:dashif="https://dashif.org/CPS"><cenc:pssh>\(common)</cenc:pssh>\
      <dashif:Laurl licenseType="EME-1.0">https://example.com/keys?a=1&amp;b=%3C2%3E</dashif:Laurl></ContentProtection>

      """
    #expect(Self.text(protection.bytes) == expected)
    let plain = ContentProtection(scheme: .cenc, keyID: EncryptionFixture.keyID, systems: [])
    #expect(Self.text(plain.bytes).split(separator: "\n").count == 1)
    #expect(Self.text(plain.bytes).contains("value=\"cenc\""))
  }

  @Test func base64IsThatOfFoundation() throws {
    var random = WriterRandom(state: 5)
    for count in 0..<70 {
      let data = (0..<count).map { _ in UInt8(truncatingIfNeeded: random.next()) }
      let system = try #require(ProtectionSystem(id: ProtectionSystem.playReadyID, data: data))
      let text = Data(data).base64EncodedString()
      #expect(Self.text(HLSKey(scheme: .cenc, system: system).line).contains("base64,\(text)\""))
      #expect(try ProtectionSystem(base64: Data(system.box).base64EncodedString()) == system)
    }
  }
}
