import Packaging
import Store

/// One media file in the store, not yet published.
struct StagedMedia {
  /// The blob that renditions point at, and its tracks.
  struct Packaged {
    var blob: BlobID
    var movie: Movie
    /// What the tracks are called, in their order; empty where nothing says so.
    var labels: [String?] = []
  }

  /// The file's name, for messages.
  var name: String
  /// The bytes as they came; nil where they are of no use but to be remuxed.
  var source: StagedBlob?
  /// Media type of those bytes.
  var mediaType: String
  /// Nil where nothing can be packaged; `reason` says why.
  var packaged: Packaged?
  var reason: String?
  var defects: [Defect] = []
  /// Subtitles inside the file.
  var subtitles: [IngestedSubtitle] = []
}

extension Ingest {
  /// Puts a media file into the store, with whatever packaging needs.
  ///
  /// - Parameter keepsSource: store the bytes as they are even where another form of them is packaged.
  func stage(path: String, keepsSource: Bool, progress: Progress?) throws(IngestError) -> StagedMedia {
    let name = String(path.split(separator: "/").last ?? "file")
    let look = try inspect(path, name)
    guard keepsSource || look.demuxer == nil else {
      var media = StagedMedia(name: name, mediaType: look.mediaType)
      try remux(path, look, into: &media)
      return media
    }
    let staged = try storing(name) { () throws(StoreError) in
      try store.blobs.importFile(path, progress: progress)
    }
    let blobPath = store.blobs.path(of: staged.id)
    let stored: Inspection
    do throws(IngestError) { stored = try inspect(blobPath, name) } catch {
      throw IngestError(
        code: "store", message: "\(name): the file changed while it was imported: import it again")
    }
    var media = StagedMedia(name: name, source: staged, mediaType: stored.mediaType)
    if let movie = stored.movie {
      try package(movie, staged, into: &media)
      media.subtitles = IngestedSubtitle.inside(movie, stored.file, defects: &media.defects)
    } else if stored.demuxer != nil {
      try remux(blobPath, stored, into: &media)
    } else {
      media.reason = stored.reason
    }
    return media
  }

  /// What our own reader makes of a file.
  private struct Inspection {
    var file: FileBytes
    var mediaType: String
    var movie: Movie?
    /// The container as libav calls it, where another program has to read it.
    var demuxer: String?
    var reason: String?
  }

  private func inspect(_ path: String, _ name: String) throws(IngestError) -> Inspection {
    let file: FileBytes
    do throws(StoreError) { file = try FileBytes(path: path) } catch {
      throw IngestError(code: "unreadable", message: "\(name): \(error)")
    }
    switch MediaInspector.inspect(file) {
    case .refused(let error):
      throw IngestError(code: "refused", message: "\(name): \(error.message) [\(error.code)]")
    case .packageable(let movie):
      return Inspection(file: file, mediaType: SourceMediaType.of(movie), movie: movie)
    case .bytesOnly(let reason):
      let kind: MediaKind
      do throws(MediaError) { kind = try MediaProbe.kind(of: file) } catch { kind = .unknown }
      return Inspection(
        file: file, mediaType: SourceMediaType.of(kind), demuxer: MediaProcess.demuxer(for: kind),
        reason: reason.message)
    }
  }

  /// Indexes a stored MP4.
  private func package(
    _ movie: Movie, _ blob: StagedBlob, into media: inout StagedMedia
  ) throws(IngestError) {
    try storing(media.name) { () throws(StoreError) in
      let index = PackagingIndex.encode(
        movie, targetMilliseconds: segmentMilliseconds, sourceBytes: blob.sizeBytes)
      try store.blobs.writeSidecar(blob.id, index)
    }
    media.packaged = StagedMedia.Packaged(blob: blob.id, movie: movie)
    media.defects += movie.defects
    media.defects += movie.leftOut.map {
      Defect(code: "track-left-out", message: "track \($0.id) (\($0.codec)): \($0.reason.message)")
    }
  }

