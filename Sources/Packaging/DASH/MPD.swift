// The MPD of an asset on demand: ISO/IEC 23009-1, profiles isoff-live and CMAF, one Period.
//
// Segments are addressed by number under the Representation's name, the same URLs that HLS uses:
// `source/segment_0000.m4s`. A SegmentTimeline states every start and length in ticks of the track, so
// nothing is rounded; runs of equal length are one `S` with a repeat count.
//
// There is no `presentationTimeOffset`. The init segment and the fragments put presentation time 0 at
// the start of the presentation (`FragmentTiming`), an edit list included, and the timeline counts
// presentation time from there, so media time 0 is the start of the Period.
//
// Video renditions that a player may switch between are one AdaptationSet: same coding, same shape of
// picture, same range of brightness. An audio rendition is an AdaptationSet of its own, even beside one of
// the same language: two tracks of a source are two works (a commentary, a description), and a player
// would take members of one set for the same sound at other rates.
//
// `bandwidth` is the peak of a segment-long run, so a player that has buffered one segment never runs dry
// at that rate: `minBufferTime` is the longest segment.

/// Makes DASH MPDs.
public enum MPD {
  /// The MPD of `presentation`.
  ///
  /// - Parameters:
  ///   - baseURL: what children are resolved against, such as `g/0123456789ab/`; `nil` for the
  ///     URL of the MPD itself.
  ///   - uriSuffix: put behind every child, such as a signed query with its question mark, or empty.
  /// - Complexity: linear in the segments of all renditions.
  public static func bytes(_ presentation: Presentation, baseURL: String?, uriSuffix: String = "") -> [UInt8]
  {
    let renditions = presentation.renditions
    var longestMilliseconds: UInt64 = 0
    for rendition in renditions {
      for segment in rendition.segments {
        longestMilliseconds = max(
          longestMilliseconds,
          ExactDuration.scaled(
            segment.durationTicks, by: 1000, over: UInt64(rendition.track.timescale), rounding: .up))
      }
    }

    var writer = TextWriter(capacityBytes: 2048 + 1024 * renditions.count)
    writer.literal(
      """
      <?xml version="1.0" encoding="UTF-8"?>
      <MPD xmlns="urn:mpeg:dash:schema:mpd:2011" \
      profiles="urn:mpeg:dash:profile:isoff-live:2011,urn:mpeg:dash:profile:cmaf:2019" type="static"
      """)
    duration(" mediaPresentationDuration=\"PT", presentation.durationMilliseconds, into: &writer)
    duration(" minBufferTime=\"PT", longestMilliseconds, into: &writer)
    duration(" maxSegmentDuration=\"PT", longestMilliseconds, into: &writer)
    writer.literal(">\n")
    if let baseURL {
      writer.literal("  <BaseURL>")
      writer.escaped(URIText.reference(baseURL))
      writer.literal("</BaseURL>\n")
    }
    writer.literal("  <Period id=\"0\" start=\"PT0S\">\n")

    let context = Context(
      targetDurationSeconds: presentation.targetDurationSeconds, templateSuffix: templateText(uriSuffix))
    var identifier: UInt64 = 0
    for set in videoSets(renditions.filter { $0.track.kind == .video }) {
      video(set, identifier: identifier, context: context, into: &writer)
      identifier += 1
    }
    for (index, rendition) in renditions.filter({ $0.track.kind == .audio }).enumerated() {
      audio(rendition, isMain: index == 0, identifier: identifier, context: context, into: &writer)
      identifier += 1
    }
    writer.literal("  </Period>\n</MPD>\n")
    return writer.bytes
  }

  private struct Context {
    var targetDurationSeconds: UInt64
    /// The suffix as a SegmentTemplate wants it.
    var templateSuffix: [UInt8]
  }

  /// A dollar sign starts an identifier in a template and stands for itself when doubled
  /// (ISO/IEC 23009-1 §5.3.9.4.4).
  private static func templateText(_ text: String) -> [UInt8] {
    URIText.reference(text).flatMap { $0 == 0x24 ? [0x24, 0x24] : [$0] }
  }

  private struct VideoSet {
    /// Never empty.
    var members: [(rendition: PresentationRendition, shape: PictureShape)]

    func takes(_ rendition: PresentationRendition, _ shape: PictureShape) -> Bool {
      let first = members[0]
      guard sampleEntryName(first.rendition.track) == sampleEntryName(rendition.track),
        VideoRange(transferCharacteristics: first.rendition.track.transferCharacteristics)
          == VideoRange(transferCharacteristics: rendition.track.transferCharacteristics)
      else { return false }
      switch (first.shape.pictureAspect, shape.pictureAspect) {
      case (let one?, let other?): return other.isNear(one, parts: 100)
      case (nil, nil): return true
      default: return false
      }
    }

