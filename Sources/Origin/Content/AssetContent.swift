// `/v/{id}/…`: playlists, MPDs, init segments, media segments, and whole files of an asset.
//
// Everything made here is a pure function of the generation, the packager's version and the canonical
// parameters (the site's segment length, what is asked, whether the URL pins the generation, and the clip). That
// is also what the entity tag is a digest of, so it is equal on every node and after every restart.

import HTTP
import Packaging
import Store

struct AssetContent: ContentHandler {
  func content(for target: Target, in context: ContentContext) throws(Problem) -> ContentOutcome {
    guard case .asset(let target) = target else { return .declined }
    if case .other = target.resource { return .declined }
    if let missing = try context.missingElsewhere(of: target.id) { return missing }
    let edition = try Edition(target, in: context)
    if let protection = edition.protection, !edition.isSubtitle(target.resource) {
      try protection.admit(target.resource, clip: target.clip)
    }
    switch target.resource {
    case .source:
      try edition.requireRight(to: "source")
      return .representation(try wholeFile(of: edition, "source", edition.source, edition.mediaType, context))
    case .rendition(let name, .progressive):
      guard target.clip == nil else { throw .notFound }
      try edition.requireRight(to: name)
      let (blob, mediaType) = try edition.progressiveFile(name)
      return .representation(try wholeFile(of: edition, name, blob, mediaType, context))
    case .rendition(let name, .subtitleFile):
      let record = try edition.record(name)
      guard record.kind == .subtitle, target.clip == nil else { throw .notFound }
      return .representation(
        try wholeFile(of: edition, name, record.blob, Self.subtitleMediaType, context, kind: .segment))
    case .other:
      return .declined
    case .contentKey:
      let key = try contentKey(edition, context)
      return .representation(representation(key, of: target.resource, nil, edition, context))
    case .multivariantPlaylist, .mpd, .rendition:
      if let reason = edition.reason { throw .unpackageable(reason) }
      if let cold = try coldPart(of: edition, target.resource, context) { return cold }
      if let suspended = try suspendedMedia(target.resource, edition, context) { return suspended }
      return .representation(try made(from: edition, target.resource, context))
    }
  }

  static let playlistMediaType = "application/vnd.apple.mpegurl"
  static let subtitleMediaType = "text/vtt; charset=utf-8"

  /// What of the packaging indexes must be read in first.
  private func coldPart(
    of edition: Edition, _ resource: AssetResource, _ context: ContentContext
  ) throws(Problem) -> ContentOutcome? {
    for record in edition.renditions where record.hasIndex {
      var wanted: Int?
      if case .rendition(let name, let part) = resource {
        switch part {
        case .initSegment, .segment(_, .fragments), .iFrame, .iFramePlaylist:
          if name != record.name { continue }
        default: break
        }
        if case .segment(let number, _) = part { wanted = number }
      }
      let cold = try context.coldIndexPart(
        of: record.blob, track: Int(record.trackIndex), segment: wanted, clip: edition.clip)
      if let cold { return cold }
    }
    return nil
  }

  private func wholeFile(
    of edition: Edition, _ rendition: String, _ blob: BlobID, _ mediaType: String, _ context: ContentContext,
    kind: AnswerKind = .progressive
  ) throws(Problem) -> Representation {
    let file = try context.blob(blob)
    return context.representation(
      edition.info(kind, rendition: rendition, in: context), contentType: mediaType,
      etag: Array(blob.hex.utf8), lastModifiedMilliseconds: edition.ingestedMilliseconds,
      slices: [.blob(file, offset: 0, count: file.sizeBytes)], validUntilSeconds: edition.validUntilSeconds)
  }

  private func made(
    from edition: Edition, _ resource: AssetResource, _ context: ContentContext
  ) throws(Problem) -> Representation {
    let answer: MadeAnswer
    var rendition: String?
    switch resource {
    case .multivariantPlaylist(let form): answer = try multivariantPlaylist(form, edition, context)
    case .mpd(let form): answer = try mpd(form, edition, context)
    case .rendition(let name, let part):
      rendition = name
      answer = try self.part(part, of: name, edition, context)
    case .source, .contentKey, .other: throw .notFound
    }
    return representation(answer, of: resource, rendition, edition, context)
  }

  func representation(
    _ answer: MadeAnswer, of resource: AssetResource, _ rendition: String?, _ edition: Edition,
    _ context: ContentContext
  ) -> Representation {
    context.representation(
      edition.info(
        answer.kind, rendition: rendition, namesRenditions: resource.namesRenditions, in: context),
      contentType: answer.mediaType,
      etag: edition.etag(of: resource, in: context), lastModifiedMilliseconds: edition.ingestedMilliseconds,
      slices: answer.slices, template: answer.template,
      validUntilSeconds: edition.validUntilSeconds(of: resource))
  }

  private func part(
    _ part: RenditionResource, of name: String, _ edition: Edition, _ context: ContentContext
  ) throws(Problem) -> MadeAnswer {
    let record = try edition.record(name)
    try edition.requireRight(to: name)
    if record.kind == .subtitle {
      guard edition.clip == nil else { throw .notFound }
      return try subtitles(part, of: record, edition, context)
    }
    switch part {
    case .playlist(let form): return try mediaPlaylist(form, of: name, edition, context)
    case .iFramePlaylist(let form): return try iFramePlaylist(form, of: name, edition, context)
    case .initSegment:
      return try initSegment(of: name, edition, context).encrypted(of: name, edition, context)
    case .segment(let number, .transport):
      return try transportSegment(number, of: name, edition, context).encrypted(of: name, edition, context)
    case .segment(let number, _):
      return try segment(number, of: name, edition, context).encrypted(of: name, edition, context)
    case .iFrame(let number, let form):
      return try iFrame(number, form, of: name, edition, context).encrypted(of: name, edition, context)
    case .fragmentedFile: return try fragmentedFile(of: name, edition, context)
    case .progressive, .subtitleSegment, .subtitleFile: throw .notFound
    }
  }
}

/// Something that was made: its kind, its media type and its bytes.
struct MadeAnswer {
  let kind: AnswerKind
  let mediaType: String
  let slices: [BodySlice]
  /// Of a manifest whose children may have to carry a token.
  var template: ManifestTemplate?

  static func playlist(in context: ContentContext, _ bytes: [UInt8]) -> MadeAnswer {
    manifest(bytes, mediaType: AssetContent.playlistMediaType, isXML: false, in: context)
  }

  /// - Parameter bytes: written with `context.childSuffix`.
  static func manifest(
    _ bytes: [UInt8], mediaType: String, isXML: Bool, in context: ContentContext
  ) -> MadeAnswer {
    guard !context.childSuffix.isEmpty else {
      return MadeAnswer(kind: .manifest, mediaType: mediaType, slices: [.bytes(bytes)])
    }
    let template = ManifestTemplate(marked: bytes, isXML: isXML)
    return MadeAnswer(
      kind: .manifest, mediaType: mediaType, slices: [.bytes(template.bytes)], template: template)
  }
}
