import Packaging
import Store

/// Names under which the tracks of files become renditions of an asset.
///
/// Of a source the first picture is `source` and the first sound `audio`; further tracks get a number from 2. Subtitles
/// are `subtitle-LANGUAGE`, further ones of the language numbered as well. Renditions are ordered: video, sound,
/// subtitles, and within a kind as they came, for the first of a kind is what players start with.
enum RenditionNames {
  /// Whether a rendition may be given this name: 1 to 32 of `A-Z a-z 0-9 _ -`, and none that means something else.
  static func isValid(_ name: String) -> Bool {
    let isPlain = name.utf8.allSatisfy { byte in
      switch byte {
      case 0x30...0x39, 0x41...0x5A, 0x61...0x7A, 0x2D, 0x5F: true
      default: false
      }
    }
    return isPlain && (1...32).contains(name.utf8.count) && name != "source" && name != "g"
      && !name.hasPrefix("subtitle-")
  }

  /// The tracks of a source.
  static func records(of packaged: StagedMedia.Packaged?) -> [RenditionRecord] {
    guard let packaged else { return [] }
    return records(of: packaged, .video, named: "source") + records(of: packaged, .audio, named: "audio")
  }

  private static func records(
    of packaged: StagedMedia.Packaged, _ kind: RenditionKind, named name: String
  ) -> [RenditionRecord] {
    let trackKind: TrackKind = kind == .video ? .video : .audio
    let indices = packaged.movie.tracks.indices.filter { packaged.movie.tracks[$0].track.kind == trackKind }
    return indices.enumerated().map { number, index in
      RenditionRecord(
        name: number == 0 ? name : "\(name)-\(number + 1)", kind: kind, blob: packaged.blob,
        trackIndex: UInt32(index), label: packaged.labels.isEmpty ? nil : packaged.labels[index])
    }
  }

  /// Adds a file's picture under a name, and its sound where there is none; or its sound, where it has no picture.
  static func add(_ name: String, of media: StagedMedia, to draft: inout AssetDraft) throws(IngestError) {
    guard let packaged = media.packaged else { return }
    let tracks = packaged.movie.tracks
    let kind: RenditionKind
    let index: Int
    if let video = tracks.firstIndex(where: { $0.track.kind == .video }) {
      (kind, index) = (.video, video)
    } else if let audio = tracks.firstIndex(where: { $0.track.kind == .audio }) {
      (kind, index) = (.audio, audio)
    } else {
      throw IngestError(code: "no-video", message: "\(media.name): it has neither picture nor sound")
    }
    let record = RenditionRecord(name: name, kind: kind, blob: packaged.blob, trackIndex: UInt32(index))
    if let place = draft.renditions.firstIndex(where: { $0.name == name }) {
      guard draft.renditions[place].kind == kind else {
        throw IngestError(
          code: "rendition-kind",
          message: "\(media.name): rendition \(name) is \(draft.renditions[place].kind): choose another name")
      }
      draft.renditions[place] = record
    } else {
      draft.renditions.append(record)
    }
    if kind == .video, !draft.renditions.contains(where: { $0.kind == .audio }) {
      draft.renditions += records(of: packaged, .audio, named: "audio")
    }
    draft.renditions = ordered(draft.renditions)
    // A source that can't be packaged no longer keeps the asset from playing.
    if let reason = draft.reason {
      draft.reason = nil
      draft.defects.append("source-not-packaged: \(reason)")
    }
    let mark = "rendition \(name): "
    draft.defects.removeAll { $0.split(separator: ": ", maxSplits: 1).last?.hasPrefix(mark) == true }
    draft.defects += media.defects.map { "\($0.code): \(mark)\($0.message)" }
  }

  /// Adds one subtitle, in the place of the first of its language where there is one.
  static func adding(subtitle: RenditionRecord, to renditions: [RenditionRecord]) -> [RenditionRecord] {
    var subtitle = subtitle
    subtitle.name = "subtitle-\(subtitle.language ?? "und")"
    var renditions = renditions
    if let place = renditions.firstIndex(where: { $0.kind == .subtitle && $0.name == subtitle.name }) {
      renditions[place] = subtitle
    } else {
      renditions.append(subtitle)
    }
    return ordered(renditions)
  }

  /// Names the subtitles of one file.
  static func numbered(_ subtitles: [RenditionRecord]) -> [RenditionRecord] {
    var counts: [String: Int] = [:]
    return subtitles.map { subtitle in
      var subtitle = subtitle
      let name = "subtitle-\(subtitle.language ?? "und")"
      let count = counts[name, default: 0] + 1
      counts[name] = count
      subtitle.name = count == 1 ? name : "\(name)-\(count)"
      return subtitle
    }
  }

  private static func ordered(_ renditions: [RenditionRecord]) -> [RenditionRecord] {
    ([.video, .audio, .subtitle, .file] as [RenditionKind]).flatMap { kind in
      renditions.filter { $0.kind == kind }
    }
  }
}

extension RenditionRecord {
  /// Whether its blob is an MP4 with a packaging index: picture and sound.
  var hasIndex: Bool { kind == .video || kind == .audio }
}
