// `/v/{id}/…`: playlists, MPDs, init segments, media segments, and whole files of an asset.
//
// Everything made here is a pure function of the generation, the packager's version and the canonical
// parameters (the site's segment length, what is asked, and whether the URL pins the generation). That
// is also what the entity tag is a digest of, so it is equal on every node and after every restart.

import HTTP
import Packaging
import Store

struct AssetContent: ContentHandler {
  func content(for target: Target, in context: ContentContext) throws(Problem) -> ContentOutcome {
    guard case .asset(let target) = target else { return .declined }
    if case .other = target.resource { return .declined }
    let edition = try Edition(target, in: context)
    switch target.resource {
    case .source, .progressive:
      return .representation(try wholeFile(of: edition, target, context))
    case .other:
      return .declined
    case .multivariantPlaylist, .mpd, .mediaPlaylist, .initSegment, .segment:
      if let reason = edition.reason { throw .unpackageable(reason) }
      if let cold = try coldPart(of: edition, target.resource, context) { return cold }
      return .representation(try made(from: edition, target, context))
    }
  }

  /// What of the packaging indexes must be read in first.
  private func coldPart(
    of edition: Edition, _ resource: AssetResource, _ context: ContentContext
  ) throws(Problem) -> ContentOutcome? {
    for rendition in edition.renditions where rendition.hasIndex {
      var wanted: Int?
      switch resource {
      case .initSegment(rendition.name): break
      case .segment(rendition.name, let number): wanted = number
      case .initSegment, .segment: continue
      default: break
      }
      let cold = try context.coldIndexPart(
        of: rendition.blob, track: Int(rendition.trackIndex), segment: wanted)
      if let cold { return cold }
    }
    return nil
  }

  private func wholeFile(
    of edition: Edition, _ target: AssetTarget, _ context: ContentContext
  ) throws(Problem) -> Representation {
    var (blob, mediaType) = (edition.source, edition.mediaType)
    var rendition = "source"
    if case .progressive(let name) = target.resource {
      rendition = name
      (blob, mediaType) = try edition.progressiveFile(name)
    }
    let file = try context.blob(blob)
    return context.representation(
      edition.info(.progressive, rendition: rendition, in: context),
      contentType: mediaType, etag: Array(blob.hex.utf8),
      lastModifiedMilliseconds: edition.ingestedMilliseconds,
      slices: [.blob(file, offset: 0, count: file.sizeBytes)], validUntilSeconds: edition.validUntilSeconds)
  }

  private func made(
    from edition: Edition, _ target: AssetTarget, _ context: ContentContext
  ) throws(Problem) -> Representation {
    let kind: AnswerKind
    let contentType: String
    let slices: [BodySlice]
    var renditionName: String?
    switch target.resource {
    case .multivariantPlaylist:
      kind = .manifest
      contentType = "application/vnd.apple.mpegurl"
      let prefix = edition.isPinned ? "" : "g/\(edition.generation.hex)/"
      slices = [.bytes(MultivariantPlaylist.bytes(try edition.presentation(in: context), uriPrefix: prefix))]
    case .mpd:
      kind = .manifest
      contentType = "application/dash+xml"
      let base = edition.isPinned ? nil : "g/\(edition.generation.hex)/"
      slices = [.bytes(MPD.bytes(try edition.presentation(in: context), baseURL: base))]
    case .mediaPlaylist(let name):
      renditionName = name
      kind = .manifest
      contentType = "application/vnd.apple.mpegurl"
      let presentation = try edition.presentation(in: context)
      guard let rendition = presentation.renditions.first(where: { $0.name == name }) else { throw .notFound }
      let prefix = edition.isPinned ? "" : "../g/\(edition.generation.hex)/\(name)/"
      slices = [
        .bytes(
          MediaPlaylist.bytes(
            track: rendition.track, segments: rendition.segments, uriPrefix: prefix,
            targetDurationSeconds: presentation.targetDurationSeconds))
      ]
    case .initSegment(let name):
      renditionName = name
      kind = .segment
      let (loaded, track) = try edition.track(name, in: context)
      contentType = Self.mediaType(loaded.index.tracks[track])
      slices = [
        .bytes(
          InitSegment.bytes(
            for: loaded.index.tracks[track], firstDecodeTicks: loaded.firstDecodeTicks(track: track)))
      ]
    case .segment(let name, let number):
      renditionName = name
      kind = .segment
      let (loaded, index) = try edition.track(name, in: context)
      let track = loaded.index.tracks[index]
      contentType = Self.mediaType(track)
      let samples = try loaded.samples(track: index, segment: number)
      guard let rendition = edition.renditions.first(where: { $0.name == name }) else { throw .notFound }
      let blob = try context.blob(rendition.blob)
      let segment = MediaSegment.make(
        track: track, sequenceNumber: UInt32(number) + 1, samples: samples,
        firstDecodeTicks: loaded.firstDecodeTicks(track: index))
      var parts: [BodySlice] = [.bytes(segment.head)]
      parts.reserveCapacity(segment.slices.count + 1)
      for slice in segment.slices { parts.append(.blob(blob, offset: slice.offset, count: slice.count)) }
      slices = parts
    case .source, .progressive, .other:
      throw .notFound
    }
    return context.representation(
      edition.info(kind, rendition: renditionName, in: context), contentType: contentType,
      etag: edition.etag(of: target.resource, in: context),
      lastModifiedMilliseconds: edition.ingestedMilliseconds, slices: slices,
      validUntilSeconds: edition.validUntilSeconds)
  }

