// A video as the API shows it. Its member names are part of the interface: docs/openapi.yaml, `Video`.

import HTTP
import Packaging
public import Store

struct VideoResource {
  let asset: AssetRecord
  /// What the site's own systems say about it; nil for a site without, and in lists.
  var metadata: Metadata?

  /// What of a site's metadata is shown.
  enum Metadata: Equatable {
    case known(VideoFacts)
    case absent
    case unavailable

    init(_ lookup: MetadataLookup) {
      switch lookup {
      case .known(let facts?, _): self = .known(facts)
      case .known(nil, _): self = .absent
      case .unknown, .unavailable: self = .unavailable
      }
    }

    var mark: String {
      switch self {
      case .known(let facts): facts.digest
      case .absent: "0"
      case .unavailable: "x"
      }
    }
  }

  /// With what is known of the site's metadata now, without asking for it.
  init(asset: AssetRecord, site: Site? = nil) {
    self.asset = asset
    metadata = site?.pipeline.metadata.map { Metadata($0.metadata(ofVideo: asset.id)) }
  }

  /// Strong: the record's last change, which grows with every change, its making, its views, which are none, and what the site's
  /// metadata are. All else in the answer follows from immutable blobs.
  var etag: [UInt8] {
    let etag = Self.etag(of: asset)
    guard let metadata else { return etag }
    return etag.dropLast() + Array(".\(metadata.mark)\"".utf8)
  }

  /// Tags of a list as they are without the part that the site's metadata add.
  static func withoutMetadata(_ tags: [UInt8]) -> [UInt8] {
    var result: [UInt8] = []
    var isLeftOut = false
    for byte in tags {
      if byte == UInt8(ascii: ".") { isLeftOut = true }
      if byte == UInt8(ascii: "\"") || byte == UInt8(ascii: ",") { isLeftOut = false }
      if !isLeftOut { result.append(byte) }
    }
    return result
  }

  static func etag(of asset: AssetRecord) -> [UInt8] {
    let updated = String(UInt64(bitPattern: asset.updatedMilliseconds), radix: 16)
    let created = String(UInt64(bitPattern: asset.createdMilliseconds), radix: 16)
    let views = asset.views == 0 ? "" : "-" + String(asset.views, radix: 16)
    return Array("\"\(updated)-\(created)\(views)\"".utf8)
  }

  /// The blobs that the answer tells about, and whether they are packaged.
  private var blobs: [(id: BlobID, isPackaged: Bool)] {
    let sourceIsPackaged = asset.renditions.contains { $0.blob == asset.source && $0.hasIndex }
    return (asset.source.map { [($0, sourceIsPackaged)] } ?? [])
      + asset.renditions.map { ($0.blob, $0.hasIndex) }
  }

  /// Whether `write` needs nothing from the disk.
  func isAtHand(_ facts: MediaFacts) -> Bool {
    blobs.allSatisfy { facts.isKnown($0.id, isPackaged: $0.isPackaged) }
  }

  /// Blocks on the disk.
  func read(_ facts: MediaFacts, _ store: Store) {
    for blob in blobs { _ = facts.facts(of: blob.id, isPackaged: blob.isPackaged, in: store) }
  }

  /// Blocks on the disk for what is not known yet.
  func write(to json: inout JSONWriter, _ facts: MediaFacts, _ store: Store) {
    let sourceIsPackaged = asset.renditions.contains { $0.blob == asset.source && $0.hasIndex }
    let source = asset.source.flatMap { facts.facts(of: $0, isPackaged: sourceIsPackaged, in: store) }
    let renditions = asset.renditions.map { record in
      (record, facts.facts(of: record.blob, isPackaged: record.hasIndex, in: store))
    }
    let durationMilliseconds = renditions.compactMap { $0.1?.durationMilliseconds }.max()
    json.object { json in
      json.members(of: asset)
      json.member("created_at", AccessRecord.iso8601(asset.createdMilliseconds))
      json.member("updated_at", AccessRecord.iso8601(asset.updatedMilliseconds))
      json.member("views", asset.views)
      json.member("generation", asset.generation?.hex)
      json.key("duration_seconds")
      if let durationMilliseconds { json.value(thousandths: durationMilliseconds) } else { json.null() }
      json.key("source")
      if let blob = asset.source {
        json.object { json in
          json.member("name", asset.sourceName)
          json.member("media_type", asset.mediaType)
          json.key("size_bytes")
          if let source { json.value(source.sizeBytes) } else { json.null() }
          json.member("blob", blob.hex)
        }
      } else {
        json.null()
      }
      json.member("packageable", isPackageable)
      json.member("reason", asset.reason)
      json.member("defects", asset.defects)
      json.key("renditions")
      json.array(renditions) { json, rendition in write(rendition.0, rendition.1, to: &json) }
      json.key("urls")
      writeURLs(to: &json)
      if let metadata {
        json.key("metadata")
        if case .known(let facts) = metadata { json.value(json: facts.json) } else { json.null() }
        json.member("metadata_available", metadata != .unavailable)
      }
    }
  }

