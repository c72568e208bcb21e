// What it costs to make answers from a media file: the same functions as in service, on one core, CPU time.

import Glibc
import Packaging
import Store

/// Part of `make bench`: times packaging over one file, apart from sockets and clients.
public enum PackagingBenchmark {
  public struct Figures: Sendable, Equatable {
    public var filmSeconds: Double
    /// Bytes of the packaging index for an hour of the film.
    public var indexBytesPerHour: Double
    /// Reading the sample tables and making the index, and hashing the file, in milliseconds.
    public var indexMilliseconds: Double
    public var hashMilliseconds: Double
    /// One media playlist of the picture; the multivariant playlist; the MPD.
    public var playlistMicroseconds: Double
    public var multivariantMicroseconds: Double
    public var mpdMicroseconds: Double
    /// Head and slices of a fragmented MP4 segment of the picture, samples read from the index.
    public var fragmentMicroseconds: Double
    /// Transport stream segments, picture and sound together, the reading of the file included.
    public var transportMicrosecondsPerMegabyte: Double
    /// The same of the sound alone; 0 without one.
    public var soundTransportMicrosecondsPerMegabyte: Double
    /// Encrypted fragmented MP4 segments of picture and of sound, by scheme, and transport streams under AES-128, reading
    /// and all: rows of what and microseconds for a megabyte.
    public var encryption: [Encrypted]

    public struct Encrypted: Sendable, Equatable {
      public var name: String
      public var microsecondsPerMegabyte: Double
    }
  }

  /// - Parameter path: an MP4 with a picture.
  /// - Throws: `IngestError` for files that are not packaged as they are.
  public static func run(path: String, segmentMilliseconds: UInt32) throws(IngestError) -> Figures {
    let file: FileBytes
    do throws(StoreError) { file = try FileBytes(path: path) } catch {
      throw IngestError(code: "unreadable", message: "\(path): \(error)")
    }
    var sidecar: [UInt8] = []
    let indexSeconds = try time(1) { () throws(IngestError) in
      guard case .packageable(let movie) = MediaInspector.inspect(file) else {
        throw IngestError(code: "refused", message: "\(path) is not packaged as it is")
      }
      sidecar = PackagingIndex.encode(
        movie, targetMilliseconds: segmentMilliseconds, sourceBytes: file.lengthBytes)
    }
    let hashSeconds = try time(1) { () throws(IngestError) in try hash(file, path) }
    do {
      let index = try PackagingIndex(resident: sidecar.span)
      return try Film(file: file, index: index, sidecar: sidecar).figures(indexSeconds, hashSeconds)
    } catch let error as IngestError {
      throw error
    } catch {
      throw IngestError(code: "refused", message: "\(path): \(error)")
    }
  }

