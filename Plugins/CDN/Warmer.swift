// Fetches the beginning of an asset into an edge
//
// It asks as a player does: the multivariant playlist, the media playlists that it names, then init segments and the first segments
// of each. So it fetches exactly what viewers will ask for, in their spelling, whatever the site's packaging and encryption.
// Where the site wants tokens it brings one for the whole asset; that warms viewers only at a CDN that leaves tokens
// out of its cache key. Bodies are thrown away as they come.

import Loop
import Net
import Origin
import Store

/// Why an asset was not warmed.
struct WarmingError: Error, Equatable {
  var message: String
  /// Trying again will not help.
  var isFinal = false
}

struct Warmer: Sendable {
  let edge: Edge
  let config: CDNConfig
  let client: HTTPClient
  let host: PluginHost
  let measures: EdgeMeasures

  static let mostSegmentBytes = 1 << 30
  static let mostPlaylistBytes = 8 << 20
  static let segmentTimeoutMilliseconds: UInt64 = 60_000
  /// Heights of the pictures that most viewers get.
  static let usualHeights: Set<Int> = [720, 1080]
  private static let urlsPerCall = 100

  /// Fetches what a task names. An asset that is not there any more, or can't be played, is nothing to be fetched.
  func warm(_ task: EdgeTask) async throws(WarmingError) {
    let record: AssetRecord?
    do {
      record = try await host.workers.run { [host] in
        try host.store.read { (reader) throws(StoreError) in try reader.asset(site: host.site, id: task.name)
        }
      }
    } catch { throw WarmingError(message: "\(error)") }
    guard let record, record.generation != nil, record.reason == nil, !record.renditions.isEmpty else {
      return
    }
    func path(_ name: String) throws(WarmingError) -> String {
      guard let path = ViewerURL.path("/v/\(record.id)/\(name)", of: record, host) else {
        throw WarmingError(
          message: "the asset needs a token, and the site has no signing key of its own", isFinal: true)
      }
      return path
    }
    let master = try path("master.m3u8")
    let links = PlaylistLinks(try await playlist(master))
    var playlists = Self.chosen(links, isTrend: task.kind == .trend).compactMap {
      ViewerURL.resolve($0, from: master)
    }
    playlists += links.media.compactMap { ViewerURL.resolve($0, from: master) }
    var segments: [String] = []
    var seen: Set<String> = []
    for playlistPath in playlists where seen.insert(playlistPath).inserted {
      let media = PlaylistLinks(try await playlist(playlistPath))
      let count = task.kind == .trend ? (media.segments.count + 1) / 2 : config.prefetchSegments
      for uri in media.maps + media.segments.prefix(count) {
        guard let path = ViewerURL.resolve(uri, from: playlistPath), !segments.contains(path) else {
          continue
        }
        segments.append(path)
      }
    }
    if task.kind == .warm { _ = try await playlist(try path("manifest.mpd")) }
    if edge.prefetchCall != nil { try await hand(over: segments) } else { try await fetch(segments) }
  }

  /// The playlists whose segments are wanted.
  static func chosen(_ links: PlaylistLinks, isTrend: Bool) -> [String] {
    var variants = links.variants
    if isTrend {
      let usual = variants.filter { $0.height.map(usualHeights.contains) ?? false }
      let best = variants.max { ($0.height ?? 0) < ($1.height ?? 0) }
      variants = usual.isEmpty ? best.map { [$0] } ?? [] : usual
    }
    var uris: [String] = []
    for variant in variants where !uris.contains(variant.uri) { uris.append(variant.uri) }
    return uris
  }

  private func playlist(_ path: String) async throws(WarmingError) -> [UInt8] {
    var request = edge.viewerRequest(path)
    request.mostResponseBytes = Self.mostPlaylistBytes
    return try await body(of: request)
  }

  private func body(of request: HTTPRequest) async throws(WarmingError) -> [UInt8] {
    let response: HTTPResponse
    do throws(HTTPClientError) { response = try await client.response(to: request) } catch {
      throw WarmingError(message: "\(error)", isFinal: !error.isTransient)
    }
    guard response.status == 200 else {
      throw WarmingError(
        message: "the edge answers \(response.status)",
        isFinal: response.status == 401 || response.status == 403)
    }
    measures.update(edge.name) {
      $0.warmed += 1
      $0.warmedBytes += UInt64(response.bodyBytes)
    }
    return response.body
  }

  private func fetch(_ paths: [String]) async throws(WarmingError) {
    var problem: WarmingError?
    await withTaskGroup(of: WarmingError?.self) { group in
      for (number, path) in paths.enumerated() {
        if number >= config.prefetchConcurrency, let ended = await group.next(), let ended { problem = ended }
        // One that fails is a sign: the rest would burden an edge or an origin that is in trouble.
        if problem != nil || Task.isCancelled { break }
        var request = edge.viewerRequest(path)
        request.keepsBody = false
        request.mostResponseBytes = Self.mostSegmentBytes
        request.timeoutMilliseconds = Self.segmentTimeoutMilliseconds
        let made = request
        group.addTask {
          do throws(WarmingError) {
            _ = try await body(of: made)
            return nil
          } catch { return error }
        }
      }
      for await ended in group { if let ended { problem = problem ?? ended } }
    }
    if let problem { throw problem }
  }

  /// Names the rest to the service, which fetches it itself.
  private func hand(over paths: [String]) async throws(WarmingError) {
    guard let template = edge.prefetchCall, let vendor = edge.vendor as? GenericVendor else { return }
    for start in stride(from: 0, to: paths.count, by: Self.urlsPerCall) {
      let part = Array(paths[start..<min(start + Self.urlsPerCall, paths.count)])
      var request = vendor.request(
        template, lists: ["paths": part, "urls": part.flatMap { edge.site.urls($0) }, "tags": []])
      request.timeoutMilliseconds = edge.timeoutMilliseconds
      do throws(HTTPClientError) {
        let response = try await client.response(to: request)
        guard (200..<300).contains(response.status) else {
          throw HTTPClientError(.other, origin: edge.name, detail: "it answers \(response.status)")
        }
      } catch { throw WarmingError(message: "\(error)", isFinal: !error.isTransient) }
    }
  }
}
