import Packaging

/// The media type under which `/v/{id}/source` serves what was ingested, told from its bytes.
enum SourceMediaType {
  static func of(_ movie: Movie) -> String {
    if movie.majorBrand == FourCC("qt  ") { return "video/quicktime" }
    return movie.tracks.contains { $0.track.kind == .video } ? "video/mp4" : "audio/mp4"
  }

  /// For what is kept without being packaged.
  static func of(_ source: some ByteSource) -> String {
    let kind: MediaKind
    do throws(MediaError) { kind = try MediaProbe.kind(of: source) } catch {
      return "application/octet-stream"
    }
    switch kind {
    case .progressiveMP4, .fragmentedMP4: return "video/mp4"
    case .matroska: return "video/x-matroska"
    case .mpegTS: return "video/mp2t"
    case .hlsPlaylist, .mpd, .image, .text, .otherMedia, .unknown: return "application/octet-stream"
    }
  }
}