  private static func hash(_ file: FileBytes, _ path: String) throws(IngestError) {
    do {
      var hasher = try SHA256Hasher()
      let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 20, alignment: 16)
      defer { buffer.deallocate() }
      var offset: UInt64 = 0
      while true {
        let count = try file.read(at: offset, into: buffer)
        if count == 0 { break }
        hasher.update(UnsafeRawBufferPointer(rebasing: buffer[..<count]))
        offset += UInt64(count)
      }
      _ = hasher.finish()
    } catch {
      throw IngestError(code: "unreadable", message: "\(path): \(error)")
    }
  }

  /// CPU time of the process for one round, in seconds.
  private static func time<Failure: Error>(
    _ rounds: Int, _ body: () throws(Failure) -> Void
  ) throws(Failure) -> Double {
    let started = cpuSeconds()
    for _ in 0..<rounds { try body() }
    return (cpuSeconds() - started) / Double(max(1, rounds))
  }

  private static func cpuSeconds() -> Double {
    var now = timespec()
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now)
    return Double(now.tv_sec) + Double(now.tv_nsec) / 1e9
  }

  private struct Film {
    let file: FileBytes
    let index: PackagingIndex
    let sidecar: [UInt8]
    let presentation: Presentation

    init(file: FileBytes, index: PackagingIndex, sidecar: [UInt8]) throws {
      self.file = file
      self.index = index
      self.sidecar = sidecar
      var presentation = try index.presentation(sidecar: sidecar.span)
      presentation.renditions.sort { $0.track.kind == .video && $1.track.kind != .video }
      self.presentation = presentation
    }

    func figures(_ indexSeconds: Double, _ hashSeconds: Double) throws -> Figures {
      guard let picture = presentation.renditions.first else {
        throw IngestError(code: "refused", message: "the file has nothing to package")
      }
      let target = presentation.targetDurationSeconds
      let playlist = time(200) {
        _ = MediaPlaylist.bytes(
          track: picture.track, segments: picture.segments, uriPrefix: "", targetDurationSeconds: target)
      }
      let multivariant = time(50) { _ = MultivariantPlaylist.bytes(presentation, uriPrefix: "g/0/") }
      let mpd = time(50) { _ = MPD.bytes(presentation, baseURL: "g/0/") }
      let track = index.tracks.firstIndex(of: picture.track) ?? 0
      let fragment = try time(5) {
        for segment in picture.segments.indices {
          _ = MediaSegment.make(
            track: picture.track, sequenceNumber: 1, samples: try samples(track, segment))
        }
      }
      let seconds = Double(index.durationMilliseconds) / 1000
      return Figures(
        filmSeconds: seconds, indexBytesPerHour: Double(sidecar.count) * 3600 / max(seconds, 0.001),
        indexMilliseconds: indexSeconds * 1e3, hashMilliseconds: hashSeconds * 1e3,
        playlistMicroseconds: playlist * 1e6, multivariantMicroseconds: multivariant * 1e6,
        mpdMicroseconds: mpd * 1e6,
        fragmentMicroseconds: fragment * 1e6 / Double(max(1, picture.segments.count)),
        transportMicrosecondsPerMegabyte: try transport(
          [picture] + [presentation.muxedSound(of: picture)].compactMap { $0 }),
        soundTransportMicrosecondsPerMegabyte: try sound.map { try transport([$0]) } ?? 0,
        encryption: try encryption(of: [picture] + [sound].compactMap { $0 }))
    }

    private var sound: PresentationRendition? { presentation.renditions.first { $0.track.kind == .audio } }

    private func number(of rendition: PresentationRendition) -> Int {
      index.tracks.firstIndex(of: rendition.track) ?? 0
    }

    private func samples(_ track: Int, _ segment: Int) throws -> [Sample] {
      try index.samples(track: track, segment: segment, sidecar: sidecar.span)
    }

    /// Of the first rendition's segments, with what the others have at the same time.
    private func transport(_ renditions: [PresentationRendition], key: ContentKey? = nil) throws -> Double {
      guard let first = renditions.first, first.track.codec.isInTransportStream else { return 0 }
      let streams = try renditions.map { (number(of: $0), try TransportStream($0.track)) }
      return try microsecondsPerMegabyte(first) { segment in
        let parts = try streams.map { try TransportSegment.Part(stream: $1, samples: samples($0, segment)) }
        let made = try TransportSegment(parts, sequenceNumber: UInt64(segment)).bytes(reading: file)
        guard let key, let iv = key.iv else { return made.count }
        return SegmentCipher.encrypt(made, iv: iv, cipher: OpenSSLCipher(key)).count
      }
    }

    private func encryption(of renditions: [PresentationRendition]) throws -> [Figures.Encrypted] {
      let bytes = [UInt8](repeating: 7, count: 16)
      guard let key = ContentKey(id: bytes, key: bytes, iv: bytes) else { return [] }
      var rows: [Figures.Encrypted] = []
      for rendition in renditions {
        for scheme in [ProtectionScheme.cbcs, .cenc] {
          let protected: ProtectedTrack
          do {
            protected = try ProtectedTrack(track: rendition.track, scheme: scheme, key: key, vectorBase: 1)
          } catch {
            continue  // a coding that this scheme does not take
          }
          let spent = try microsecondsPerMegabyte(rendition) { segment in
            Int(
              try protected.segment(
                sequenceNumber: 1, samples: samples(number(of: rendition), segment), firstSampleIndex: 0,
                reading: file, cipher: OpenSSLCipher(key)
              ).totalBytes)
          }
          rows.append(
            Figures.Encrypted(
              name: "\(scheme) segment of \(rendition.track.kind)", microsecondsPerMegabyte: spent))
        }
        rows.append(
          Figures.Encrypted(
            name: "aes-128 transport stream of \(rendition.track.kind)",
            microsecondsPerMegabyte: try transport([rendition], key: key)))
      }
      return rows
    }

    private func microsecondsPerMegabyte(
      _ rendition: PresentationRendition, _ make: (Int) throws -> Int
    ) throws -> Double {
      let rounds = 5
      // What is set up once in a process is not part of it.
      if !rendition.segments.isEmpty { _ = try make(0) }
      var bytes = 0
      let seconds = try time(rounds) {
        for segment in rendition.segments.indices { bytes += try make(segment) }
      }
      return seconds * 1e6 / (Double(max(1, bytes)) / Double(rounds) / 1e6)
    }
  }
}
