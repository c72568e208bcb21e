// Ingest: files become an asset.
//
//   inspect    our own readers look at each file as it lies there: what is no media, or no subtitles, is refused before
//              a byte is copied, and nothing is left behind.
//   stage      the source is copied to incoming/, hashed on the way, synced, renamed to its digest. The stored bytes are
//              inspected again, since the file could have changed meanwhile.
//   remux      MP4 and MOV are packaged as they are. Of any other container `headwater-media` copies the samples into a
//              temporary MP4; read by our reader, they are written in our own form as a second blob (`ProgressiveFile`).
//   index      sample tables become the packaging index, synced beside the blob that is packaged.
//   publish    one transaction writes blobs, generation, asset and event.
//
// Success is said after the last step. A crash before it leaves at most orphan blobs or temporary files, which no URL
// reaches and gc takes away. What can't be packaged is kept and served as bytes, with the reason; what could be
// packaged in part has the rest in its defects.
//
// An asset is what its last import named. Renditions and subtitles join one that exists by a draft made from its
// record; where another import came between, the draft is made again from the newer record.

import Packaging
public import Store

/// Why files did not become an asset, or part of one. Nothing that is served has changed.
public struct IngestError: Error, Sendable, CustomStringConvertible {
  /// Stable: `unreadable`, `refused`, `store`, `media-program`, `no-asset`, `no-video`, `rendition-kind`,
  /// `subtitle-refused`.
  public var code: String
  public var message: String
  public var description: String { message }
}

/// Takes files into a site's catalog. Synchronous; use it from a worker or a command, never on a loop.
public struct Ingest {
  public typealias Progress = (_ copiedBytes: UInt64, _ totalBytes: UInt64) -> Void

  let store: Store
  let site: String
  let segmentMilliseconds: UInt32
  /// Takes what an operator should know of the machine: a line at a time, not about the file.
  public var notice: (String) -> Void = { _ in }
  /// Where the program for other containers comes from.
  var findProgram: () throws(MediaProcessError) -> MediaProcess = MediaProcess.find

  /// - Parameter segmentMilliseconds: the site's segment length, for which the index is cut.
  public init(store: Store, site: String, segmentMilliseconds: UInt32) {
    self.store = store
    self.site = site
    self.segmentMilliseconds = segmentMilliseconds
  }

  /// Whether a rendition may be given this name: 1 to 32 of `A-Z a-z 0-9 _ -`, and none that means something else.
  public static func isRenditionName(_ name: String) -> Bool { RenditionNames.isValid(name) }

  /// Imports one media file as an asset, or as a new generation of an asset that exists.
  ///
  /// - Parameters:
  ///   - id: the asset's id, valid by `AssetID.isValid`; nil makes one.
  ///   - title: nil keeps the title there is, or takes the file's name without its extension.
  ///   - subtitles: files that join those inside the media; one of a language takes the place of the first inside.
  ///   - progress: called with bytes copied and bytes in all.
  /// - Returns: the asset as it is now in the catalog; its `reason` says why it can't be packaged.
  public func importFile(
    path: String, id: String?, title: String?, subtitles: [SidecarSubtitle] = [], progress: Progress? = nil
  ) throws(IngestError) -> AssetRecord {
    let sidecars = try subtitles.map { sidecar throws(IngestError) in try sidecar.read() }
    let media = try stage(path: path, keepsSource: true, progress: progress)
    guard let source = media.source else {
      throw IngestError(code: "store", message: "\(media.name): the source was not kept")
    }
    let texts = try storeSubtitles(media.subtitles, media.name)
    let sidecarRecords = try storeSubtitles(sidecars, media.name)
    let renditions = sidecarRecords.reduce(
      RenditionNames.records(of: media.packaged) + RenditionNames.numbered(texts)
    ) { RenditionNames.adding(subtitle: $1, to: $0) }
    let id = id ?? AssetID.make()
    let plainName = media.name.lastIndex(of: ".").map { String(media.name[..<$0]) } ?? media.name
    return try storing(media.name) { () throws(StoreError) in
      let isKnown =
        try store.read { reader throws(StoreError) in try reader.asset(site: site, id: id) } != nil
      return try store.publishAsset(
        AssetDraft(
          site: site, id: id, title: title ?? (isKnown ? nil : plainName), status: .ready, source: source.id,
          sourceName: media.name, mediaType: media.mediaType, renditions: renditions, reason: media.reason,
          defects: (media.defects + sidecars.flatMap(\.defects)).map(\.description)))
    }
  }

