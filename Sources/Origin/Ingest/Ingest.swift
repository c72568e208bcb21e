// Ingest: a file becomes an asset.
//
//   inspect    our own reader looks at the file as it lies there: what is no media is refused before a
//              byte is copied, and nothing is left behind.
//   stage      the bytes are copied to incoming/, hashed on the way, synced, renamed to their digest.
//   index      the stored bytes are read again (the file could have changed meanwhile), their sample
//              tables become the packaging index, and that is synced beside the blob.
//   publish    one transaction writes blob, generation, asset and event.
//
// Success is said after the last step. A crash before it leaves at most an orphan blob or a temporary
// file, which no URL reaches and gc takes away.

import Glibc
import Packaging
public import Store

/// Why a file did not become an asset. Nothing is left behind.
public struct IngestError: Error, Sendable, CustomStringConvertible {
  /// Stable: `unreadable`, `refused`, `store`.
  public var code: String
  public var message: String
  public var description: String { message }
}

/// Takes files into a site's catalog. Synchronous; use it from a worker or a command, never on a loop.
public struct Ingest {
  let store: Store
  let site: String
  let segmentMilliseconds: UInt32

  /// - Parameter segmentMilliseconds: the site's segment length, for which the index is cut.
  public init(store: Store, site: String, segmentMilliseconds: UInt32) {
    self.store = store
    self.site = site
    self.segmentMilliseconds = segmentMilliseconds
  }

  /// Imports one media file as an asset, or as a new generation of an asset that exists.
  ///
  /// - Parameters:
  ///   - id: the asset's id, valid by `AssetID.isValid`; nil makes one.
  ///   - title: nil keeps the title there is, or takes the file's name without its extension.
  ///   - progress: called with bytes copied and bytes in all.
  /// - Returns: the asset as it is now in the catalog; its `reason` says why it can't be packaged.
  public func importFile(
    path: String, id: String?, title: String?,
    progress: ((_ copiedBytes: UInt64, _ totalBytes: UInt64) -> Void)? = nil
  ) throws(IngestError) -> AssetRecord {
    let name = String(path.split(separator: "/").last ?? "file")
    _ = try inspect(path, name)
    do throws(StoreError) {
      let staged = try store.blobs.importFile(path, progress: progress)
      let blobPath = store.blobs.path(of: staged.id)
      let content: Content
      do throws(IngestError) { content = try inspect(blobPath, name) } catch {
        throw StoreError(
          .conflict, operation: "import",
          message: "the file changed while it was imported (\(error.message)): import it again")
      }
      if let movie = content.movie {
        let index = PackagingIndex.encode(
          movie, targetMilliseconds: segmentMilliseconds, sourceBytes: staged.sizeBytes)
        try store.blobs.writeSidecar(staged.id, index)
      }
      let id = id ?? AssetID.make()
      let isKnown =
        try store.read { reader throws(StoreError) in try reader.asset(site: site, id: id) } != nil
      let plainName = name.lastIndex(of: ".").map { String(name[..<$0]) } ?? name
      return try store.publishAsset(
        AssetDraft(
          site: site, id: id, title: title ?? (isKnown ? nil : plainName), status: .ready, source: staged.id,
          sourceName: name, mediaType: content.mediaType, renditions: content.renditions(staged.id),
          reason: content.reason, defects: content.defects))
    } catch {
      throw IngestError(code: "store", message: "\(name): \(error)")
    }
  }

  private func inspect(_ path: String, _ name: String) throws(IngestError) -> Content {
    let file: FileBytes
    do throws(StoreError) { file = try FileBytes(path: path) } catch {
      throw IngestError(code: "unreadable", message: "\(name): \(error)")
    }
    switch MediaInspector.inspect(file) {
    case .refused(let error):
      throw IngestError(code: "refused", message: "\(name): \(error.message) [\(error.code)]")
    case .bytesOnly(let reason):
      return Content(movie: nil, mediaType: SourceMediaType.of(file), reason: reason.message, defects: [])
    case .packageable(let movie):
      return Content(
        movie: movie, mediaType: SourceMediaType.of(movie), reason: nil,
        defects: movie.defects.map { "\($0.code): \($0.message)" }
          + movie.leftOut.map { "track-left-out: track \($0.id) (\($0.codec)): \($0.reason.message)" })
    }
  }
}

/// What inspection found in a file.
private struct Content {
  let movie: Movie?
  let mediaType: String
  let reason: String?
  let defects: [String]

  /// The first picture is `source`, the first sound `audio`; further tracks get a number from 2.
  func renditions(_ blob: BlobID) -> [RenditionRecord] {
    guard let movie else { return [] }
    var videoCount = 0
    var audioCount = 0
    var records: [RenditionRecord] = []
    for (index, track) in movie.tracks.enumerated() {
      switch track.track.kind {
      case .video:
        videoCount += 1
        let name = videoCount == 1 ? "source" : "source-\(videoCount)"
        records.append(RenditionRecord(name: name, kind: .video, blob: blob, trackIndex: UInt32(index)))
      case .audio:
        audioCount += 1
        let name = audioCount == 1 ? "audio" : "audio-\(audioCount)"
        records.append(RenditionRecord(name: name, kind: .audio, blob: blob, trackIndex: UInt32(index)))
      case .subtitle, .other:
        continue
      }
    }
    return records.sorted { $0.kind == .video && $1.kind != .video }
  }
}

/// A file as the packaging module reads it.
final class FileBytes: ByteSource {
  private let file: BlobFile
  var lengthBytes: UInt64 { file.sizeBytes }

  init(path: String) throws(StoreError) { file = try BlobFile(path: path) }

  func read(at offset: UInt64, into buffer: UnsafeMutableRawBufferPointer) throws(MediaError) -> Int {
    do throws(StoreError) { return try file.read(at: offset, into: buffer) } catch {
      throw .sourceUnreadable(
        reason: MediaReason(code: "unreadable", message: "The file can't be read: \(error.message)."))
    }
  }
}