  private var isPackageable: Bool { asset.reason == nil && asset.renditions.contains { $0.hasIndex } }

  private func write(_ record: RenditionRecord, _ blob: MediaFacts.Blob?, to json: inout JSONWriter) {
    let number = Int(record.trackIndex)
    let track = blob.flatMap { $0.tracks.indices.contains(number) ? $0.tracks[number] : nil }
    json.object { json in
      json.member("name", record.name)
      json.member("kind", "\(record.kind)")
      json.member("codec", track?.codec)
      if let track, track.widthPixels > 0 {
        json.member("width", track.widthPixels)
        json.member("height", track.heightPixels)
      }
      if let track, track.channelCount > 0 { json.member("channels", track.channelCount) }
      json.member("language", record.language ?? track?.language)
      json.member("label", record.label)
      if record.kind == .subtitle { json.member("forced", record.isForced) }
      if let track {
        json.key("duration_seconds")
        json.value(thousandths: track.durationMilliseconds)
        json.member("bits_per_second", track.bitsPerSecond)
      }
      json.member("blob", record.blob.hex)
      json.key("size_bytes")
      if let blob { json.value(blob.sizeBytes) } else { json.null() }
      json.key("urls")
      json.object { json in
        if record.hasIndex, isPackageable { json.member("hls", path("\(record.name)/playlist.m3u8")) }
        if record.kind == .subtitle { json.member("vtt", path("\(record.name).vtt")) }
        if hasProgressiveForm(record.name) { json.member("progressive", path("\(record.name).mp4")) }
      }
    }
  }

  /// Paths on the site's hosts, of which there may be many.
  private func writeURLs(to json: inout JSONWriter) {
    json.object { json in
      if isPackageable {
        json.member("hls", path("master.m3u8"))
        json.member("dash", path("manifest.mpd"))
      }
      if asset.source != nil {
        json.member("source", path("source"))
        json.member("stream", "\(VideosAPI.path)/\(asset.id)/stream")
      }
    }
  }

  private func path(_ name: String) -> String {
    let bytes = PercentEncoding.encode(path: Array("/v/\(asset.id)/\(name)".utf8).span)
    return String(decoding: bytes, as: UTF8.self)
  }

  private func hasProgressiveForm(_ name: String) -> Bool {
    guard let source = asset.source else { return false }
    return
      (try? Edition.progressiveFile(
        name, source: source, mediaType: asset.mediaType, renditions: asset.renditions)) != nil
  }

  /// The path of the best file to play as it is: the largest picture; of several the first that is not the source, which
  /// may be anything. Sound where there is no picture, and the source where nothing is packaged.
  static func bestProgressivePath(of asset: AssetRecord, in context: ContentContext) throws(Problem) -> String
  {
    guard let source = asset.source else { throw .notFound }
    var best: (name: String, rank: (UInt64, Int))?
    for record in asset.renditions where record.hasIndex && asset.reason == nil {
      let form = try? Edition.progressiveFile(
        record.name, source: source, mediaType: asset.mediaType, renditions: asset.renditions)
      guard form != nil, let loaded = try? context.index(of: record.blob),
        loaded.index.tracks.indices.contains(Int(record.trackIndex))
      else { continue }
      let track = loaded.index.tracks[Int(record.trackIndex)]
      let pixels = UInt64(track.displayWidthPixels) * UInt64(track.displayHeightPixels)
      let rank = (pixels, record.name == "source" ? 0 : 1)
      if let best, best.rank >= rank { continue }
      best = (record.name, rank)
    }
    guard let best else { return "/v/\(asset.id)/source" }
    let bytes = PercentEncoding.encode(path: Array("/v/\(asset.id)/\(best.name).mp4".utf8).span)
    return String(decoding: bytes, as: UTF8.self)
  }
}

extension JSONWriter {
  /// What people say about a video, and how it stands, as the API names it: the first members of its object.
  public mutating func members(of asset: AssetRecord) {
    member("video_id", asset.id)
    member("title", asset.title)
    member("description", asset.description)
    member("tags", asset.tags)
    member("privacy", "\(asset.privacy)")
    member("status", "\(asset.status)")
    key("thumbnail_time")
    if let time = asset.thumbnailMilliseconds { value(thousandths: time) } else { null() }
  }
}
