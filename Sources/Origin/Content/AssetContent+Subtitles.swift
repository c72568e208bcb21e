// Subtitle renditions: a playlist and pieces of WebVTT, cut where the leading track is cut.

import Packaging
import Store

extension AssetContent {
  func subtitles(
    _ part: RenditionResource, of record: RenditionRecord, _ edition: Edition, _ context: ContentContext
  ) throws(Problem) -> MadeAnswer {
    let isManifest = if case .playlist = part { true } else { false }
    let presentation = try edition.presentation(in: context, listsKeyFrames: isManifest)
    guard let leader = presentation.renditions.first else { throw .notFound }
    switch part {
    case .playlist(let form):
      guard form != .byteRanges else { throw .notFound }
      let prefix = edition.childPrefix(rendition: record.name) + (form == .transport ? "ts_" : "")
      return .playlist(
        in: context,
        SubtitlePlaylist.bytes(
          segments: leader.segments, timescale: leader.track.timescale,
          targetDurationSeconds: presentation.targetDurationSeconds, uriPrefix: prefix,
          uriSuffix: context.childSuffix))
    case .subtitleSegment(let number, let form):
      let segments = SubtitleSegments(
        try context.subtitles(record.blob), segments: leader.segments, timescale: leader.track.timescale,
        mediaTimeTicks: form == .transport ? TransportSegment.presentationStartClockTicks : 0)
      guard let bytes = segments.bytes(number) else { throw .notFound }
      return MadeAnswer(kind: .segment, mediaType: Self.subtitleMediaType, slices: [.bytes(bytes)])
    default: throw .notFound
    }
  }
}
