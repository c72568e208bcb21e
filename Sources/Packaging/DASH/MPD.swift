// The MPD of an asset on demand: ISO/IEC 23009-1, one Period, in two forms.
//
// In fragments (profiles isoff-live and CMAF), segments are addressed by number under the name of the rendition, the
// same URLs that HLS uses: `source/segment_0000.m4s`. A SegmentTimeline states every start and length in ticks of the
// track, so nothing is rounded; runs of equal length are one `S` with a repeat count.
//
// By byte ranges (profile isoff-on-demand), a Representation is one file, `source.cmfv`, and the player finds its way
// with the `sidx` in it: see `CMAFFile`.
//
// There is no `presentationTimeOffset`. The init segment and the fragments put presentation time 0 at
// the start of the presentation (`FragmentTiming`), an edit list included, and the timeline counts
// presentation time from there, so media time 0 is the start of the Period.
//
// Video renditions that a player may switch between are one AdaptationSet: see `VideoSet`. An audio rendition is an
// AdaptationSet of its own, even beside one of the same language: two tracks of a source are two works (a commentary,
// a description), and a player would take members of one set for the same sound at other rates. Its Role tells them
// apart: `main` for the first sound of all, in every coding there is of it; `alternate` for others of that language;
// `dub` for other languages.
//
// Subtitles are whole WebVTT files. Key frames are sets for trick play, which come last, behind all that plays at normal
// speed; the on-demand profile has no way to state them, since each picture is a resource.
//
// `bandwidth` is the peak of a segment-long run, so a player that has buffered one segment never runs dry
// at that rate: `minBufferTime` is the longest segment.

/// Makes DASH MPDs.
public enum MPD {
  /// The MPD of `presentation`.
  ///
  /// - Parameters:
  ///   - form: `.fragments` or `.byteRanges`. DASH of ours has no transport streams: `.transport` is `.fragments`.
  ///     By byte ranges, renditions whose file has no `sidx` are left out.
  ///   - baseURL: what children are resolved against, such as `g/0123456789ab/`; `nil` for the
  ///     URL of the MPD itself.
  ///   - uriSuffix: put behind every child, such as a query with its question mark, `ManifestTemplate.suffix`, or empty.
  ///   - protection: of all pictures and sounds; `nil` for clear media.
  ///   - images: sheets for seeking; the on-demand profile has none, as every sheet is a resource.
  /// - Complexity: linear in the segments and key frames of all renditions.
  public static func bytes(
    _ presentation: Presentation, form: DeliveryForm = .fragments, baseURL: String?, uriSuffix: String = "",
    protection: ContentProtection? = nil, images: [ImageSet] = []
  ) -> [UInt8] {
    let context = Context(presentation, form: form, uriSuffix: uriSuffix, protection: protection)
    let renditions = presentation.renditions.filter { context.canAddress($0) }
    let entries =
      context.isOnDemand ? 0 : renditions.reduce(0) { $0 + $1.segments.count + $1.keyFrames.count }
    var writer = TextWriter(capacityBytes: 2048 + 2048 * renditions.count + 30 * entries)
    writer.literal("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n")
    writer.literal("<MPD xmlns=\"urn:mpeg:dash:schema:mpd:2011\" profiles=\"urn:mpeg:dash:profile:")
    writer.literal(context.isOnDemand ? "isoff-on-demand" : "isoff-live")
    writer.literal(":2011,urn:mpeg:dash:profile:cmaf:2019\" type=\"static\"")
    duration(" mediaPresentationDuration=\"PT", presentation.durationMilliseconds, into: &writer)
    duration(" minBufferTime=\"PT", context.longestMilliseconds, into: &writer)
    if context.isOnDemand {
      duration(" maxSubsegmentDuration=\"PT", context.longestMilliseconds, into: &writer)
    } else {
      duration(" maxSegmentDuration=\"PT", context.longestMilliseconds, into: &writer)
    }
    writer.literal(">\n")
    if let baseURL {
      writer.literal("  <BaseURL>")
      writer.escaped(URIText.reference(baseURL))
      writer.literal("</BaseURL>\n")
    }
    writer.literal("  <Period id=\"0\" start=\"PT0S\">\n")

    var identifier: UInt64 = 0
    let pictures = VideoSet.sets(of: renditions.filter { $0.track.kind == .video })
    for set in pictures {
      video(set, identifier: identifier, context: context, into: &writer)
      identifier += 1
    }
    let sounds = renditions.filter { $0.track.kind == .audio }
    let works = AudioWork.works(of: sounds)
    for (rendition, work) in zip(sounds, works) {
      audio(
        rendition, role: role(of: work, main: works[0]), identifier: identifier, context: context,
        into: &writer)
      identifier += 1
    }
    for subtitle in presentation.subtitles {
      subtitles(subtitle, identifier: identifier, context: context, into: &writer)
      identifier += 1
    }
    if !context.isOnDemand {
      var names = presentation.renditions.map(\.name) + presentation.subtitles.map(\.name)
      for (mainIdentifier, set) in zip(UInt64(0)..., pictures) {
        guard let set = set.withKeyFrames else { continue }
        trickPlay(
          set, identifier: identifier, mainIdentifier: mainIdentifier, usedNames: &names, context: context,
          into: &writer)
        identifier += 1
      }
      for set in images {
        self.images(set, identifier: identifier, context: context, into: &writer)
        identifier += 1
      }
    }
    writer.literal("  </Period>\n</MPD>\n")
    return writer.bytes
  }

