import Packaging

/// The media type under which `/v/{id}/source` serves what was ingested, told from its bytes.
enum SourceMediaType {
  static func of(_ movie: Movie) -> String {
    if movie.majorBrand == FourCC("qt  ") { return "video/quicktime" }
    return movie.tracks.contains { $0.track.kind == .video } ? "video/mp4" : "audio/mp4"
  }

  /// For what is kept without being packaged.
  static func of(_ kind: MediaKind) -> String {
    switch kind {
    case .progressiveMP4, .fragmentedMP4: "video/mp4"
    case .matroska: "video/x-matroska"
    case .mpegTS: "video/mp2t"
    case .otherMedia(let name): others[name] ?? "application/octet-stream"
    case .hlsPlaylist, .mpd, .image, .text, .unknown: "application/octet-stream"
    }
  }

  /// By the names that `MediaProbe` gives.
  private static let others = [
    "Ogg": "application/ogg", "FLAC": "audio/flac", "FLV": "video/x-flv", "WAV": "audio/wav",
    "AVI": "video/x-msvideo", "MP3": "audio/mpeg", "AAC": "audio/aac", "MPEG program stream": "video/mpeg",
  ]
}
