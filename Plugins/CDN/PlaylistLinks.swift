/// What an HLS playlist names, as far as warming needs it (RFC 8216bis §4.4).
struct PlaylistLinks: Equatable, Sendable {
  struct Variant: Equatable, Sendable {
    var uri: String
    /// Of its pictures; nil where the playlist does not say it.
    var height: Int?
  }

  var variants: [Variant] = []
  /// Playlists of sound and subtitles beside the variants.
  var media: [String] = []
  /// Init segments, each once.
  var maps: [String] = []
  var segments: [String] = []

  /// - Parameter text: of the playlist; what is not known is passed over.
  init(_ text: [UInt8]) {
    var stream: String?
    for raw in text.split(separator: 0x0A) {
      let line = String(decoding: raw.last == 0x0D ? raw.dropLast() : raw, as: UTF8.self)
      if line.hasPrefix("#EXT-X-STREAM-INF:") {
        stream = line
      } else if line.hasPrefix("#EXT-X-MEDIA:") {
        if let uri = Self.attribute("URI", of: line) { media.append(uri) }
      } else if line.hasPrefix("#EXT-X-MAP:") {
        if let uri = Self.attribute("URI", of: line), !maps.contains(uri) { maps.append(uri) }
      } else if !line.hasPrefix("#"), !line.isEmpty {
        if let tag = stream {
          let size = Self.attribute("RESOLUTION", of: tag)?.split(separator: "x") ?? []
          variants.append(Variant(uri: line, height: size.count == 2 ? Int(size[1]) : nil))
          stream = nil
        } else {
          segments.append(line)
        }
      }
    }
  }

  /// The value of an attribute, without its quotes. Commas inside of quotes are part of a value.
  private static func attribute(_ name: String, of line: String) -> String? {
    var rest = line.drop { $0 != ":" }.dropFirst()
    while !rest.isEmpty {
      let key = rest.prefix { $0 != "=" }
      rest = rest.dropFirst(key.count + 1)
      let value: Substring
      if rest.first == "\"" {
        value = rest.dropFirst().prefix { $0 != "\"" }
        rest = rest.dropFirst(value.count + 2)
      } else {
        value = rest.prefix { $0 != "," }
        rest = rest.dropFirst(value.count)
      }
      if rest.first == "," { rest = rest.dropFirst() }
      if key == name { return String(value) }
    }
    return nil
  }
}