  /// What all parts of one MPD share.
  struct Context {
    let isOnDemand: Bool
    let targetDurationSeconds: UInt64
    /// The suffix as a URI reference, and as a SegmentTemplate wants it; both escaped.
    let suffix: [UInt8]
    let templateSuffix: [UInt8]
    let longestMilliseconds: UInt64
    /// The ContentProtection elements, which come first in a set of pictures or sounds.
    let protection: [UInt8]

    init(_ presentation: Presentation, form: DeliveryForm, uriSuffix: String, protection: ContentProtection?)
    {
      isOnDemand = form == .byteRanges
      self.protection = protection?.bytes ?? []
      targetDurationSeconds = presentation.targetDurationSeconds
      let suffix = URIText.suffix(uriSuffix)
      self.suffix = Self.escaped(suffix)
      // A dollar sign starts an identifier in a template and stands for itself when doubled
      // (ISO/IEC 23009-1 §5.3.9.4.4).
      templateSuffix = Self.escaped(suffix.flatMap { $0 == 0x24 ? [0x24, 0x24] : [$0] })
      longestMilliseconds = presentation.renditions.reduce(0) { longest, rendition in
        let longestTicks = rendition.segments.reduce(UInt64(0)) { max($0, $1.durationTicks) }
        return max(
          longest,
          ExactDuration.scaled(
            longestTicks, by: 1000, over: UInt64(rendition.track.timescale), rounding: .up))
      }
    }

    private static func escaped(_ suffix: [UInt8]) -> [UInt8] {
      guard suffix != [ManifestTemplate.mark] else { return suffix }
      var writer = TextWriter(capacityBytes: suffix.count + 32)
      writer.escaped(suffix)
      return writer.bytes
    }

    func canAddress(_ rendition: PresentationRendition) -> Bool {
      !isOnDemand || CMAFFile(rendition).indexRange != nil
    }
  }

  private static func audio(
    _ rendition: PresentationRendition, role: StaticString, identifier: UInt64, context: Context,
    into writer: inout TextWriter
  ) {
    writer.literal("    <AdaptationSet id=\"")
    writer.decimal(identifier)
    writer.literal("\" contentType=\"audio\" mimeType=\"audio/mp4\"")
    alignment(isIndependent: rendition.segmentsAreIndependent, context: context, into: &writer)
    language(rendition.track.language, into: &writer)
    writer.literal(">\n")
    writer.raw(context.protection)
    label(rendition.label, into: &writer)
    self.role(role, into: &writer)
    representationHead(rendition, context: context, into: &writer)
    if rendition.track.sampleRateHertz > 0 {
      writer.literal(" audioSamplingRate=\"")
      writer.decimal(UInt64(rendition.track.sampleRateHertz))
      writer.literal("\"")
    }
    writer.literal(">\n")
    channels(AudioChannels(rendition.track), into: &writer)
    address(rendition, context: context, into: &writer)
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
  static func codecs(_ track: Track) -> String {
    switch track.codec {
    case .opus: "opus"
    case .flac: "flac"
    case .mp3: track.sampleRateHertz >= 32000 ? "mp4a.6B" : "mp4a.69"
    default: track.codecString
    }
  }

  private static func role(of work: AudioWork, main: AudioWork) -> StaticString {
    if work == main { return "main" }
    guard let language = work.language, let mainLanguage = main.language else { return "alternate" }
    return language.primary == mainLanguage.primary ? "alternate" : "dub"
  }

  /// One whole WebVTT file. Its rate is not measured: text is a few hundred bits a second.
  private static func subtitles(
    _ subtitle: PresentationSubtitle, identifier: UInt64, context: Context, into writer: inout TextWriter
  ) {
    writer.literal("    <AdaptationSet id=\"")
    writer.decimal(identifier)
    writer.literal("\" contentType=\"text\" mimeType=\"text/vtt\"")
    language(subtitle.language, into: &writer)
    writer.literal(">\n")
    label(subtitle.label, into: &writer)
    role(
      subtitle.isForced ? "forced-subtitle" : subtitle.describesSounds ? "caption" : "subtitle", into: &writer
    )
    writer.literal("      <Representation id=\"")
    writer.raw(URIText.pathSegment(subtitle.name))
    writer.literal("\" bandwidth=\"1000\">\n        <BaseURL>")
    writer.raw(URIText.pathSegment(subtitle.name))
    writer.literal(".vtt")
    writer.raw(context.suffix)
    writer.literal("</BaseURL>\n      </Representation>\n    </AdaptationSet>\n")
  }

  static func role(_ value: StaticString, into writer: inout TextWriter) {
    writer.literal("      <Role schemeIdUri=\"urn:mpeg:dash:role:2011\" value=\"")
    writer.literal(value)
    writer.literal("\"/>\n")
  }

  static func language(_ language: String, into writer: inout TextWriter) {
    guard let language = WrittenLanguage(language) else { return }
    writer.literal(" lang=\"")
    writer.raw(language.bytes)
    writer.literal("\"")
  }

  /// In the schema a Label comes before a Role.
  static func label(_ label: String?, into writer: inout TextWriter) {
    guard let label, !label.isEmpty else { return }
    writer.literal("      <Label>")
    writer.text(label)
    writer.literal("</Label>\n")
  }

  private static func duration(
    _ opening: StaticString, _ milliseconds: UInt64, into writer: inout TextWriter
  ) {
    writer.literal(opening)
    writer.thousandths(milliseconds)
    writer.literal("S\"")
  }
}
