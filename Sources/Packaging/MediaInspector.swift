/// What ingest should do with a file.
public enum IngestVerdict: Sendable, Equatable {
  /// Package it.
  case packageable(Movie)
  /// Keep it and serve its bytes: sound media that this version cannot package, for this reason.
  case bytesOnly(MediaReason)
  /// Refuse it: no media, or damaged. `MediaError.sourceUnreadable` says nothing about the file: try again.
  case refused(MediaError)
}

/// Decides what ingest does with a file, from its bytes alone.
public enum MediaInspector {
  /// The verdict on a source. Never fails and never traps, whatever the bytes are.
  ///
  /// - Complexity: reads the first kilobytes, the headers of the top-level boxes, `moov` and each `moof`; time linear
  ///   in the size of those.
  public static func inspect(_ source: some ByteSource, limits: MediaLimits = .init()) -> IngestVerdict {
    do throws(MediaError) {
      switch try MediaProbe.kind(of: source, limits: limits) {
      case .progressiveMP4, .fragmentedMP4: return .packageable(try MovieReader.read(source, limits: limits))
      case .matroska: return container("matroska", "Matroska or WebM")
      case .mpegTS: return container("mpegts", "an MPEG transport stream")
      case .otherMedia(let name): return container("container", name)
      case .hlsPlaylist: return notMedia("hls-playlist", "an HLS playlist; upload the media it names")
      case .mpd: return notMedia("mpd", "a DASH manifest; upload the media it names")
      case .image: return notMedia("image", "an image")
      case .text: return notMedia("text", "text")
      case .unknown: return notMedia("unknown", "of no known kind")
      }
    } catch {
      if case .unsupported(let reason) = error { return .bytesOnly(reason) }
      return .refused(error)
    }
  }

  private static func container(_ code: String, _ name: String) -> IngestVerdict {
    .bytesOnly(
      MediaReason(
        code: code,
        message: "The file is \(name); this version packages MP4 and MOV. Remux it to MP4."))
  }

  private static func notMedia(_ code: String, _ what: String) -> IngestVerdict {
    .refused(
      .notMedia(reason: MediaReason(code: code, message: "The file is no audio or video: it is \(what).")))
  }
}
