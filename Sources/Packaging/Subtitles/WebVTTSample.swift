// Samples of WebVTT tracks in MP4 (sample entry `wvtt`; ISO/IEC 14496-30 §7).
//
// A sample covers a span of time in which nothing changes: it is one `vttc` box for each cue that shows, or one `vtte` box
// when none does. So a cue that overlaps others is cut into several samples; `vsid` gives the parts one number.
//
//     vttc: vsid u32 | iden text | sttg settings | payl cue text | ctim original start
//
// The sample entry holds `vttC`: the head of the file, with its STYLE and REGION blocks.

enum WebVTTSample {
  struct Part: Equatable {
    var settings = ""
    var text: [UInt8] = []
    var identifier: String?
    /// The number that all parts of a cue share; nil for a cue that is whole.
    var sourceNumber: UInt32?
  }

  /// The cues that a sample shows, in its order.
  static func parts(_ sample: [UInt8]) -> [Part] {
    var parts: [Part] = []
    var reader = BoxReader(sample.span)
    while let box = reader.box() {
      guard box.type == FourCC("vttc") else { continue }
      var part = Part()
      var children = BoxReader(box.body)
      while let child = children.box() {
        switch child.type {
        case FourCC("payl"): part.text = SubtitleText.decoded(child.body.copied())
        case FourCC("sttg"): part.settings = CueSettings.normalised(SubtitleText.decoded(child.body.copied()))
        case FourCC("iden"): part.identifier = String(decoding: child.body.copied(), as: UTF8.self)
        case FourCC("vsid"):
          var number = BoxReader(child.body)
          part.sourceNumber = number.u32()
        default: break
        }
      }
      if !part.text.isEmpty { parts.append(part) }
    }
    return parts
  }

  /// The STYLE and REGION blocks of a whole `wvtt` sample entry.
  static func headerBlocks(sampleEntry: [UInt8]) -> [String] {
    var reader = BoxReader(sampleEntry.span)
    guard let entry = reader.box() else { return [] }
    var body = BoxReader(entry.body)
    // Reserved bytes and the data reference come before the boxes.
    guard body.skip(8) != nil, let configuration = body.rest().firstBox(FourCC("vttC")) else { return [] }
    let text = SubtitleText.decoded(configuration.body.copied())
    var collector = SubtitleCollector()
    do throws(MediaError) {
      try WebVTTParser.read(text, into: &collector)
    } catch {
      // A head that is too large has no blocks worth keeping.
      return []
    }
    return collector.headerBlocks
  }
}

extension SubtitleCue {
  /// The cues of one `wvtt` sample, in its order; empty for a gap. Parts of a cue that several samples show
  /// are cues of their own here, which `SubtitleTrackReader` joins.
  public static func fromWVTT(
    sample: [UInt8], startMilliseconds: UInt64, endMilliseconds: UInt64
  ) -> [SubtitleCue] {
    WebVTTSample.parts(sample).compactMap {
      SubtitleCue(
        startMilliseconds: startMilliseconds, endMilliseconds: endMilliseconds, settings: $0.settings,
        text: $0.text, identifier: $0.identifier)
    }
  }
}
