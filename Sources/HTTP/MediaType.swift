/// Media types by file extension, for the objects of the web and of streaming.
public enum MediaType {
  /// What a name without a known extension gets.
  public static let unknown: StaticString = "application/octet-stream"

  /// The media type for the extension of the last segment of `path`, in any case.
  ///
  /// A name that only begins with a dot has no extension. O(bytes of the extension), no allocation.
  public static func forPath(_ path: Span<UInt8>) -> StaticString {
    var start = path.count
    while start > 0, path[start - 1] != ASCII.period {
      start -= 1
      guard path[start] != ASCII.slash, path.count - start <= 7 else { return unknown }
    }
    guard start > 1, path[start - 2] != ASCII.slash else { return unknown }
    var key = emptyKey
    for index in start..<path.count { key = key &<< 8 | UInt64(ASCII.lowercase(path[index])) }
    return byExtension[key] ?? unknown
  }

  /// The key of no characters: a 1 that moves ahead of them, so that different lengths never share a key.
  private static let emptyKey: UInt64 = 1

  /// Keyed by the extension as a big-endian number behind that 1.
  private static let byExtension: [UInt64: StaticString] = {
    var types: [UInt64: StaticString] = [:]
    for (name, type) in table {
      let key = name.withUTF8Buffer { $0.reduce(emptyKey) { $0 &<< 8 | UInt64($1) } }
      precondition(types.updateValue(type, forKey: key) == nil, "an extension is listed twice")
    }
    return types
  }()

  /// Extensions of at most seven characters, in lower case.
  private static let table: [(StaticString, StaticString)] = [
    // Manifests
    ("m3u8", "application/vnd.apple.mpegurl"),
    ("m3u", "audio/mpegurl"),
    ("mpd", "application/dash+xml"),
    ("ism", "application/vnd.ms-sstr+xml"),
    ("smil", "application/smil+xml"),
    // Segments
    ("m4s", "video/iso.segment"),
    ("cmfv", "video/mp4"),
    ("cmfa", "audio/mp4"),
    ("cmft", "application/mp4"),
    ("cmfm", "application/mp4"),
    ("ts", "video/mp2t"),
    ("m2ts", "video/mp2t"),
    ("mts", "video/mp2t"),
    // Video
    ("mp4", "video/mp4"),
    ("m4v", "video/mp4"),
    ("f4v", "video/mp4"),
    ("mov", "video/quicktime"),
    ("webm", "video/webm"),
    ("mkv", "video/matroska"),
    ("ogv", "video/ogg"),
    ("avi", "video/vnd.avi"),
    ("mpg", "video/mpeg"),
    ("mpeg", "video/mpeg"),
    ("3gp", "video/3gpp"),
    ("3g2", "video/3gpp2"),
    ("flv", "video/x-flv"),
    ("wmv", "video/x-ms-wmv"),
    ("mxf", "application/mxf"),
    // Audio
    ("m4a", "audio/mp4"),
    ("m4b", "audio/mp4"),
    ("mp3", "audio/mpeg"),
    ("aac", "audio/aac"),
    ("ac3", "audio/ac3"),
    ("ec3", "audio/eac3"),
    ("oga", "audio/ogg"),
    ("ogg", "audio/ogg"),
    ("opus", "audio/ogg"),
    ("flac", "audio/flac"),
    ("wav", "audio/wav"),
    ("weba", "audio/webm"),
    ("mka", "audio/matroska"),
    // Text tracks
    ("vtt", "text/vtt"),
    ("srt", "application/x-subrip"),
    ("ttml", "application/ttml+xml"),
    ("dfxp", "application/ttml+xml"),
    // Images
    ("jpg", "image/jpeg"),
    ("jpeg", "image/jpeg"),
    ("png", "image/png"),
    ("webp", "image/webp"),
    ("avif", "image/avif"),
    ("gif", "image/gif"),
    ("svg", "image/svg+xml"),
    ("ico", "image/vnd.microsoft.icon"),
    ("bmp", "image/bmp"),
    ("tif", "image/tiff"),
    ("tiff", "image/tiff"),
    ("heic", "image/heic"),
    ("heif", "image/heif"),
    ("jxl", "image/jxl"),
    // The web
    ("html", "text/html; charset=utf-8"),
    ("htm", "text/html; charset=utf-8"),
    ("css", "text/css; charset=utf-8"),
    ("js", "text/javascript; charset=utf-8"),
    ("mjs", "text/javascript; charset=utf-8"),
    ("json", "application/json"),
    ("map", "application/json"),
    ("jsonld", "application/ld+json"),
    ("wasm", "application/wasm"),
    ("xml", "application/xml"),
    ("txt", "text/plain; charset=utf-8"),
    ("log", "text/plain; charset=utf-8"),
    ("md", "text/markdown; charset=utf-8"),
    ("csv", "text/csv; charset=utf-8"),
    ("toml", "application/toml"),
    ("yaml", "application/yaml"),
    ("yml", "application/yaml"),
    ("woff", "font/woff"),
    ("woff2", "font/woff2"),
    ("ttf", "font/ttf"),
    ("otf", "font/otf"),
    // Documents and archives
    ("pdf", "application/pdf"),
    ("zip", "application/zip"),
    ("gz", "application/gzip"),
    ("zst", "application/zstd"),
    ("tar", "application/x-tar"),
  ]
}
