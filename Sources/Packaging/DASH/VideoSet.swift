// Which pictures are one AdaptationSet, and how such a set and its trick play are written.
//
// A player switches inside of a set at any segment. So members have the same coding, the same shape of picture and the
// same range of brightness, and are cut at the same instants: `segmentAlignment` says so and must be true. A rendition
// from a source with other key frames is a set of its own.
//
// Trick play (DASH-IF IOP §3.2.9): a second set, marked as one that only players who know the mark may use, with the
// pictures that HLS lists in I-frame playlists. Each is decoded by itself. `maxPlayoutRate` is how many pictures of the
// main set there are for one of these: at that speed a decoder is asked for as many pictures a second as at normal speed.

/// Video renditions that a player may switch between.
struct VideoSet {
  struct Member {
    var rendition: PresentationRendition
    var shape: PictureShape
  }

  /// Never empty.
  var members: [Member]

  static func sets(of renditions: [PresentationRendition]) -> [VideoSet] {
    var sets: [VideoSet] = []
    for rendition in renditions {
      let member = Member(rendition: rendition, shape: PictureShape(rendition.track))
      if let index = sets.firstIndex(where: { $0.takes(member) }) {
        sets[index].members.append(member)
      } else {
        sets.append(VideoSet(members: [member]))
      }
    }
    return sets
  }

  /// The members that have key frames; `nil` where none has.
  var withKeyFrames: VideoSet? {
    let members = members.filter { !$0.rendition.keyFrames.isEmpty }
    return members.isEmpty ? nil : VideoSet(members: members)
  }

  var range: VideoRange {
    VideoRange(transferCharacteristics: members[0].rendition.track.transferCharacteristics)
  }

  private func takes(_ member: Member) -> Bool {
    let first = members[0]
    guard sampleEntryName(first.rendition.track) == sampleEntryName(member.rendition.track),
      VideoRange(transferCharacteristics: member.rendition.track.transferCharacteristics) == range
    else { return false }
    switch (first.shape.pictureAspect, member.shape.pictureAspect) {
    case (let one?, let other?): guard other.isNear(one, parts: 100) else { return false }
    case (nil, nil): break
    default: return false
    }
    return SegmentCuts(first.rendition).equal(SegmentCuts(member.rendition))
  }

  /// The part of the codec string before the profile: `avc1` and `avc3` do not mix.
  private func sampleEntryName(_ track: Track) -> [UInt8] {
    Array(track.codecString.utf8.prefix { $0 != 0x2E })
  }
}

extension MPD {
  static func video(
    _ set: VideoSet, identifier: UInt64, context: Context, into writer: inout TextWriter
  ) {
    setHead(identifier: identifier, into: &writer)
    alignment(
      isIndependent: set.members.allSatisfy { $0.rendition.segmentsAreIndependent }, context: context,
      into: &writer)
    language(set.members[0].rendition.track.language, into: &writer)
    aspect(set, into: &writer)
    writer.literal(">\n")
    writer.raw(context.protection)
    brightness(set, into: &writer)
    label(set.members[0].rendition.label, into: &writer)
    role("main", into: &writer)
    for member in set.members {
      representationHead(member.rendition, context: context, into: &writer)
      size(member.shape, into: &writer)
      if let frameRate = FrameRate(member.rendition.track) {
        writer.literal(" frameRate=\"")
        writer.decimal(frameRate.ratio.numerator)
        if frameRate.ratio.denominator > 1 {
          writer.literal("/")
          writer.decimal(frameRate.ratio.denominator)
        }
        writer.literal("\"")
      }
      sampleAspect(member.shape, into: &writer)
      writer.literal(">\n")
      address(member.rendition, context: context, into: &writer)
      writer.literal("      </Representation>\n")
    }
    writer.literal("    </AdaptationSet>\n")
  }

  /// The key frames of `set`, all of whose members have some.
  static func trickPlay(
    _ set: VideoSet, identifier: UInt64, mainIdentifier: UInt64, usedNames: inout [String], context: Context,
    into writer: inout TextWriter
  ) {
    setHead(identifier: identifier, into: &writer)
    writer.literal(" startWithSAP=\"1\"")
    aspect(set, into: &writer)
    writer.literal(">\n")
    writer.raw(context.protection)
    writer.literal(
      "      <EssentialProperty schemeIdUri=\"http://dashif.org/guidelines/trickmode\" value=\"")
    writer.decimal(mainIdentifier)
    writer.literal("\"/>\n")
    brightness(set, into: &writer)
    for member in set.members {
      let rendition = member.rendition
      var name = rendition.name + "-iframes"
      var number = 2
      while usedNames.contains(name) {
        name = "\(rendition.name)-iframes\(number)"
        number += 1
      }
      usedNames.append(name)
      representationHead(
        identifier: name, track: rendition.track,
        bandwidth: Bandwidth(keyFramesOf: rendition, targetDurationSeconds: context.targetDurationSeconds),
        into: &writer)
      size(member.shape, into: &writer)
      sampleAspect(member.shape, into: &writer)
      writer.literal(" maxPlayoutRate=\"")
      writer.decimal(max(1, UInt64(rendition.track.sampleCount) / UInt64(rendition.keyFrames.count)))
      writer.literal("\" codingDependency=\"false\">\n")
      keyFrameAddress(rendition, context: context, into: &writer)
      writer.literal("      </Representation>\n")
    }
    writer.literal("    </AdaptationSet>\n")
  }

  private static func setHead(identifier: UInt64, into writer: inout TextWriter) {
    writer.literal("    <AdaptationSet id=\"")
    writer.decimal(identifier)
    writer.literal("\" contentType=\"video\" mimeType=\"video/mp4\"")
  }

  private static func aspect(_ set: VideoSet, into writer: inout TextWriter) {
    if let aspect = set.members[0].shape.pictureAspect {
      ratio(" par=\"", aspect, into: &writer)
    }
  }

  private static func brightness(_ set: VideoSet, into writer: inout TextWriter) {
    guard set.range != .sdr else { return }
    writer.literal(
      "      <SupplementalProperty schemeIdUri=\"urn:mpeg:mpegB:cicp:TransferCharacteristics\" value=\"")
    writer.decimal(set.range == .pq ? 16 : 18)
    writer.literal("\"/>\n")
  }

  private static func size(_ shape: PictureShape, into writer: inout TextWriter) {
    guard shape.widthPixels > 0, shape.heightPixels > 0 else { return }
    writer.literal(" width=\"")
    writer.decimal(shape.widthPixels)
    writer.literal("\" height=\"")
    writer.decimal(shape.heightPixels)
    writer.literal("\"")
  }

  private static func sampleAspect(_ shape: PictureShape, into writer: inout TextWriter) {
    guard let sampleAspect = shape.sampleAspect, sampleAspect != Ratio(1, 1) else { return }
    ratio(" sar=\"", sampleAspect, into: &writer)
  }

  private static func ratio(_ opening: StaticString, _ ratio: Ratio, into writer: inout TextWriter) {
    writer.literal(opening)
    writer.decimal(ratio.numerator)
    writer.literal(":")
    writer.decimal(ratio.denominator)
    writer.literal("\"")
  }
}
