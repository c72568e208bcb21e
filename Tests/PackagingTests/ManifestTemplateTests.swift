import Testing

@testable import Packaging

/// A query is behind every child, and nowhere else.
@Suite struct ManifestTemplateTests {
  private static let query = Array("expires=1&kid=k1&scope=/v/a/&sig=A-_".utf8)
  private static let text = String(decoding: query, as: UTF8.self)

  private static func filled(_ bytes: [UInt8], isXML: Bool = false) -> String {
    String(decoding: ManifestTemplate(marked: bytes, isXML: isXML).bytes(query: query), as: UTF8.self)
  }

  private static func presentation() -> Presentation {
    var presentation = MPDFormTests.film
    presentation.renditions[0].name += " \u{1F}x"
    presentation.renditions[0].label = "a\u{1F}b"
    presentation.subtitles[0].label += "\u{1F}"
    return presentation
  }

  /// The writers' own suffix is the measure: what is filled in later is what they would have written.
  @Test(arguments: [DeliveryForm.fragments, .transport, .byteRanges])
  func filledLaterIsWrittenAtOnce(form: DeliveryForm) {
    let presentation = Self.presentation()
    let keys = [
      HLSKey(
        method: .aes128, uri: "../key", uriSuffix: ManifestTemplate.suffix,
        iv: [UInt8](repeating: 1, count: 16)),
      HLSKey(method: .sampleAES, uri: "data:,x"),
    ]
    var written = keys
    written[0].uriSuffix = "?" + Self.text
    func both(_ make: (String, [HLSKey]) -> [UInt8], isXML: Bool = false) -> (String, String) {
      (
        Self.filled(make(ManifestTemplate.suffix, keys), isXML: isXML),
        String(decoding: make("?" + Self.text, written), as: UTF8.self)
      )
    }
    let segments = presentation.renditions[0].segments
    let track = presentation.renditions[0].track
    let pairs = [
      both {
        MultivariantPlaylist.bytes(
          presentation, form: form, uriPrefix: "g/\u{1F}/", uriSuffix: $0, sessionKeys: $1)
      },
      both {
        MediaPlaylist.bytes(
          track: track, segments: segments, uriPrefix: "../", uriSuffix: $0, form: form, name: "hd\u{1F}",
          keys: $1)
      },
      both {
        IFramePlaylist.bytes(
          track: track, keyFrames: presentation.renditions[0].keyFrames, form: form, uriPrefix: "",
          uriSuffix: $0,
          targetDurationSeconds: 6, keys: $1)
      },
      both { suffix, _ in
        SubtitlePlaylist.bytes(
          segments: segments, timescale: track.timescale, targetDurationSeconds: 6, uriSuffix: suffix)
      },
      both(
        { suffix, _ in MPD.bytes(presentation, form: form, baseURL: "g/x/", uriSuffix: suffix) }, isXML: true),
    ]
    for (filled, written) in pairs {
      #expect(filled == written)
      #expect(filled.contains("?expires=1"))
    }
  }

  @Test func withoutAQueryNothingIsLeftOfTheMarks() {
    let bytes = MPD.bytes(Self.presentation(), baseURL: nil, uriSuffix: ManifestTemplate.suffix)
    let template = ManifestTemplate(marked: bytes, isXML: true)
    #expect(template.bytes == MPD.bytes(Self.presentation(), baseURL: nil))
    #expect(!template.bytes.contains(ManifestTemplate.mark) && template.costBytes > 0)
  }

  @Test func onlyAQueryThatStandsEverywhereIsCarried() {
    #expect(ManifestTemplate.canCarry(Self.query))
    for text in ["a$b", "a\"b", "a<b", "a b", "a#b", "a'b", "a\u{1F}b", "ä"] {
      #expect(!ManifestTemplate.canCarry(Array(text.utf8)), "\(text)")
    }
  }
}