  /// Adds one encoding to an asset, or puts it in the place of the rendition that has its name.
  ///
  /// The file's first video track becomes the rendition. Its sound is used where the asset has none. A file without
  /// picture becomes a rendition of sound. The source of the asset stays what it is.
  public func addRendition(
    _ name: String, path: String, to id: String, subtitles: [SidecarSubtitle] = [], progress: Progress? = nil
  ) throws(IngestError) -> AssetRecord {
    _ = try asset(id)
    let sidecars = try subtitles.map { sidecar throws(IngestError) in try sidecar.read() }
    let media = try stage(path: path, keepsSource: false, progress: progress)
    guard media.packaged != nil else {
      throw IngestError(
        code: "refused",
        message: "\(media.name): it can't be a rendition: \(media.reason ?? "it has no track to package")")
    }
    let texts = try storeSubtitles(sidecars, media.name)
    return try revise(id) { draft throws(IngestError) in
      try RenditionNames.add(name, of: media, to: &draft)
      draft.renditions = texts.reduce(draft.renditions) { RenditionNames.adding(subtitle: $1, to: $0) }
    }
  }

  /// Adds subtitles to an asset; one of a language takes the place of the one there is.
  public func addSubtitles(_ subtitles: [SidecarSubtitle], to id: String) throws(IngestError) -> AssetRecord {
    _ = try asset(id)
    let sidecars = try subtitles.map { sidecar throws(IngestError) in try sidecar.read() }
    let texts = try storeSubtitles(sidecars, id)
    return try revise(id) { draft in
      draft.renditions = texts.reduce(draft.renditions) { RenditionNames.adding(subtitle: $1, to: $0) }
    }
  }

  private func asset(_ id: String) throws(IngestError) -> AssetRecord {
    let found = try storing(id) { () throws(StoreError) in
      try store.read { reader throws(StoreError) in try reader.asset(site: site, id: id) }
    }
    guard let found, found.source != nil else {
      throw IngestError(
        code: "no-asset",
        message: "site \(site) has no asset \(id) with a source: import that first, then add to it")
    }
    return found
  }

  /// Publishes a change of the asset's newest record, and says anew how its renditions go together.
  private func revise(
    _ id: String, _ change: (inout AssetDraft) throws(IngestError) -> Void
  ) throws(IngestError) -> AssetRecord {
    var conflict: StoreError?
    // Each turn lost means that another import to the same asset was published in between.
    for _ in 0..<16 {
      let record = try asset(id)
      var draft = AssetDraft(
        site: site, id: id, status: record.status, source: record.source, sourceName: record.sourceName,
        mediaType: record.mediaType, renditions: record.renditions, reason: record.reason,
        defects: record.defects)
      try change(&draft)
      draft.defects = try defects(of: draft)
      do throws(StoreError) {
        return try store.publishAsset(draft, ifUpdatedMilliseconds: record.updatedMilliseconds)
      } catch {
        guard error.code == .conflict else { throw IngestError(code: "store", message: "\(id): \(error)") }
        conflict = error
      }
    }
    throw IngestError(code: "store", message: "\(id): \(conflict.map { "\($0)" } ?? "conflict")")
  }

  /// The defects of a draft with those that compare renditions made anew.
  private func defects(of draft: AssetDraft) throws(IngestError) -> [String] {
    var renditions: [PresentationRendition] = []
    let videos = draft.renditions.filter { $0.kind == .video }
    // Tracks of one file were compared when it was read.
    for record in videos where record == videos[0] || record.blob != videos[0].blob {
      let sidecar = try storing(record.name) { () throws(StoreError) in
        try store.blobs.openSidecar(record.blob)
      }
      let loaded: LoadedIndex
      do throws(Problem) {
        guard let sidecar else { throw .damaged }
        loaded = try LoadedIndex(sidecar: sidecar, targetMilliseconds: segmentMilliseconds)
      } catch {
        throw IngestError(
          code: "store",
          message: "rendition \(record.name) has no sound packaging index: run scrub --repair, then try again"
        )
      }
      let track = Int(record.trackIndex)
      guard loaded.index.tracks.indices.contains(track) else { continue }
      renditions.append(
        PresentationRendition(
          name: record.name, track: loaded.index.tracks[track], segments: loaded.index.segments[track]))
    }
    let others = draft.defects.filter { line in
      !RenditionAgreement.codes.contains { line.hasPrefix("\($0): Renditions ") }
    }
    return others + RenditionAgreement.defects(renditions).map(\.description)
  }

  /// What the store refuses, as an error about the file of this name.
  func storing<Value>(
    _ name: String, _ body: () throws(StoreError) -> Value
  ) throws(IngestError) -> Value {
    do throws(StoreError) { return try body() } catch {
      throw IngestError(code: "store", message: "\(name): \(error)")
    }
  }
}
