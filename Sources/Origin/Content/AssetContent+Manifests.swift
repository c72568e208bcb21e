// Playlists and MPDs of an asset.

import Packaging
import Store

extension AssetContent {
  func multivariantPlaylist(
    _ form: DeliveryForm, _ edition: Edition, _ context: ContentContext
  ) throws(Problem) -> MadeAnswer {
    let presentation = try edition.presentation(in: context, needsKeyFrames: true)
    guard form != .transport || presentation.renditions.contains(where: { $0.track.codec.isInTransportStream })
    else {
      throw .unpackageable("None of the asset's codecs travels in MPEG-TS: use master.m3u8.")
    }
    return .playlist(MultivariantPlaylist.bytes(presentation, form: form, uriPrefix: edition.childPrefix))
  }

  func mpd(_ form: DeliveryForm, _ edition: Edition, _ context: ContentContext) throws(Problem) -> MadeAnswer {
    let presentation = try edition.presentation(in: context, needsKeyFrames: true)
    let base = edition.childPrefix
    return MadeAnswer(
      kind: .manifest, mediaType: "application/dash+xml",
      slices: [.bytes(MPD.bytes(presentation, form: form, baseURL: base.isEmpty ? nil : base))])
  }

  func mediaPlaylist(
    _ form: DeliveryForm, of name: String, _ edition: Edition, _ context: ContentContext
  ) throws(Problem) -> MadeAnswer {
    let presentation = try edition.presentation(in: context)
    guard let rendition = presentation.renditions.first(where: { $0.name == name }) else { throw .notFound }
    if form == .transport { try requireTransport(rendition.track) }
    return .playlist(
      MediaPlaylist.bytes(
        presentation, rendition, form: form, uriPrefix: edition.childPrefix(rendition: name)))
  }

  func iFramePlaylist(
    _ form: DeliveryForm, of name: String, _ edition: Edition, _ context: ContentContext
  ) throws(Problem) -> MadeAnswer {
    let presentation = try edition.presentation(in: context)
    let indexed = try edition.track(name, in: context)
    if form == .transport { try requireTransport(indexed.track) }
    let keyFrames = try indexed.keyFrames()
    guard !keyFrames.isEmpty else { throw .notFound }
    return .playlist(
      IFramePlaylist.bytes(
        track: indexed.track, keyFrames: keyFrames, form: form,
        uriPrefix: edition.childPrefix(rendition: name),
        targetDurationSeconds: presentation.targetDurationSeconds))
  }

  func requireTransport(_ track: Track) throws(Problem) {
    guard track.codec.isInTransportStream else {
      throw .unpackageable("\(track.codecString) does not travel in MPEG-TS: use the fragmented MP4 form.")
    }
  }
}
