// What a loop has at hand to make answers: its catalog reader, its open blobs, its decoded indexes.
//
// One per loop thread, never shared. Blobs are immutable, so open files and decoded packaging indexes
// stay valid whatever the catalog does; both tables are bounded and lose their oldest half when full.

import HTTP
import Loop
import Packaging
public import Store

/// The loop's view of the store, handed to content handlers. Valid only during the call.
public final class ContentContext {
  public let store: Store
  let reader: CatalogReader
  /// The site being answered; set for each request.
  public internal(set) var site: Site
  public internal(set) var nowSeconds: Int64 = 0
  /// Whether a handler may answer `.cold`; if not it waits for the disk.
  public internal(set) var mayWait = true
  /// Whether the request being answered brought a valid token.
  var hasToken = false
  /// Whether what is being made may be answered to requests with a valid token alone.
  private(set) var needsToken = false
  /// Sites that share a blob may cut it to different lengths.
  private struct IndexKey: Hashable {
    let blob: BlobID
    let targetMilliseconds: UInt32
    let clip: ClipRange?
  }

  /// Nil where answers are only described.
  let workers: WorkerPool?

  private struct KeyOwner: Hashable {
    let site: String
    let asset: String
  }

  private var keys = RecentTable<KeyOwner, ContentKey>(limit: 1024)
  private var openBlobs = RecentTable<BlobID, BlobFile>(
    limit: min(1024, max(8, DescriptorLimit.current / 16)))
  private var indexes = RecentTable<IndexKey, LoadedIndex>(limit: 256)
  private var subtitleDocuments = RecentTable<BlobID, SubtitleDocument>(limit: 32)

  init(store: Store, site: Site, workers: WorkerPool? = nil) throws(StoreError) {
    self.store = store
    self.workers = workers
    self.site = site
    reader = try store.makeReader()
  }

  /// Turns to another request.
  func begin(_ site: Site, nowSeconds: Int64, mayWait: Bool, hasToken: Bool) {
    self.site = site
    self.nowSeconds = nowSeconds
    self.mayWait = mayWait
    self.hasToken = hasToken
    needsToken = false
  }

  /// Says that what is being made is private: only requests with a valid token get it, now and from the hot table.
  ///
  /// - Throws: `.assetPrivate` where this request has none.
  public func requireToken() throws(Problem) {
    needsToken = true
    guard hasToken else { throw .assetPrivate }
  }

  /// What children of manifests end with: nothing, or the mark of a token that each viewer's copy gets.
  var childSuffix: String { site.signs ? ManifestTemplate.suffix : "" }

  /// Forgets open files, so that blobs that scrub or gc took away are not served from memory.
  func catalogMoved() { openBlobs.removeAll() }

  /// Forgets what followed from the configuration.
  func configurationChanged() { keys.removeAll() }

  /// The content key of an asset of the site, looked up or derived once. Nil where it has none.
  ///
  /// - Throws: 503 where the site's key service has not given it; see `missingElsewhere(of:)`.
  func contentKey(ofAsset id: String) throws(Problem) -> ContentKey? {
    let owner = KeyOwner(site: site.name, asset: id)
    if let known = keys[owner] { return known }
    let encryption = site.configuration.encryption
    let key: ContentKey?
    if encryption.keyURL == nil {
      key = encryption.keys.key(ofAsset: id)
    } else {
      switch site.keyService?.lookup(id) ?? .unknown {
      case .key(let found): key = found
      case .missing: key = nil
      case .unavailable(let seconds): throw .contentKeyUnavailable(retryAfterSeconds: seconds)
      case .unknown: throw .contentKeyUnavailable(retryAfterSeconds: 1)
      }
    }
    if let key { keys[owner] = key }
    return key
  }

  /// What must be waited for before an asset can be answered whose metadata or whose key nobody has asked for yet. Nil for all
  /// others, those that do not exist included.
  func missingElsewhere(of id: String) throws(Problem) -> ContentOutcome? {
    guard mayWait else { return nil }
    var work: (@Sendable () async -> Void)?
    if let provider = site.pipeline.metadata, case .unknown(let load) = provider.metadata(ofVideo: id) {
      work = load
    } else if let service = site.keyService, keys[KeyOwner(site: site.name, asset: id)] == nil,
      case .unknown = service.lookup(id)
    {
      work = { await service.fetch(id) }
    }
    guard let work else { return nil }
    let asset: AssetRecord?
    do throws(StoreError) { asset = try reader.asset(site: site.name, id: id) } catch { throw Problem(error) }
    guard let asset else { return nil }
    if asset.privacy == .private { try requireToken() }
    return .awaiting(work)
  }

