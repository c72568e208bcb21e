// The multivariant playlist of an asset, after RFC 8216bis §4.4.6.
//
// Sound is always apart from the picture: every audio rendition is an EXT-X-MEDIA of a group, every video
// rendition an EXT-X-STREAM-INF that names a group. A group holds one codec, so that a player can
// choose by CODECS before it loads anything. RFC 8216bis §4.4.6.1.1 wants all groups to have the same
// members; where the codecs of a source's languages differ that cannot be, and one group holds all.
//
// In a group names are unique, the first member is the default, and of several members with one language
// only the first is selected automatically, as the same section demands.
//
// Without video, an audio rendition is itself the variant.

/// Makes HLS multivariant playlists.
public enum MultivariantPlaylist {
  /// The multivariant playlist of `presentation`, for renditions of fragmented MP4.
  ///
  /// - Parameters:
  ///   - uriPrefix: put in front of every child, such as `g/0123456789ab/`, or empty; what follows is
  ///     `{rendition}/playlist.m3u8`.
  ///   - uriSuffix: put behind every child, such as a signed query with its question mark, or empty.
  /// - Complexity: linear in the segments of all renditions, for the peak rates.
  public static func bytes(
    _ presentation: Presentation, uriPrefix: String, uriSuffix: String = ""
  ) -> [UInt8] {
    let targetDurationSeconds = presentation.targetDurationSeconds
    let children = presentation.renditions.map { rendition in
      Child(
        rendition: rendition,
        bandwidth: Bandwidth(
          track: rendition.track, segments: rendition.segments, targetDurationSeconds: targetDurationSeconds),
        uri: URIText.reference(uriPrefix) + URIText.pathSegment(rendition.name)
          + Array("/playlist.m3u8".utf8) + URIText.reference(uriSuffix))
    }
    let video = children.filter { $0.track.kind == .video }
    let groups = audioGroups(children.filter { $0.track.kind == .audio })

    var writer = TextWriter(capacityBytes: 256 + 512 * children.count)
    writer.literal("#EXTM3U\n#EXT-X-VERSION:7\n")
    if (presentation.renditions.allSatisfy { $0.segmentsAreIndependent }) {
      writer.literal("#EXT-X-INDEPENDENT-SEGMENTS\n")
    }
    let needsGroups = !video.isEmpty || groups.contains { $0.members.count > 1 } || groups.count > 1
    if needsGroups {
      for group in groups { media(group, into: &writer) }
    }
    if video.isEmpty {
      for group in groups {
        audioVariant(group, namesGroup: needsGroups, into: &writer)
      }
    } else if groups.isEmpty {
      for child in video { videoVariant(child, audio: nil, into: &writer) }
    } else {
      for group in groups {
        for child in video { videoVariant(child, audio: group, into: &writer) }
      }
    }
    return writer.bytes
  }

  private struct Child {
    var rendition: PresentationRendition
    var bandwidth: Bandwidth
    var uri: [UInt8]
    var track: Track { rendition.track }
  }

  private struct AudioGroup {
    var identifier: String
    /// Never empty.
    var members: [Child]

    var worstBandwidth: Bandwidth {
      members.reduce(Bandwidth(peak: 0, average: 0)) { $0.worst($1.bandwidth) }
    }

    var codecStrings: [String] {
      members.reduce(into: []) { codecs, member in
        if !codecs.contains(member.track.codecString) { codecs.append(member.track.codecString) }
      }
    }

    var languages: [WrittenLanguage?] {
      members.map { WrittenLanguage($0.track.language) }
    }
  }

  /// One group for each codec where all would have the same members, else one group.
  private static func audioGroups(_ children: [Child]) -> [AudioGroup] {
    var groups: [AudioGroup] = []
    for child in children {
      if let index = groups.firstIndex(where: { $0.codecStrings == [child.track.codecString] }) {
        groups[index].members.append(child)
      } else {
        groups.append(AudioGroup(identifier: "audio-" + child.track.codecString, members: [child]))
      }
    }
    guard let first = groups.first else { return [] }
    if groups.allSatisfy({ $0.languages == first.languages }) { return groups }
    return [AudioGroup(identifier: "audio", members: children)]
  }

