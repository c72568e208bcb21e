// What plugins see of an asset's media: which generation a path means, its renditions, and the samples of its pictures.

public import Packaging
public import Store

/// One generation of an asset, as a path names it, with what is in it.
public struct AssetMedia: Sendable {
  public let assetID: String
  public let generation: Generation
  /// The path names the generation: what is answered never changes.
  public let isPinned: Bool
  public let ingestedMilliseconds: Int64
  /// What the poster is to show, by the asset's metadata; nil where they do not say.
  public let thumbnailMilliseconds: UInt64?
  /// When a replaced generation stops being served.
  public let validUntilSeconds: Int64?
  /// What is put in front of names beside the path, so that they name this generation; empty where the path does.
  public let childPrefix: String
  /// Renditions with their tracks, segments and key frames, and the length of all.
  public let presentation: Presentation
  private let tracks: [String: IndexedTrack]

  fileprivate init(_ edition: Edition, in context: ContentContext) throws(Problem) {
    assetID = edition.assetID
    generation = edition.generation
    isPinned = edition.isPinned
    ingestedMilliseconds = edition.ingestedMilliseconds
    thumbnailMilliseconds = edition.thumbnailMilliseconds
    validUntilSeconds = edition.validUntilSeconds
    childPrefix = edition.childPrefix
    presentation = try edition.presentation(in: context)
    var tracks: [String: IndexedTrack] = [:]
    for rendition in presentation.renditions where rendition.track.kind == .video {
      tracks[rendition.name] = try edition.track(rendition.name, in: context)
    }
    self.tracks = tracks
  }

  /// The newest generation of an asset, read from the store: for jobs. Blocks on the disk.
  ///
  /// - Parameter segmentMilliseconds: the site's, as `PluginHost` has it.
  /// - Returns: nil where the asset is gone, has nothing that is packaged, or is being removed.
  /// - Throws: `.damaged`.
  public static func newest(
    of id: String, site: String, in store: Store, segmentMilliseconds: UInt32
  ) throws(Problem) -> AssetMedia? {
    let record: AssetRecord?
    do throws(StoreError) {
      record = try store.read { reader throws(StoreError) in try reader.asset(site: site, id: id) }
    } catch { throw Problem(error) }
    guard let record, let generation = record.generation, record.renditions.contains(where: \.hasIndex) else {
      return nil
    }
    return try AssetMedia(record, generation, store, segmentMilliseconds)
  }

  private init(
    _ asset: AssetRecord, _ generation: Generation, _ store: Store, _ segmentMilliseconds: UInt32
  ) throws(Problem) {
    assetID = asset.id
    self.generation = generation
    isPinned = false
    ingestedMilliseconds = asset.updatedMilliseconds
    thumbnailMilliseconds = asset.thumbnailMilliseconds
    validUntilSeconds = nil
    childPrefix = "g/\(generation.hex)/"
    var loaded: [BlobID: LoadedIndex] = [:]
    var tracks: [String: IndexedTrack] = [:]
    presentation = try Edition.presentation(
      of: asset.renditions.filter { $0.hasIndex || $0.kind == .subtitle }
    ) { (record) throws(Problem) in
      let index: LoadedIndex
      if let known = loaded[record.blob] {
        index = known
      } else {
        index = try LoadedIndex(of: record.blob, in: store, segmentMilliseconds)
        loaded[record.blob] = index
      }
      guard record.trackIndex < index.index.tracks.count else { throw .damaged }
      let indexed = IndexedTrack(
        loaded: index, number: Int(record.trackIndex), blob: record.blob, rendition: record.name)
      if record.kind == .video { tracks[record.name] = indexed }
      return indexed
    }
    self.tracks = tracks
  }

  /// The blob of a picture rendition.
  public func blob(of rendition: String) -> BlobID? { tracks[rendition]?.blob }