    /// The part of the codec string before the profile: `avc1` and `avc3` do not mix.
    private func sampleEntryName(_ track: Track) -> [UInt8] {
      Array(track.codecString.utf8.prefix { $0 != 0x2E })
    }
  }

  private static func videoSets(_ renditions: [PresentationRendition]) -> [VideoSet] {
    var sets: [VideoSet] = []
    for rendition in renditions {
      let shape = PictureShape(rendition.track)
      if let index = sets.firstIndex(where: { $0.takes(rendition, shape) }) {
        sets[index].members.append((rendition, shape))
      } else {
        sets.append(VideoSet(members: [(rendition, shape)]))
      }
    }
    return sets
  }

  private static func video(
    _ set: VideoSet, identifier: UInt64, context: Context, into writer: inout TextWriter
  ) {
    writer.literal("    <AdaptationSet id=\"")
    writer.decimal(identifier)
    writer.literal("\" contentType=\"video\" mimeType=\"video/mp4\" segmentAlignment=\"true\"")
    if (set.members.allSatisfy { $0.rendition.segmentsAreIndependent }) {
      writer.literal(" startWithSAP=\"1\"")
    }
    language(set.members[0].rendition.track, into: &writer)
    if let aspect = set.members[0].shape.pictureAspect {
      ratio(" par=\"", aspect, into: &writer)
    }
    writer.literal(">\n")
    role(isMain: true, into: &writer)
    let range = VideoRange(
      transferCharacteristics: set.members[0].rendition.track.transferCharacteristics)
    if range != .sdr {
      writer.literal(
        "      <SupplementalProperty schemeIdUri=\"urn:mpeg:mpegB:cicp:TransferCharacteristics\" value=\"")
      writer.decimal(range == .pq ? 16 : 18)
      writer.literal("\"/>\n")
    }
    for (rendition, shape) in set.members {
      representationHead(rendition, context: context, into: &writer)
      if shape.widthPixels > 0, shape.heightPixels > 0 {
        writer.literal(" width=\"")
        writer.decimal(shape.widthPixels)
        writer.literal("\" height=\"")
        writer.decimal(shape.heightPixels)
        writer.literal("\"")
      }
      if let frameRate = FrameRate(rendition.track) {
        writer.literal(" frameRate=\"")
        writer.decimal(frameRate.ratio.numerator)
        if frameRate.ratio.denominator > 1 {
          writer.literal("/")
          writer.decimal(frameRate.ratio.denominator)
        }
        writer.literal("\"")
      }
      if let sampleAspect = shape.sampleAspect, sampleAspect != Ratio(1, 1) {
        ratio(" sar=\"", sampleAspect, into: &writer)
      }
      writer.literal(">\n")
      template(rendition, context: context, into: &writer)
      writer.literal("      </Representation>\n")
    }
    writer.literal("    </AdaptationSet>\n")
  }

  private static func audio(
    _ rendition: PresentationRendition, isMain: Bool, identifier: UInt64, context: Context,
    into writer: inout TextWriter
  ) {
    writer.literal("    <AdaptationSet id=\"")
    writer.decimal(identifier)
    writer.literal("\" contentType=\"audio\" mimeType=\"audio/mp4\" segmentAlignment=\"true\"")
    if rendition.segmentsAreIndependent { writer.literal(" startWithSAP=\"1\"") }
    language(rendition.track, into: &writer)
    writer.literal(">\n")
    role(isMain: isMain, into: &writer)
    representationHead(rendition, context: context, into: &writer)
    if rendition.track.sampleRateHertz > 0 {
      writer.literal(" audioSamplingRate=\"")
      writer.decimal(UInt64(rendition.track.sampleRateHertz))
      writer.literal("\"")
    }
    writer.literal(">\n")
    channels(AudioChannels(rendition.track), into: &writer)
    template(rendition, context: context, into: &writer)
    writer.literal("      </Representation>\n    </AdaptationSet>\n")
  }

