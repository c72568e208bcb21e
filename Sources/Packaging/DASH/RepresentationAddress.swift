// How a Representation says where its media is: a SegmentTemplate with its timeline, or a range that holds an index.

extension MPD {
  static func representationHead(
    _ rendition: PresentationRendition, context: Context, into writer: inout TextWriter
  ) {
    representationHead(
      identifier: rendition.name, track: rendition.track,
      bandwidth: Bandwidth(rendition, targetDurationSeconds: context.targetDurationSeconds), into: &writer)
  }

  /// Opens a Representation and leaves its start tag open.
  static func representationHead(
    identifier: String, track: Track, bandwidth: Bandwidth, into writer: inout TextWriter
  ) {
    writer.literal("      <Representation id=\"")
    writer.raw(URIText.pathSegment(identifier))
    writer.literal("\" bandwidth=\"")
    writer.decimal(bandwidth.peak)
    writer.literal("\" codecs=\"")
    writer.escaped(Array(codecs(track).utf8))
    writer.literal("\"")
  }

  /// What holds for the segments of a set, or for what the index of a file calls its subsegments.
  static func alignment(isIndependent: Bool, context: Context, into writer: inout TextWriter) {
    writer.literal(context.isOnDemand ? " subsegmentAlignment=\"true\"" : " segmentAlignment=\"true\"")
    guard isIndependent else { return }
    writer.literal(context.isOnDemand ? " subsegmentStartsWithSAP=\"1\"" : " startWithSAP=\"1\"")
  }

  static func address(_ rendition: PresentationRendition, context: Context, into writer: inout TextWriter) {
    if context.isOnDemand {
      segmentBase(rendition, context: context, into: &writer)
      return
    }
    writer.literal("        <SegmentTemplate timescale=\"")
    writer.decimal(UInt64(rendition.track.timescale))
    writer.literal("\" startNumber=\"0\" initialization=\"$RepresentationID$/init.mp4")
    writer.raw(context.templateSuffix)
    writer.literal("\" media=\"$RepresentationID$/segment_$Number%04d$.m4s")
    writer.raw(context.templateSuffix)
    writer.literal("\">\n")
    SegmentTimeline.write(rendition.segments, into: &writer)
    writer.literal("        </SegmentTemplate>\n")
  }

  /// The identifier of a Representation of key frames is not the name in their URLs, so the template spells that out.
  static func keyFrameAddress(
    _ rendition: PresentationRendition, context: Context, into writer: inout TextWriter
  ) {
    let name = URIText.pathSegment(rendition.name)
    writer.literal("        <SegmentTemplate timescale=\"")
    writer.decimal(UInt64(rendition.track.timescale))
    writer.literal("\" startNumber=\"0\" initialization=\"")
    writer.raw(name)
    writer.literal("/init.mp4")
    writer.raw(context.templateSuffix)
    writer.literal("\" media=\"")
    writer.raw(name)
    writer.literal("/iframe_$Number%04d$.m4s")
    writer.raw(context.templateSuffix)
    writer.literal("\">\n")
    SegmentTimeline.write(rendition.keyFrames, into: &writer)
    writer.literal("        </SegmentTemplate>\n")
  }

  private static func segmentBase(
    _ rendition: PresentationRendition, context: Context, into writer: inout TextWriter
  ) {
    let file = CMAFFile(rendition)
    guard let indexRange = file.indexRange else { return }
    writer.literal("        <BaseURL>")
    writer.raw(URIText.pathSegment(rendition.name))
    writer.literal(CMAFFile.fileExtension(rendition.track))
    writer.raw(context.suffix)
    writer.literal("</BaseURL>\n        <SegmentBase timescale=\"")
    writer.decimal(UInt64(rendition.track.timescale))
    range("\" indexRange=\"", indexRange, into: &writer)
    range("\">\n          <Initialization range=\"", file.initRange, into: &writer)
    writer.literal("\"/>\n        </SegmentBase>\n")
  }

  private static func range(
    _ opening: StaticString, _ range: ClosedRange<UInt64>, into writer: inout TextWriter
  ) {
    writer.literal(opening)
    writer.decimal(range.lowerBound)
    writer.literal("-")
    writer.decimal(range.upperBound)
  }
}

extension CMAFFile {
  init(_ rendition: PresentationRendition) {
    self.init(
      track: rendition.track, segments: rendition.segments,
      firstDecodeTicks: rendition.segments.first?.decodeTicks ?? 0,
      segmentsAreIndependent: rendition.segmentsAreIndependent)
  }
}

/// What a timeline lists.
private protocol TimelineEntry {
  var startTicks: UInt64 { get }
  var durationTicks: UInt64 { get }
}

extension Segment: TimelineEntry {}
extension KeyFrame: TimelineEntry {}

/// Writes a SegmentTimeline: one `S` for each run of entries that touch and are equally long.
///
/// Films with uneven key frames have runs of one. The element of such a run is kept ready, and only its digits are set.
private struct SegmentTimeline {
  private static let opening: StaticString = "            <S d=\""
  private var element: [UInt8] = []
  private var elementDigits = 0

  static func write(_ entries: [some TimelineEntry], into writer: inout TextWriter) {
    writer.literal("          <SegmentTimeline>\n")
    var lines = SegmentTimeline()
    var index = 0
    var endTicks: UInt64?
    while index < entries.count {
      let first = entries[index]
      let follows = first.startTicks == endTicks
      var runEndTicks = first.startTicks.addingSaturating(first.durationTicks)
      var repeats: UInt64 = 0
      index += 1
      while index < entries.count, entries[index].durationTicks == first.durationTicks,
        entries[index].startTicks == runEndTicks
      {
        runEndTicks = runEndTicks.addingSaturating(first.durationTicks)
        repeats += 1
        index += 1
      }
      endTicks = runEndTicks
      if follows, repeats == 0 {
        lines.single(first.durationTicks, into: &writer)
      } else {
        run(follows ? nil : first.startTicks, first.durationTicks, repeats: repeats, into: &writer)
      }
    }
    writer.literal("          </SegmentTimeline>\n")
  }

  /// A run that starts where the one before ended need not say so: `startTicks` is `nil`.
  private static func run(
    _ startTicks: UInt64?, _ durationTicks: UInt64, repeats: UInt64, into writer: inout TextWriter
  ) {
    writer.literal("            <S")
    if let startTicks {
      writer.literal(" t=\"")
      writer.decimal(startTicks)
      writer.literal("\"")
    }
    writer.literal(" d=\"")
    writer.decimal(durationTicks)
    if repeats > 0 {
      writer.literal("\" r=\"")
      writer.decimal(repeats)
    }
    writer.literal("\"/>\n")
  }

  private mutating func single(_ durationTicks: UInt64, into writer: inout TextWriter) {
    let digits = DigitField.count(durationTicks)
    if digits != elementDigits {
      var scratch = TextWriter(capacityBytes: 48)
      scratch.literal(Self.opening)
      scratch.decimal(0, minimumDigits: digits)
      scratch.literal("\"/>\n")
      element = scratch.bytes
      elementDigits = digits
    }
    DigitField.set(durationTicks, count: digits, end: Self.opening.utf8CodeUnitCount + digits, in: &element)
    writer.raw(element)
  }
}
