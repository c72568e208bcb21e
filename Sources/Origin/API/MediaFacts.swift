import Packaging
import Store
import Synchronization

/// What the API tells about blobs: facts of immutable bytes, kept once they are known.
final class MediaFacts: Sendable {
  struct Blob: Sendable {
    let sizeBytes: UInt64
    /// Nil for what is not packaged.
    let durationMilliseconds: UInt64?
    let tracks: [Track]
  }

  struct Track: Sendable {
    let codec: String
    let language: String?
    /// As it is shown; 0 for what has no picture.
    let widthPixels: UInt32
    let heightPixels: UInt32
    let channelCount: UInt16
    let durationMilliseconds: UInt64
    let totalBytes: UInt64

    init(_ track: Packaging.Track) {
      codec = track.codecString
      language = track.language == "und" ? nil : track.language
      widthPixels = track.displayWidthPixels
      heightPixels = track.displayHeightPixels
      channelCount = track.channelCount
      let (product, overflow) = track.durationTicks.multipliedReportingOverflow(by: 1000)
      durationMilliseconds = overflow || track.timescale == 0 ? 0 : product / UInt64(track.timescale)
      totalBytes = track.totalBytes
    }

    /// Of the average second.
    var bitsPerSecond: UInt64 {
      let (bits, overflow) = totalBytes.multipliedReportingOverflow(by: 8000)
      return overflow || durationMilliseconds == 0 ? 0 : bits / durationMilliseconds
    }
  }

  private let known = Mutex(RecentTable<BlobID, Blob>(limit: 16_384))

  /// Whether `facts` answers from memory.
  func isKnown(_ id: BlobID, isPackaged: Bool) -> Bool {
    known.withLock { table in table[id].map { !isPackaged || $0.durationMilliseconds != nil } ?? false }
  }

  /// Blocks on the disk the first time: for workers.
  ///
  /// - Parameter isPackaged: whether the blob has a packaging index.
  /// - Returns: nil for a blob that is not there, or whose index can't be read: scrub tells of both.
  func facts(of id: BlobID, isPackaged: Bool, in store: Store) -> Blob? {
    if let found = known.withLock({ $0[id] }), !isPackaged || found.durationMilliseconds != nil {
      return found
    }
    guard let size = try? store.blobs.sizeBytes(of: id) else { return nil }
    var made = Blob(sizeBytes: size, durationMilliseconds: nil, tracks: [])
    if isPackaged {
      guard let sidecar = try? store.blobs.openSidecar(id), let index = Self.index(in: sidecar) else {
        return made
      }
      made = Blob(
        sizeBytes: size, durationMilliseconds: index.durationMilliseconds,
        tracks: index.tracks.map { Track($0) })
    }
    let facts = made
    known.withLock { $0[id] = facts }
    return facts
  }

  private static func index(in sidecar: BlobFile) -> PackagingIndex? {
    guard let header = try? sidecar.read(offset: 0, count: PackagingIndex.headerBytes),
      let count = try? PackagingIndex.residentBytes(header: header.span),
      let resident = try? sidecar.read(offset: 0, count: count)
    else { return nil }
    return try? PackagingIndex(resident: resident.span)
  }
}