  private static func mediaType(_ track: Track) -> String {
    track.kind == .audio ? "audio/mp4" : "video/mp4"
  }
}

/// One generation of an asset, as a URL named it: the newest, or the one the path pins.
struct Edition {
  let assetID: String
  let generation: Generation
  let isPinned: Bool
  let source: BlobID
  let mediaType: String
  let renditions: [RenditionRecord]
  /// Why it can't be packaged; nil when it can.
  let reason: String?
  let ingestedMilliseconds: Int64
  /// When a replaced generation stops being served.
  let validUntilSeconds: Int64?

  init(_ target: AssetTarget, in context: ContentContext) throws(Problem) {
    let site = context.site.name
    let asset: AssetRecord?
    let record: GenerationRecord?
    do throws(StoreError) {
      asset = try context.reader.asset(site: site, id: target.id)
      guard let generation = target.generation ?? asset?.generation else {
        throw StoreError(.notFound, operation: "find asset", message: "the asset has no generation")
      }
      record = try context.reader.generation(
        site: site, id: target.id, generation: generation, nowMilliseconds: context.nowSeconds * 1000)
    } catch { throw Problem(error) }
    guard let asset, let record, let source = record.source else { throw .notFound }
    if asset.privacy == .private {
      throw Problem(
        status: 403, code: "asset-private", title: "Private asset",
        detail: "This asset is marked private and is not delivered.")
    }
    if let replaced = record.replacedMilliseconds {
      validUntilSeconds = replaced / 1000 + Int64(context.store.options.graceSeconds)
    } else {
      validUntilSeconds = nil
    }
    assetID = target.id
    generation = record.generation
    isPinned = target.generation != nil
    self.source = source
    mediaType = record.mediaType
    renditions = record.renditions
    reason = record.reason
    ingestedMilliseconds = record.ingestedMilliseconds
  }

  func info(_ kind: AnswerKind, rendition: String?, in context: ContentContext) -> AnswerInfo {
    AnswerInfo(
      site: context.site.name, kind: kind, isImmutable: isPinned, assetID: assetID, rendition: rendition)
  }

  /// Generation, then 64 bits of FNV-1a over the canonical parameters.
  func etag(of resource: AssetResource, in context: ContentContext) -> [UInt8] {
    let parameters =
      "\(PackagerVersion.number) \(context.site.configuration.packaging.segmentMilliseconds) \(isPinned) \(resource.canonicalName)"
    var hash: UInt64 = 0xcbf2_9ce4_8422_2325
    for byte in parameters.utf8 { hash = (hash ^ UInt64(byte)) &* 0x0000_0100_0000_01b3 }
    let digits = String(hash, radix: 16)
    let padded = String(repeating: "0", count: 16 - digits.count) + digits
    return Array("\(generation.hex)-\(padded)".utf8)
  }

  func track(_ rendition: String, in context: ContentContext) throws(Problem) -> (LoadedIndex, Int) {
    guard let record = renditions.first(where: { $0.name == rendition && $0.hasIndex }) else {
      throw .notFound
    }
    let loaded = try context.index(of: record.blob)
    guard record.trackIndex < loaded.index.tracks.count else { throw .damaged }
    return (loaded, Int(record.trackIndex))
  }

  func presentation(in context: ContentContext) throws(Problem) -> Presentation {
    var list: [PresentationRendition] = []
    var durationMilliseconds: UInt64 = 0
    for record in renditions where record.hasIndex {
      let (loaded, track) = try track(record.name, in: context)
      durationMilliseconds = max(durationMilliseconds, loaded.index.durationMilliseconds)
      list.append(
        PresentationRendition(
          name: record.name, track: loaded.index.tracks[track], segments: loaded.index.segments[track]))
    }
    guard !list.isEmpty else { throw .notFound }
    return Presentation(renditions: list, durationMilliseconds: durationMilliseconds)
  }

  /// The blob that is the rendition as one file, and its media type.
  ///
  /// A blob may hold several renditions. It is the file of the first picture in it; sound beside a picture has no file
  /// of its own. `source` is the source where that is an MP4, packaged or not, else the MP4 made of it.
  func progressiveFile(_ name: String) throws(Problem) -> (blob: BlobID, mediaType: String) {
    let isMP4 = ["video/mp4", "audio/mp4", "video/quicktime"].contains(mediaType)
    if name == "source", isMP4 { return (source, mediaType) }
    guard let record = renditions.first(where: { $0.name == name && $0.hasIndex }) else {
      if name != "source" { throw .notFound }
      throw .unpackageable("The source is not an MP4 file; it is served as it came under \"source\".")
    }
    let sharing = renditions.filter { $0.blob == record.blob && $0.hasIndex }
    if sharing.count == 1 || record.kind == .video && sharing[0] == record {
      if record.blob == source { return (source, mediaType) }
      return (record.blob, record.kind == .video ? "video/mp4" : "audio/mp4")
    }
    throw Problem(
      status: 404, code: "no-progressive-form", title: "No progressive form",
      detail: "This rendition is one track of a file; use \(sharing[0].name).mp4, or the HLS and DASH forms.")
  }
}
