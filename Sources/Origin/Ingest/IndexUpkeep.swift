// Packaging indexes are derived: whatever is lost of them can be made again from the blob beside them. That is also
// how a store moves to a newer form of index: upgrade the program, then `scrub --repair`.

import Packaging
public import Store

/// Checks the packaging index of every asset, and makes unusable ones again.
public struct IndexUpkeep {
  public struct Report: Sendable, Equatable {
    public var checked = 0
    /// Blobs whose index is missing, damaged or of another version.
    public var unusable: [BlobID] = []
    /// Those of them that have a sound index now.
    public var remade: [BlobID] = []

    public init() {}
  }

  private let store: Store

  public init(store: Store) { self.store = store }

  /// Goes through the assets of one site. Blocks: not for loops.
  ///
  /// - Parameters:
  ///   - segmentMilliseconds: the site's segment length, for which indexes are made.
  ///   - repairs: whether to make unusable indexes again.
  /// - Throws: where the catalog can't be read or an index can't be written; a bad index is in the report.
  public func run(site: String, segmentMilliseconds: UInt32, repairs: Bool) throws(StoreError) -> Report {
    var report = Report()
    var seen: Set<BlobID> = []
    var last: String?
    while true {
      let page = try store.read { reader throws(StoreError) in
        try reader.listAssets(site: site, after: last, limit: 500)
      }
      for asset in page {
        for rendition in asset.renditions where rendition.hasIndex && seen.insert(rendition.blob).inserted {
          report.checked += 1
          if try isUsable(rendition.blob, segmentMilliseconds) { continue }
          report.unusable.append(rendition.blob)
          if repairs, try Self.makeIndex(of: rendition.blob, segmentMilliseconds, in: store) {
            report.remade.append(rendition.blob)
          }
        }
      }
      guard page.count == 500, let end = page.last else { return report }
      last = end.id
    }
  }

  private func isUsable(_ blob: BlobID, _ segmentMilliseconds: UInt32) throws(StoreError) -> Bool {
    guard let sidecar = try store.blobs.openSidecar(blob) else { return false }
    do throws(Problem) {
      let loaded = try LoadedIndex(sidecar: sidecar, targetMilliseconds: segmentMilliseconds)
      for track in loaded.index.segments.indices {
        for segment in loaded.index.segments[track].indices {
          _ = try loaded.samples(track: track, segment: segment)
        }
      }
      return true
    } catch {
      return false
    }
  }

  /// Makes the packaging index of a stored blob. Blocks.
  /// - Returns: false for what can't be packaged.
  static func makeIndex(
    of blob: BlobID, _ segmentMilliseconds: UInt32, in store: Store
  ) throws(StoreError) -> Bool {
    let file = try FileBytes(path: store.blobs.path(of: blob))
    guard case .packageable(let movie) = MediaInspector.inspect(file) else { return false }
    let index = PackagingIndex.encode(
      movie, targetMilliseconds: segmentMilliseconds, sourceBytes: file.lengthBytes)
    try store.blobs.writeSidecar(blob, index)
    return true
  }
}