  /// The channels, and what Dolby asks to be said of E-AC-3 with objects (ETSI TS 103 420).
  private static func channels(_ channels: AudioChannels, into writer: inout TextWriter) {
    func property(_ element: StaticString, _ scheme: String, _ value: String) {
      writer.literal("        <")
      writer.literal(element)
      writer.literal(" schemeIdUri=\"")
      writer.escaped(Array(scheme.utf8))
      writer.literal("\" value=\"")
      writer.escaped(Array(value.utf8))
      writer.literal("\"/>\n")
    }
    if let descriptor = channels.descriptor {
      property("AudioChannelConfiguration", descriptor.scheme, descriptor.value)
    }
    if let objects = channels.objectComplexity {
      property("SupplementalProperty", "tag:dolby.com,2018:dash:EC3_ExtensionType:2018", "JOC")
      property(
        "SupplementalProperty", "tag:dolby.com,2018:dash:EC3_ExtensionComplexityIndex:2018", String(objects))
    }
  }

  /// The codec string as browsers know it: DASH players hand it to Media Source Extensions as it stands, and those
  /// know Opus and FLAC in small letters and MP3 by its object type in `esds`.
  private static func codecs(_ track: Track) -> String {
    switch track.codec {
    case .opus: "opus"
    case .flac: "flac"
    case .mp3: track.sampleRateHertz >= 32000 ? "mp4a.6B" : "mp4a.69"
    default: track.codecString
    }
  }

  private static func representationHead(
    _ rendition: PresentationRendition, context: Context, into writer: inout TextWriter
  ) {
    let bandwidth = Bandwidth(
      track: rendition.track, segments: rendition.segments,
      targetDurationSeconds: context.targetDurationSeconds)
    writer.literal("      <Representation id=\"")
    writer.raw(URIText.pathSegment(rendition.name))
    writer.literal("\" bandwidth=\"")
    writer.decimal(bandwidth.peak)
    writer.literal("\" codecs=\"")
    writer.escaped(Array(codecs(rendition.track).utf8))
    writer.literal("\"")
  }

  private static func template(
    _ rendition: PresentationRendition, context: Context, into writer: inout TextWriter
  ) {
    writer.literal("        <SegmentTemplate timescale=\"")
    writer.decimal(UInt64(rendition.track.timescale))
    writer.literal("\" startNumber=\"0\" initialization=\"$RepresentationID$/init.mp4")
    writer.escaped(context.templateSuffix)
    writer.literal("\" media=\"$RepresentationID$/segment_$Number%04d$.m4s")
    writer.escaped(context.templateSuffix)
    writer.literal("\">\n          <SegmentTimeline>\n")
    timeline(rendition.segments, into: &writer)
    writer.literal("          </SegmentTimeline>\n        </SegmentTemplate>\n")
  }

  /// One `S` for each run of segments that touch and are equally long.
  private static func timeline(_ segments: [Segment], into writer: inout TextWriter) {
    var index = 0
    var endTicks: UInt64?
    while index < segments.count {
      let first = segments[index]
      writer.literal("            <S")
      if first.startTicks != endTicks {
        writer.literal(" t=\"")
        writer.decimal(first.startTicks)
        writer.literal("\"")
      }
      var runEndTicks = first.startTicks.addingSaturating(first.durationTicks)
      var repeats: UInt64 = 0
      index += 1
      while index < segments.count, segments[index].durationTicks == first.durationTicks,
        segments[index].startTicks == runEndTicks
      {
        runEndTicks = runEndTicks.addingSaturating(first.durationTicks)
        repeats += 1
        index += 1
      }
      endTicks = runEndTicks
      writer.literal(" d=\"")
      writer.decimal(first.durationTicks)
      if repeats > 0 {
        writer.literal("\" r=\"")
        writer.decimal(repeats)
      }
      writer.literal("\"/>\n")
    }
  }

  private static func role(isMain: Bool, into writer: inout TextWriter) {
    writer.literal("      <Role schemeIdUri=\"urn:mpeg:dash:role:2011\" value=\"")
    writer.literal(isMain ? "main" : "alternate")
    writer.literal("\"/>\n")
  }

  private static func language(_ track: Track, into writer: inout TextWriter) {
    guard let language = WrittenLanguage(track.language) else { return }
    writer.literal(" lang=\"")
    writer.raw(language.bytes)
    writer.literal("\"")
  }

  private static func ratio(
    _ opening: StaticString, _ ratio: Ratio, into writer: inout TextWriter
  ) {
    writer.literal(opening)
    writer.decimal(ratio.numerator)
    writer.literal(":")
    writer.decimal(ratio.denominator)
    writer.literal("\"")
  }

  private static func duration(
    _ opening: StaticString, _ milliseconds: UInt64, into writer: inout TextWriter
  ) {
    writer.literal(opening)
    writer.thousandths(milliseconds)
    writer.literal("S\"")
  }
}
