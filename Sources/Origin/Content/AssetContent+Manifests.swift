// Playlists and MPDs of an asset.

import Packaging
import Store

extension AssetContent {
  func multivariantPlaylist(
    _ form: DeliveryForm, _ edition: Edition, _ context: ContentContext
  ) throws(Problem) -> MadeAnswer {
    let presentation = try edition.permitted(edition.presentation(in: context))
    // A film without its picture is not what was asked for.
    let hasPicture = presentation.renditions.contains { $0.track.kind == .video }
    guard presentation.renditions(in: form).contains(where: { !hasPicture || $0.track.kind == .video }) else {
      throw .unpackageable(
        "The asset cannot travel in MPEG-TS, for its codecs or for a picture that is to be turned: use master.m3u8."
      )
    }
    return .playlist(
      in: context,
      MultivariantPlaylist.bytes(
        presentation, form: form, uriPrefix: edition.childPrefix, uriSuffix: context.childSuffix,
        sessionKeys: edition.protection?.sessionKeys ?? [],
        images: images(for: presentation, edition, context)))
  }

  private func images(
    for presentation: Presentation, _ edition: Edition, _ context: ContentContext
  ) -> [ImageSet] {
    guard edition.clip == nil else { return [] }
    return context.site.pipeline.imageSets.compactMap { $0.imageSet(for: presentation) }
  }

  func mpd(_ form: DeliveryForm, _ edition: Edition, _ context: ContentContext) throws(Problem) -> MadeAnswer
  {
    let presentation = try edition.permitted(edition.presentation(in: context))
    let base = edition.childPrefix
    return .manifest(
      MPD.bytes(
        presentation, form: form, baseURL: base.isEmpty ? nil : base, uriSuffix: context.childSuffix,
        protection: edition.protection?.contentProtection,
        images: images(for: presentation, edition, context)),
      mediaType: "application/dash+xml", isXML: true, in: context)
  }

  func mediaPlaylist(
    _ form: DeliveryForm, of name: String, _ edition: Edition, _ context: ContentContext
  ) throws(Problem) -> MadeAnswer {
    let presentation = try edition.presentation(in: context)
    guard let rendition = presentation.renditions.first(where: { $0.name == name }) else { throw .notFound }
    if form == .transport { try requireTransport(rendition.track) }
    return .playlist(
      in: context,
      MediaPlaylist.bytes(
        track: rendition.track,
        segments: form == .transport ? presentation.transportSegments(of: rendition) : rendition.segments,
        uriPrefix: edition.childPrefix(rendition: name), uriSuffix: context.childSuffix,
        targetDurationSeconds: presentation.targetDurationSeconds,
        segmentsAreIndependent: rendition.segmentsAreIndependent, form: form, name: name,
        keys: try keys(of: name, edition, context)))
  }

  func iFramePlaylist(
    _ form: DeliveryForm, of name: String, _ edition: Edition, _ context: ContentContext
  ) throws(Problem) -> MadeAnswer {
    let presentation = try edition.presentation(in: context)
    guard let rendition = presentation.renditions.first(where: { $0.name == name }),
      !rendition.keyFrames.isEmpty
    else { throw .notFound }
    if form == .transport { try requireTransport(rendition.track) }
    return .playlist(
      in: context,
      IFramePlaylist.bytes(
        track: rendition.track, keyFrames: rendition.keyFrames, form: form,
        uriPrefix: edition.childPrefix(rendition: name), uriSuffix: context.childSuffix,
        targetDurationSeconds: presentation.targetDurationSeconds,
        keys: try keys(of: name, edition, context)))
  }

  private func keys(
    of name: String, _ edition: Edition, _ context: ContentContext
  ) throws(Problem) -> [HLSKey] {
    guard let protection = edition.protection else { return [] }
    return protection.playlistKeys(of: try edition.track(name, in: context), edition, in: context)
  }

  func requireTransport(_ track: Track) throws(Problem) {
    guard DeliveryForm.transport.carries(track) else {
      let what = track.codec.isInTransportStream ? "A picture that is to be turned" : track.codecString
      throw .unpackageable("\(what) does not travel in MPEG-TS: use the fragmented MP4 form.")
    }
  }
}