  /// The blob, open for reading.
  ///
  /// - Throws: `.damaged` when it is missing or not of the length the index has for it: a damaged blob
  ///   is never served as whole.
  public func blob(_ id: BlobID, sizeBytes: UInt64? = nil) throws(Problem) -> BlobFile {
    if let open = openBlobs[id] { return open }
    do throws(StoreError) {
      let file = try store.blobs.open(id)
      let expected: UInt64? = if let sizeBytes { sizeBytes } else { try reader.blob(id)?.sizeBytes }
      guard expected == file.sizeBytes else {
        throw StoreError(
          .damaged, operation: "open blob", message: "the blob is not as long as it was: run scrub",
          context: id.hex)
      }
      openBlobs[id] = file
      return file
    } catch {
      throw Problem(error)
    }
  }

  /// What ingest noted about an asset's media.
  func defects(ofAsset id: String) throws(Problem) -> [String] {
    do throws(StoreError) { return try reader.asset(site: site.name, id: id)?.defects ?? [] } catch {
      throw Problem(error)
    }
  }

  /// The packaging index of a media blob, cut to the site's segment length.
  ///
  /// - Parameter clip: the part of the asset that is wanted.
  /// - Throws: `.notFound` for a clip behind the end.
  func index(of id: BlobID, clip: ClipRange? = nil) throws(Problem) -> LoadedIndex {
    let key = indexKey(id, clip)
    if let loaded = indexes[key] { return loaded }
    let loaded: LoadedIndex
    if let clip {
      loaded = try LoadedIndex(try index(of: id), clip: clip)
    } else {
      loaded = try LoadedIndex(
        sidecar: LoadedIndex.sidecar(of: id, in: store), targetMilliseconds: key.targetMilliseconds)
    }
    indexes[key] = loaded
    return loaded
  }

  /// A subtitle rendition, parsed: a normalised WebVTT file of some hundred kilobytes at most.
  func subtitles(_ id: BlobID) throws(Problem) -> SubtitleDocument {
    if let known = subtitleDocuments[id] { return known }
    let file = try blob(id)
    do {
      guard file.sizeBytes <= UInt64(SubtitleDocument.largestBytes) else { throw Problem.damaged }
      let bytes = try file.read(offset: 0, count: Int(file.sizeBytes))
      let document = try SubtitleDocument.parse(bytes, format: .webVTT).document
      subtitleDocuments[id] = document
      return document
    } catch {
      throw .damaged("subtitles \(id.hex): \(error)")
    }
  }

  private func indexKey(_ id: BlobID, _ clip: ClipRange? = nil) -> IndexKey {
    IndexKey(
      blob: id, targetMilliseconds: UInt32(site.configuration.packaging.segmentMilliseconds), clip: clip)
  }

  /// What of a packaging index must be read in before `segment` of `track` can be made, or before the index is decoded.
  func coldIndexPart(
    of id: BlobID, track: Int, segment: Int?, clip: ClipRange?
  ) throws(Problem) -> ContentOutcome? {
    guard mayWait else { return nil }
    let sidecar: BlobFile
    var offset: UInt64 = 0
    var count: Int
    if let loaded = indexes[indexKey(id, clip)] {
      // Manifests list key frames.
      let part =
        segment.map { loaded.index.sampleRange(track: track, segment: $0) }
        ?? loaded.index.keyFrameRange(track: track)
      guard let part else { return nil }
      (sidecar, offset, count) = (loaded.sidecar, part.offset, part.count)
    } else {
      // Where a clip's columns lie is known only after the index is decoded; they are all small.
      sidecar = try LoadedIndex.sidecar(of: id, in: store)
      count = Int(min(sidecar.sizeBytes, clip == nil ? UInt64(Self.indexHeadBytes) : 16 << 20))
    }
    return sidecar.isResident(offset: offset, count: count) ? nil : .cold(sidecar, offset, count)
  }

  /// Enough for the resident part of an index of several hours.
  private static let indexHeadBytes = 256 << 10
}