  /// The samples that lead to the picture shown at an instant: from one that needs no other up to it, in decoding order.
  ///
  /// Reads the sidecar: not on a loop.
  /// - Parameters:
  ///   - ticks: of the track, on the presentation's clock.
  ///   - mostSamples: how far the last independent picture may lie back.
  /// - Returns: nil where it lies further back.
  /// - Throws: `.notFound` for an instant at which the rendition shows nothing; `.damaged`.
  public func samples(
    of rendition: String, shownAt ticks: UInt64, mostSamples: Int
  ) throws(Problem) -> [Sample]? {
    guard let indexed = tracks[rendition],
      let number = indexed.segments.lastIndex(where: { $0.startTicks <= ticks }),
      let end = indexed.segments.last, ticks < end.startTicks + end.durationTicks
    else { throw .notFound }
    let shift = indexed.track.presentationShiftTicks
    func shown(_ sample: Sample) -> Int64 {
      Int64(clamping: sample.decodeTicks) &+ Int64(sample.compositionOffsetTicks) &+ shift
    }
    var samples = try indexed.samples(segment: number)
    var first = number
    let wanted = Int64(clamping: ticks)
    while true {
      let candidates = samples.indices.filter { shown(samples[$0]) <= wanted && samples[$0].sizeBytes > 0 }
      if let last = candidates.max(by: { shown(samples[$0]) < shown(samples[$1]) }) {
        // A picture in front of the key frame it is decoded after needs the group before, too.
        let start = samples[...last].lastIndex { $0.isSync && shown($0) <= shown(samples[last]) }
        if let start {
          return last - start < mostSamples ? Array(samples[start...last]) : nil
        }
      }
      guard samples.count < mostSamples else { return nil }
      guard first > 0 else {
        // Nothing before it can be decoded: the first picture that can.
        guard let start = samples.firstIndex(where: { $0.isSync && $0.sizeBytes > 0 }) else {
          throw .notFound
        }
        return [samples[start]]
      }
      first -= 1
      samples = try indexed.samples(segment: first) + samples
    }
  }

  /// When a sample of the rendition is shown, in ticks.
  public func shownTicks(_ sample: Sample, of rendition: String) -> Int64 {
    Int64(clamping: sample.decodeTicks) &+ Int64(sample.compositionOffsetTicks)
      &+ (tracks[rendition]?.track.presentationShiftTicks ?? 0)
  }
}

/// What asking for an asset's media comes to.
public enum MediaLookup {
  case media(AssetMedia)
  /// To be answered: something must be read or awaited first.
  case wait(ContentOutcome)
}

extension ContentContext {
  /// The media of the asset that a target names, if its packaging indexes are in memory.
  ///
  /// - Throws: `.notFound`; `.assetPrivate` without a token; 422 with the reason where the media can't be packaged.
  public func media(of target: AssetTarget) throws(Problem) -> MediaLookup {
    if let missing = try missingElsewhere(of: target.id) { return .wait(missing) }
    let edition = try Edition(target, in: self)
    if let reason = edition.reason { throw .unpackageable(reason) }
    for record in edition.renditions where record.hasIndex {
      let cold = try coldIndexPart(
        of: record.blob, track: Int(record.trackIndex), segment: nil, clip: target.clip)
      if let cold { return .wait(cold) }
    }
    return .media(try AssetMedia(edition, in: self))
  }

  /// What names of children end with in text that `manifest` answers with: nothing, or the mark in whose place each
  /// viewer's token comes.
  public var tokenMark: String { childSuffix }

  /// An answer that names other URLs of the asset, each followed by `tokenMark`: a viewer with a scoped token gets it in
  /// all of them.
  public func manifest(
    _ info: AnswerInfo, contentType: String, etag: [UInt8], lastModifiedMilliseconds: Int64, bytes: [UInt8],
    validUntilSeconds: Int64? = nil
  ) -> Representation {
    let template = childSuffix.isEmpty ? nil : ManifestTemplate(marked: bytes, isXML: false)
    return representation(
      info, contentType: contentType, etag: etag, lastModifiedMilliseconds: lastModifiedMilliseconds,
      slices: [.bytes(template?.bytes ?? bytes)], template: template, validUntilSeconds: validUntilSeconds)
  }
}
