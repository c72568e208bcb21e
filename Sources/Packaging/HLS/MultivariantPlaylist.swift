// The multivariant playlist of an asset, after RFC 8216bis §4.4.6, one for each form of delivery.
//
// As fragmented MP4, in fragments or by byte ranges, sound is always apart from the picture: every audio rendition is an
// EXT-X-MEDIA of a group (`AudioGroup`), every video rendition an EXT-X-STREAM-INF for each group.
//
// In transport streams the first sound travels with the picture (`Presentation.muxedSound`). Alone, it needs no
// group. Beside others it is the member of the group that has no URI, which is how the section says "in the variant
// itself"; the others are transport streams of their own. A video rendition that cannot carry it, being cut elsewhere,
// gets a group in which all have URIs. What the variant carries counts in its rates, whatever is chosen.
//
// Without video, an audio rendition is itself the variant.
//
// Each video rendition with key frames has an EXT-X-I-FRAME-STREAM-INF. Subtitles are one group for all variants. None is
// the default: players choose by the language and the wish of the viewer, and forced ones by the language alone.

/// Makes HLS multivariant playlists.
public enum MultivariantPlaylist {
  /// The multivariant playlist of `presentation`.
  ///
  /// - Parameters:
  ///   - form: how media is delivered; renditions that it cannot carry are left out.
  ///   - uriPrefix: put in front of every child, such as `g/0123456789ab/`, or empty; what follows is
  ///     `{rendition}/playlist.m3u8`, with `_ts` or `_byterange` behind `playlist` in the other forms.
  ///   - uriSuffix: put behind every child, such as a query with its question mark, `ManifestTemplate.suffix`, or empty.
  ///   - sessionKeys: of all renditions, for players that ask for licenses before they have a media playlist.
  ///   - images: sheets for seeking.
  /// - Complexity: linear in the segments and key frames of all renditions, for the peak rates.
  public static func bytes(
    _ presentation: Presentation, form: DeliveryForm = .fragments, uriPrefix: String, uriSuffix: String = "",
    sessionKeys: [HLSKey] = [], images: [ImageSet] = []
  ) -> [UInt8] {
    let targetDurationSeconds = presentation.targetDurationSeconds
    let children = presentation.renditions(in: form).map { rendition in
      Child(
        rendition: rendition,
        bandwidth: Bandwidth(rendition, form: form, targetDurationSeconds: targetDurationSeconds))
    }
    let video = children.filter { $0.track.kind == .video }
    let audio = children.filter { $0.track.kind == .audio }
    let groups = AudioGroup.groups(of: audio.map(\.rendition))
    var lines = MultivariantLines(
      form: form, prefix: URIText.reference(uriPrefix), suffix: URIText.suffix(uriSuffix),
      hasSubtitles: !presentation.subtitles.isEmpty,
      captions: video.reduce(into: []) { $0.formUnion($1.track.closedCaptions) },
      capacityBytes: 256 + 512 * (children.count + max(1, video.count) * groups.count)
        + 256 * presentation.subtitles.count)
    lines.head(isIndependent: children.allSatisfy { $0.rendition.segmentsAreIndependent })
    lines.keys(sessionKeys)

    let variants =
      video.isEmpty
      ? soundVariants(audio, groups)
      : videoVariants(video, audio, groups, presentation: presentation, form: form)
    var written: [String] = []
    for group in variants.compactMap(\.group) where !written.contains(group.identifier) {
      written.append(group.identifier)
      for member in group.members {
        lines.audio(member, of: group)
      }
    }
    if !variants.isEmpty { lines.subtitles(presentation.subtitles) }
    for variant in variants {
      lines.variant(variant)
    }
    for child in video where !child.rendition.keyFrames.isEmpty {
      lines.iFrames(
        of: child.rendition,
        bandwidth: Bandwidth(
          keyFramesOf: child.rendition, form: form, targetDurationSeconds: targetDurationSeconds))
    }
    for set in images { lines.images(set) }
    return lines.bytes
  }

  private struct Child {
    var rendition: PresentationRendition
    var bandwidth: Bandwidth
    var track: Track { rendition.track }
  }

  /// One for each group: its first member, with the others to choose from where there are any.
  private static func soundVariants(_ audio: [Child], _ groups: [AudioGroup]) -> [MultivariantLines.Variant] {
    groups.map { group in
      MultivariantLines.Variant(
        rendition: group.members[0].rendition, group: audio.count > 1 ? group : nil,
        codecStrings: group.codecStrings, bandwidth: worst(group, audio))
    }
  }

  /// Group after group, all video renditions with each.
  private static func videoVariants(
    _ video: [Child], _ audio: [Child], _ groups: [AudioGroup], presentation: Presentation,
    form: DeliveryForm
  ) -> [MultivariantLines.Variant] {
    // Where in `audio` the sound is that each video rendition carries.
    let muxed = video.map { child in
      form == .transport
        ? presentation.muxedSound(of: child.rendition).flatMap { sound in
          audio.firstIndex { $0.rendition.name == sound.name }
        } : nil
    }
    func variant(_ child: Child, _ muxed: Int?, _ group: AudioGroup?) -> MultivariantLines.Variant {
      var result = MultivariantLines.Variant(
        rendition: child.rendition, group: group, codecStrings: [child.track.codecString],
        bandwidth: child.bandwidth)
      if let muxed { result.add([audio[muxed].track.codecString], audio[muxed].bandwidth) }
      if let group { result.add(group.codecStrings, worst(group, audio)) }
      return result
    }
    let needsNoGroup = audio.count == 1 && muxed.allSatisfy { $0 == 0 }
    guard !groups.isEmpty, !needsNoGroup else {
      return zip(video, muxed).map { variant($0, $1, nil) }
    }
    var ways: [Int?] = []
    for way in muxed where !ways.contains(way) { ways.append(way) }
    return groups.flatMap { group in
      zip(video, muxed).map { child, muxed in
        var offered = group
        offered.muxedMember = muxed
        if let way = ways.firstIndex(of: muxed), way > 0 { offered.identifier += "-way\(way + 1)" }
        return variant(child, muxed, offered)
      }
    }
  }

  /// The rates of the worst of a group's members that are loaded beside the variant.
  private static func worst(_ group: AudioGroup, _ audio: [Child]) -> Bandwidth {
    group.members.filter { $0.index != group.muxedMember }.reduce(Bandwidth(peak: 0, average: 0)) {
      $0.worst(audio[$1.index].bandwidth)
    }
  }
}