/// A packaging index whose resident part is decoded; sample columns are read when a segment is made.
final class LoadedIndex: Sendable {
  let index: PackagingIndex
  let sidecar: BlobFile

  /// A part of what another index describes.
  init(_ whole: LoadedIndex, clip: ClipRange) throws(Problem) {
    sidecar = whole.sidecar
    let sidecar = sidecar
    let clipped: PackagingIndex?
    do throws(IndexError) {
      clipped = try whole.index.clipped(clip) { offset, count in
        try? sidecar.read(offset: offset, count: count)
      }
    } catch {
      throw .damaged("packaging index: \(error); scrub --repair makes it again")
    }
    guard let clipped else { throw .notFound }
    index = clipped
  }

  /// Opened outside of a loop. Blocks on the disk.
  convenience init(of id: BlobID, in store: Store, _ targetMilliseconds: UInt32) throws(Problem) {
    try self.init(sidecar: Self.sidecar(of: id, in: store), targetMilliseconds: targetMilliseconds)
  }

  static func sidecar(of id: BlobID, in store: Store) throws(Problem) -> BlobFile {
    let sidecar: BlobFile?
    do throws(StoreError) { sidecar = try store.blobs.openSidecar(id) } catch { throw Problem(error) }
    guard let sidecar else {
      throw .damaged("blob \(id.hex) has no packaging index; scrub --repair makes it again")
    }
    return sidecar
  }

  init(sidecar: BlobFile, targetMilliseconds: UInt32) throws(Problem) {
    self.sidecar = sidecar
    do {
      let header = try sidecar.read(offset: 0, count: PackagingIndex.headerBytes)
      let residentBytes = try PackagingIndex.residentBytes(header: header.span)
      let resident = try sidecar.read(offset: 0, count: residentBytes)
      var index = try PackagingIndex(resident: resident.span)
      if index.targetMilliseconds != targetMilliseconds {
        let whole = try sidecar.read(offset: 0, count: Int(sidecar.sizeBytes))
        index = try index.replanned(targetMilliseconds: targetMilliseconds, columns: whole.span)
      }
      self.index = index
    } catch {
      throw .damaged("packaging index: \(error); scrub --repair makes it again")
    }
  }

  /// Decode time of the track's first kept sample, from which init segment and fragments derive their timing.
  func firstDecodeTicks(track: Int) -> UInt64 { index.segments[track].first?.decodeTicks ?? 0 }

  /// The key frames of a track; one read of the sidecar, empty without key frames.
  func keyFrames(track: Int) throws(Problem) -> [KeyFrame] {
    guard let range = index.keyFrameRange(track: track) else { return [] }
    do {
      let bytes = try sidecar.read(offset: range.offset, count: range.count)
      return try index.keyFrames(track: track, in: bytes.span)
    } catch {
      throw .damaged("packaging index: \(error); scrub --repair makes it again")
    }
  }

  /// The samples of one segment; one read of the sidecar.
  func samples(track: Int, segment: Int) throws(Problem) -> [Sample] {
    guard let range = index.sampleRange(track: track, segment: segment) else { throw .notFound }
    do {
      let bytes = try sidecar.read(offset: range.offset, count: range.count)
      return try index.samples(track: track, segment: segment, in: bytes.span)
    } catch {
      throw .damaged("packaging index: \(error); scrub --repair makes it again")
    }
  }
}

/// A dictionary of limited size that forgets what was used longest ago.
struct RecentTable<Key: Hashable, Value> {
  private var values: [Key: (value: Value, lastUse: UInt64)] = [:]
  private var clock: UInt64 = 0
  let limit: Int

  init(limit: Int) { self.limit = limit }

  subscript(key: Key) -> Value? {
    mutating get {
      guard let index = values.index(forKey: key) else { return nil }
      clock += 1
      values.values[index].lastUse = clock
      return values.values[index].value
    }
    set {
      clock += 1
      guard let newValue else {
        values[key] = nil
        return
      }
      if values.count >= limit, values[key] == nil { dropOldest() }
      values[key] = (newValue, clock)
    }
  }

  mutating func removeAll() { values.removeAll(keepingCapacity: true) }

  private mutating func dropOldest() {
    let uses = values.values.map(\.lastUse).sorted()
    guard let middle = uses.isEmpty ? nil : uses[uses.count / 2] else { return }
    values = values.filter { $0.value.lastUse > middle }
  }
}
