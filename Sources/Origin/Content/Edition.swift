// An asset's generation, as a URL names it, and what of it is needed to make answers.

import HTTP
import Packaging
import Store

/// One generation of an asset, as a URL named it: the newest, or the one the path pins.
struct Edition {
  let assetID: String
  let generation: Generation
  let isPinned: Bool
  /// How the site encrypts the asset; nil for a site that does not.
  let protection: Protection?
  /// The part of the asset that is wanted; nil for all of it.
  let clip: ClipRange?
  let source: BlobID
  let mediaType: String
  let renditions: [RenditionRecord]
  /// Why it can't be packaged; nil when it can.
  let reason: String?
  let ingestedMilliseconds: Int64
  let thumbnailMilliseconds: UInt64?
  /// When a replaced generation stops being served.
  let replacedUntilSeconds: Int64?
  /// When all of it stops being served: the generation, or the right to the video.
  let validUntilSeconds: Int64?
  /// How long caches may keep what leads players to the media; nil where that right has no end.
  let mostAgeSeconds: Int64?
  private let nowSeconds: Int64
  /// What the site's metadata decide, and how long that holds; nil for a site without any.
  let decision: (rights: VideoRights, freshUntilSeconds: Int64)?

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
    decision = try context.rights(ofVideo: target.id)
    try decision?.rights.requireTime(context.nowSeconds)
    if asset.privacy == .private || decision?.rights.isPrivate == true { try context.requireToken() }
    if let replaced = record.replacedMilliseconds {
      replacedUntilSeconds = replaced / 1000 + Int64(context.store.options.graceSeconds)
    } else {
      replacedUntilSeconds = nil
    }
    nowSeconds = context.nowSeconds
    let end = decision?.rights.availableUntilSeconds
    validUntilSeconds = replacedUntilSeconds.map { min($0, end ?? .max) } ?? end
    // Kept here for a second, so one less.
    mostAgeSeconds = end.map { max(0, $0 - context.nowSeconds - 1) }
    assetID = target.id
    generation = record.generation
    isPinned = target.generation != nil
    protection = try Protection(target, in: context)
    clip = target.clip
    self.source = source
    mediaType = record.mediaType
    renditions = record.renditions
    reason = record.reason
    ingestedMilliseconds = record.ingestedMilliseconds
    thumbnailMilliseconds = asset.thumbnailMilliseconds
  }

  /// - Parameter namesRenditions: whether the answer lists what the site's metadata allow, and so changes with them.
  func info(
    _ kind: AnswerKind, rendition: String?, namesRenditions: Bool = false, in context: ContentContext
  ) -> AnswerInfo {
    AnswerInfo(
      site: context.site.name, kind: kind,
      isImmutable: isPinned && !(namesRenditions && decision != nil)
        && !(kind == .manifest && mostAgeSeconds != nil),
      assetID: assetID, rendition: rendition, mostAgeSeconds: kind == .manifest ? mostAgeSeconds : nil)
  }

  /// Generation, then 64 bits of FNV-1a over the canonical parameters.
  func etag(of resource: AssetResource, in context: ContentContext) -> [UInt8] {
    var parameters =
      "\(PackagerVersion.number) \(context.site.configuration.packaging.segmentMilliseconds) \(isPinned) \(resource.canonicalName)"
    if let protection { parameters += " enc \(protection.name)" }
    if let clip { parameters += " clip \(clip.startMilliseconds)-\(clip.endMilliseconds)" }
    switch resource {
    case .multivariantPlaylist, .mpd:
      for provider in context.site.pipeline.imageSets where clip == nil {
        parameters += " \(provider.identity)"
      }
      if let list = decision?.rights.renditions { parameters += " only \(list.joined(separator: "/"))" }
    default: break
    }
    var hash: UInt64 = 0xcbf2_9ce4_8422_2325
    for byte in parameters.utf8 { hash = (hash ^ UInt64(byte)) &* 0x0000_0100_0000_01b3 }
    let digits = String(hash, radix: 16)
    let padded = String(repeating: "0", count: 16 - digits.count) + digits
    return Array("\(generation.hex)-\(padded)".utf8)
  }

  /// What is put in front of children of a playlist or MPD at the asset's own level, or at that of a clip, so that they
  /// name this generation: empty where the URL does already.
  var childPrefix: String {
    isPinned ? "" : "\(clip == nil ? "" : "../../")g/\(generation.hex)/\(protectionName)\(clipName)"
  }

  /// The same for children of the rendition, from a playlist beside them.
  func childPrefix(rendition: String) -> String {
    isPinned ? "" : "\(root)g/\(generation.hex)/\(protectionName)\(clipName)\(rendition)/"
  }

  /// The content key, from a playlist beside the children of a rendition.
  var keyReference: String {
    isPinned ? "\(root)key" : "\(root)g/\(generation.hex)/\(protectionName)key"
  }

  /// From a rendition up to the asset, to its generation, or to where that is encrypted.
  private var root: String { clip == nil ? "../" : "../../../" }

  private var protectionName: String { protection.map { "enc/\($0.name)/" } ?? "" }

  private var clipName: String {
    clip.map { "clip/\($0.startMilliseconds)-\($0.endMilliseconds)/" } ?? ""
  }

  /// Whether only text is asked for.
  func isSubtitle(_ resource: AssetResource) -> Bool {
    guard case .rendition(let name, _) = resource else { return false }
    return renditions.contains { $0.name == name && $0.kind == .subtitle }
  }

  func record(_ rendition: String) throws(Problem) -> RenditionRecord {
    guard let record = renditions.first(where: { $0.name == rendition }) else { throw .notFound }
    return record
  }

  /// The track behind a rendition of picture or sound, in the index that the wanted part needs.
  func track(_ rendition: String, in context: ContentContext) throws(Problem) -> IndexedTrack {
    let record = try record(rendition)
    guard record.hasIndex else { throw .notFound }
    let loaded = try context.index(of: record.blob, clip: clip)
    guard record.trackIndex < loaded.index.tracks.count else { throw .damaged }
    return IndexedTrack(
      loaded: loaded, number: Int(record.trackIndex), blob: record.blob, rendition: rendition)
  }

  /// - Parameter listsKeyFrames: false where only how the asset is cut is asked for: the lists are read from the sidecar.
  ///   Every manifest needs them, for the target duration that all share.
  func presentation(
    in context: ContentContext, listsKeyFrames: Bool = true
  ) throws(Problem) -> Presentation {
    try Self.presentation(
      of: renditions, isClipped: clip != nil, listsKeyFrames: listsKeyFrames
    ) { (record) throws(Problem) in
      try track(record.name, in: context)
    }
  }

  /// - Parameter track: the track behind a rendition of picture or sound.
  static func presentation(
    of renditions: [RenditionRecord], isClipped: Bool = false, listsKeyFrames: Bool = true,
    track: (RenditionRecord) throws(Problem) -> IndexedTrack
  ) throws(Problem) -> Presentation {
    var list: [PresentationRendition] = []
    var subtitles: [PresentationSubtitle] = []
    var durationMilliseconds: UInt64 = 0
    for record in renditions {
      switch record.kind {
      case .video, .audio:
        let indexed = try track(record)
        guard !indexed.segments.isEmpty else { continue }
        durationMilliseconds = max(durationMilliseconds, indexed.loaded.index.durationMilliseconds)
        var rendition = PresentationRendition(
          name: record.name, track: indexed.track, segments: indexed.segments)
        rendition.label = record.label
        if let language = record.language { rendition.track.language = language }
        if listsKeyFrames { rendition.keyFrames = try indexed.keyFrames() }
        list.append(rendition)
      case .subtitle where !isClipped:
        subtitles.append(
          PresentationSubtitle(
            name: record.name, language: record.language ?? "und", label: record.label ?? "",
            isForced: record.isForced))
      case .subtitle, .file: continue
      }
    }
    guard !list.isEmpty else { throw .notFound }
    var presentation = Presentation(renditions: list, durationMilliseconds: durationMilliseconds)
    presentation.subtitles = subtitles
    return presentation
  }

  /// The blob that is the rendition as one file, and its media type.
  ///
  /// A blob may hold several renditions. It is the file of the first picture in it; sound beside a picture has no file
  /// of its own. `source` is the source where that is an MP4, packaged or not, else the MP4 made of it.
  func progressiveFile(_ name: String) throws(Problem) -> (blob: BlobID, mediaType: String) {
    try Self.progressiveFile(name, source: source, mediaType: mediaType, renditions: renditions)
  }

  static func progressiveFile(
    _ name: String, source: BlobID, mediaType: String, renditions: [RenditionRecord]
  ) throws(Problem) -> (blob: BlobID, mediaType: String) {
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

// What the site's metadata allow.
extension Edition {
  /// - Throws: `.notFound` for a rendition with pictures that may not be had.
  func requireRight(to name: String) throws(Problem) {
    guard let rights = decision?.rights, !rights.allows(name) else { return }
    let hasPicture = renditions.first { $0.name == name }.map { $0.kind == .video } ?? true
    if hasPicture { throw .notFound }
  }

  /// What manifests may list of a presentation.
  ///
  /// - Throws: where it has pictures, and none of them may be had.
  func permitted(_ presentation: Presentation) throws(Problem) -> Presentation {
    guard let rights = decision?.rights, rights.renditions != nil else { return presentation }
    var permitted = presentation
    permitted.renditions.removeAll { $0.track.kind == .video && !rights.allows($0.name) }
    let hadPicture = presentation.renditions.contains { $0.track.kind == .video }
    guard !hadPicture || permitted.renditions.contains(where: { $0.track.kind == .video }) else {
      throw Problem(
        status: 403, code: "no-rendition-allowed", title: "No rendition allowed",
        detail: "None of the renditions of this video may be delivered.")
    }
    return permitted
  }

  func validUntilSeconds(of resource: AssetResource) -> Int64? {
    guard let decision else { return validUntilSeconds }
    var until = validUntilSeconds ?? .max
    if resource.namesRenditions { until = min(until, decision.freshUntilSeconds) }
    if mostAgeSeconds != nil, resource.isManifest { until = min(until, nowSeconds + 1) }
    return until == .max ? nil : until
  }
}

/// One track of a blob, with the index that holds it.
struct IndexedTrack {
  let loaded: LoadedIndex
  let number: Int
  let blob: BlobID
  let rendition: String

  var track: Track { loaded.index.tracks[number] }
  var segments: [Segment] { loaded.index.segments[number] }
  var firstDecodeTicks: UInt64 { loaded.firstDecodeTicks(track: number) }

  func samples(segment: Int) throws(Problem) -> [Sample] {
    try loaded.samples(track: number, segment: segment)
  }

  func keyFrames() throws(Problem) -> [KeyFrame] { try loaded.keyFrames(track: number) }
}
