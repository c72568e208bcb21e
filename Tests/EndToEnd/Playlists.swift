import Foundation
import Support

/// What a test needs of an HLS multivariant playlist: which playlists it names.
struct MultivariantPlaylist {
  let variants: [String]
  let media: [(type: String, uri: String)]
  let iFrames: [String]

  /// - Parameter path: where the playlist was fetched, which relative names start from.
  init(_ text: String, at path: String) throws {
    let lines = text.split(separator: "\n").map(String.init)
    guard lines.first == "#EXTM3U" else { throw SupportError("not a playlist: \(text.prefix(200))") }
    variants = zip(lines, lines.dropFirst()).filter { $0.0.hasPrefix("#EXT-X-STREAM-INF:") }
      .map { resolve($0.1, from: path) }
    media = lines.filter { $0.hasPrefix("#EXT-X-MEDIA:") }.compactMap { line in
      attribute("URI", of: line).map { (attribute("TYPE", of: line) ?? "", resolve($0, from: path)) }
    }
    iFrames = lines.filter { $0.hasPrefix("#EXT-X-I-FRAME-STREAM-INF:") }.compactMap { line in
      attribute("URI", of: line).map { resolve($0, from: path) }
    }
  }

  /// Every media playlist once, in order.
  var playlists: [String] {
    var seen = Set<String>()
    return (variants + media.map(\.uri)).filter { seen.insert($0).inserted }
  }
}

/// What a test needs of an HLS media playlist.
struct MediaPlaylist {
  let initSegment: String?
  let segments: [String]
  let durationsSeconds: [Double]
  let targetDurationSeconds: Int
  let isEnded: Bool

  init(_ text: String, at path: String) throws {
    let lines = text.split(separator: "\n").map(String.init)
    guard lines.first == "#EXTM3U" else { throw SupportError("not a playlist: \(text.prefix(200))") }
    initSegment = lines.first { $0.hasPrefix("#EXT-X-MAP:") }.flatMap { attribute("URI", of: $0) }
      .map { resolve($0, from: path) }
    segments = lines.filter { !$0.hasPrefix("#") }.map { resolve($0, from: path) }
    durationsSeconds = lines.filter { $0.hasPrefix("#EXTINF:") }.compactMap {
      Double($0.dropFirst(8).prefix { $0 != "," })
    }
    targetDurationSeconds =
      lines.first { $0.hasPrefix("#EXT-X-TARGETDURATION:") }.flatMap { Int($0.dropFirst(22)) } ?? 0
    isEnded = lines.contains("#EXT-X-ENDLIST")
  }

  var totalSeconds: Double { durationsSeconds.reduce(0, +) }
}

/// The value of a quoted or plain attribute of a playlist tag.
private func attribute(_ name: String, of line: String) -> String? {
  guard let start = line.range(of: "[:,]\(name)=", options: .regularExpression) else { return nil }
  let rest = line[start.upperBound...]
  return rest.hasPrefix("\"")
    ? String(rest.dropFirst().prefix { $0 != "\"" }) : String(rest.prefix { $0 != "," })
}

/// The path that a relative reference names.
private func resolve(_ reference: String, from path: String) -> String {
  URL(string: reference, relativeTo: URL(string: "http://host\(path)"))?.absoluteURL.path ?? reference
}

/// The playlists and segments of one asset, as a player finds them.
struct Presentation {
  let master: MultivariantPlaylist
  let playlists: [(path: String, playlist: MediaPlaylist)]

  /// - Parameters:
  ///   - manifest: the multivariant playlist of the wanted form.
  ///   - withIFrames: whether I-frame playlists count too.
  init(
    _ server: ServerUnderTest, asset: String, manifest: String = "master.m3u8", withIFrames: Bool = false
  ) throws {
    let path = "/v/\(asset)/\(manifest)"
    let answer = try server.request("GET", path)
    guard answer.status == 200 else { throw SupportError("\(path): \(answer.status) \(answer.text)") }
    master = try MultivariantPlaylist(answer.text, at: path)
    playlists = try (master.playlists + (withIFrames ? master.iFrames : [])).map { child in
      let answer = try server.request("GET", child)
      guard answer.status == 200 else { throw SupportError("\(child): \(answer.status) \(answer.text)") }
      return (child, try MediaPlaylist(answer.text, at: child))
    }
  }

  /// Init segments and media segments of all playlists.
  var children: [String] {
    var seen = Set<String>()
    return playlists.flatMap { [$0.playlist.initSegment].compactMap { $0 } + $0.playlist.segments }
      .filter { seen.insert($0).inserted }
  }

  /// A media segment of the first playlist.
  func segment(_ number: Int) throws -> String {
    guard let segments = playlists.first?.playlist.segments, number < segments.count else {
      throw SupportError("no segment \(number)")
    }
    return segments[number]
  }
}