  /// Has another program copy the samples of a file, and stores them in our own form.
  ///
  /// A file that the program can't read is kept as bytes, for that reason; one that it calls damaged is refused.
  private func remux(_ path: String, _ look: Inspection, into media: inout StagedMedia) throws(IngestError) {
    guard let demuxer = look.demuxer else { return }
    let temporary = try storing(media.name) { () throws(StoreError) in try store.blobs.makeTemporaryFile() }
    let report: RemuxReport
    do throws(MediaProcessError) {
      report = try findProgram().remux(
        input: look.file.descriptor, inputBytes: look.file.lengthBytes, output: temporary.descriptor,
        demuxer: demuxer)
    } catch {
      if !error.log.isEmpty { notice("\(media.name): \(MediaProcess.programName) wrote: \(error.log)") }
      media.reason = "\(error.message) [\(error.code)]"
      return
    }
    for warning in report.warnings {
      notice("\(MediaProcess.programName): \(warning.message) [\(warning.code)]")
    }
    media.defects += report.notes
    if let failure = report.failure {
      let text = "\(failure.message) [\(failure.code)]"
      switch failure.kind {
      case .damaged: throw IngestError(code: "refused", message: "\(media.name): \(text)")
      case .environment: throw IngestError(code: "media-program", message: "\(media.name): \(text)")
      case .unsupported: media.reason = text
      }
      return
    }
    media.subtitles = IngestedSubtitle.inside(report, defects: &media.defects)
    let output: FileBytes
    do throws(StoreError) { output = try FileBytes(path: temporary.path) } catch {
      throw IngestError(code: "store", message: "\(media.name): \(error)")
    }
    switch MediaInspector.inspect(output) {
    case .refused(let error): media.reason = "\(error.message) [\(error.code)]"
    case .bytesOnly(let reason): media.reason = "\(reason.message) [\(reason.code)]"
    case .packageable(let movie):
      let staged = try write(ProgressiveFile(movie), from: output, media.name)
      guard let stored = try inspect(store.blobs.path(of: staged.id), media.name).movie else {
        throw IngestError(code: "store", message: "\(media.name): what was written can't be read back")
      }
      try package(stored, staged, into: &media)
      if report.kept.count == stored.tracks.count {
        media.packaged?.labels = report.kept.map { $0.title.flatMap(Self.label) }
      }
    }
  }

  /// One line of at most 128 characters; nil where nothing is left.
  private static func label(_ title: String) -> String? {
    let kept = title.unicodeScalars.filter { $0.value >= 0x20 && $0.value != 0x7F }.prefix(128)
    return kept.contains { $0 != " " } ? String(String.UnicodeScalarView(kept)) : nil
  }

  /// Stores a progressive file, its samples copied from `source`.
  private func write(
    _ file: ProgressiveFile, from source: FileBytes, _ name: String
  ) throws(IngestError) -> StagedBlob {
    try storing(name) { () throws(StoreError) in
      let writer = try store.blobs.makeWriter()
      try writer.write(file.head)
      let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 20, alignment: 16)
      defer { buffer.deallocate() }
      var filled = 0
      for slice in file.slices {
        var offset = slice.offset
        while offset < slice.offset + slice.count {
          let count = Int(min(UInt64(buffer.count - filled), slice.offset + slice.count - offset))
          let part = UnsafeMutableRawBufferPointer(rebasing: buffer[filled..<filled + count])
          guard try source.file.read(at: offset, into: part) == count else {
            throw StoreError(.io, operation: "remux", message: "the temporary file became shorter: try again")
          }
          offset += UInt64(count)
          filled += count
          if filled == buffer.count {
            try writer.write(UnsafeRawBufferPointer(buffer))
            filled = 0
          }
        }
      }
      try writer.write(UnsafeRawBufferPointer(rebasing: buffer[..<filled]))
      return try writer.finish()
    }
  }
}

extension RemuxReport {
  /// What the program noticed, and what it left out, as defects.
  fileprivate var notes: [Defect] {
    defects.map { Defect(code: $0.code, message: $0.message) }
      + leftOut.map {
        Defect(
          code: "track-left-out", message: "track \($0.streamIndex) (\($0.codecName)): \($0.reason.message)")
      }
  }
}

/// A file as the packaging module reads it.
final class FileBytes: ByteSource {
  let file: BlobFile
  var lengthBytes: UInt64 { file.sizeBytes }
  var descriptor: Int32 { file.descriptor }

  init(path: String) throws(StoreError) { file = try BlobFile(path: path) }
  init(_ file: BlobFile) { self.file = file }

  func read(at offset: UInt64, into buffer: UnsafeMutableRawBufferPointer) throws(MediaError) -> Int {
    do throws(StoreError) { return try file.read(at: offset, into: buffer) } catch {
      throw Self.unreadable(error)
    }
  }

  /// Slices shorter than this are copied out of the mapping; longer ones are worth a call each, which maps no pages.
  private static let longestGatheredBytes: UInt64 = 8 << 10

  func gather(_ slices: [BlobSlice], into buffer: UnsafeMutableRawBufferPointer) throws(MediaError) -> Int {
    let mean = slices.isEmpty ? 0 : UInt64(buffer.count) / UInt64(slices.count)
    let isInside = slices.allSatisfy { $0.offset <= lengthBytes && $0.count <= lengthBytes - $0.offset }
    guard slices.count > 1, mean < Self.longestGatheredBytes, isInside else {
      return try gatherEach(slices, into: buffer)
    }
    do throws(StoreError) {
      try file.gather(
        slices.map { BlobFile.Piece(offset: $0.offset, count: Int($0.count)) }, into: buffer)
      return buffer.count
    } catch {
      throw Self.unreadable(error)
    }
  }

  private static func unreadable(_ error: StoreError) -> MediaError {
    .sourceUnreadable(
      reason: MediaReason(code: "unreadable", message: "The file can't be read: \(error.message)."))
  }
}