  private static func media(_ group: AudioGroup, into writer: inout TextWriter) {
    var usedNames: [String] = []
    var usedLanguages: [WrittenLanguage?] = []
    for (index, member) in group.members.enumerated() {
      let language = WrittenLanguage(member.track.language)
      let name = uniqueName(language == nil ? "Audio" : member.track.language, among: usedNames)
      let isFirstOfLanguage = !usedLanguages.contains(language)
      usedNames.append(name)
      usedLanguages.append(language)

      writer.literal("#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=")
      writer.quoted(group.identifier)
      writer.literal(",NAME=")
      writer.quoted(name)
      if language != nil {
        writer.literal(",LANGUAGE=")
        writer.quoted(member.track.language)
      }
      writer.literal(index == 0 ? ",DEFAULT=YES" : ",DEFAULT=NO")
      writer.literal(isFirstOfLanguage ? ",AUTOSELECT=YES" : ",AUTOSELECT=NO")
      if let channels = AudioChannels(member.track).playlistText {
        writer.literal(",CHANNELS=")
        writer.quoted(channels)
      }
      writer.literal(",URI=\"")
      writer.raw(member.uri)
      writer.literal("\"\n")
    }
  }

  /// `name`, or with the first number from 2 that nobody has.
  private static func uniqueName(_ name: String, among used: [String]) -> String {
    guard used.contains(name) else { return name }
    var number = 2
    while used.contains("\(name) \(number)") { number += 1 }
    return "\(name) \(number)"
  }

  private static func videoVariant(_ child: Child, audio: AudioGroup?, into writer: inout TextWriter) {
    let track = child.track
    let bandwidth = audio.map { child.bandwidth.adding($0.worstBandwidth) } ?? child.bandwidth
    streamHead(bandwidth, codecs: [track.codecString] + (audio?.codecStrings ?? []), into: &writer)
    let shape = PictureShape(track)
    let width = track.displayWidthPixels > 0 ? UInt64(track.displayWidthPixels) : shape.widthPixels
    let height = track.displayHeightPixels > 0 ? UInt64(track.displayHeightPixels) : shape.heightPixels
    if width > 0, height > 0 {
      writer.literal(",RESOLUTION=")
      writer.decimal(width)
      writer.literal("x")
      writer.decimal(height)
    }
    if let frameRate = FrameRate(track) {
      writer.literal(",FRAME-RATE=")
      writer.thousandths(frameRate.thousandths)
    }
    switch VideoRange(transferCharacteristics: track.transferCharacteristics) {
    case .sdr: writer.literal(",VIDEO-RANGE=SDR")
    case .hlg: writer.literal(",VIDEO-RANGE=HLG")
    case .pq: writer.literal(",VIDEO-RANGE=PQ")
    }
    if let audio {
      writer.literal(",AUDIO=")
      writer.quoted(audio.identifier)
    }
    writer.literal(",CLOSED-CAPTIONS=NONE\n")
    writer.raw(child.uri)
    writer.literal("\n")
  }

  private static func audioVariant(_ group: AudioGroup, namesGroup: Bool, into writer: inout TextWriter) {
    streamHead(group.worstBandwidth, codecs: group.codecStrings, into: &writer)
    if namesGroup {
      writer.literal(",AUDIO=")
      writer.quoted(group.identifier)
    }
    writer.literal("\n")
    writer.raw(group.members[0].uri)
    writer.literal("\n")
  }

  private static func streamHead(_ bandwidth: Bandwidth, codecs: [String], into writer: inout TextWriter) {
    writer.literal("#EXT-X-STREAM-INF:BANDWIDTH=")
    writer.decimal(bandwidth.peak)
    writer.literal(",AVERAGE-BANDWIDTH=")
    writer.decimal(bandwidth.average)
    writer.literal(",CODECS=")
    writer.quoted(codecs.joined(separator: ","))
  }
}
