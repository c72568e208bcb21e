import Store

/// An asset as the commands print it.
struct AssetRow: Encodable {
  struct Rendition: Encodable {
    var name: String
    var kind: String
    var blob: String
    var language: String?
    var label: String?
    /// Only said where it is so.
    var forced: Bool?

    init(_ record: RenditionRecord) {
      name = record.name
      kind = "\(record.kind)"
      blob = record.blob.hex
      language = record.language
      label = record.label
      forced = record.isForced ? true : nil
    }

    /// Language, label and mark, as far as there are any.
    var details: String {
      let words = [language, label.map { "\"\($0)\"" }, forced.map { _ in "forced" }].compactMap { $0 }
      return words.isEmpty ? "" : ", " + words.joined(separator: ", ")
    }
  }

  var id: String
  var site: String
  var title: String
  var description: String
  var tags: [String]
  var privacy: String
  var status: String
  /// In seconds.
  var thumbnailTime: Double?
  var generation: String?
  var source: String?
  var sourceName: String
  var mediaType: String
  var created: String
  var updated: String
  var views: UInt64
  var renditions: [Rendition]
  var packageable: Bool
  var reason: String?
  var defects: [String]
  /// The newest hundred that are for the asset, newest first.
  var jobs: [JobRow]?

  init(_ asset: AssetRecord) {
    id = asset.id
    site = asset.site
    title = asset.title
    description = asset.description
    tags = asset.tags
    privacy = "\(asset.privacy)"
    status = "\(asset.status)"
    thumbnailTime = asset.thumbnailMilliseconds.map { Double($0) / 1000 }
    generation = asset.generation?.hex
    source = asset.source?.hex
    sourceName = asset.sourceName
    mediaType = asset.mediaType
    created = Terminal.time(asset.createdMilliseconds)
    updated = Terminal.time(asset.updatedMilliseconds)
    views = asset.views
    renditions = asset.renditions.map { Rendition($0) }
    packageable = asset.reason == nil && asset.renditions.contains { $0.kind == .video || $0.kind == .audio }
    reason = asset.reason
    defects = asset.defects
  }

  /// Id, generation, state and title, and why it plays only as bytes where that is so.
  var line: String {
    let state =
      packageable ? renditions.map(\.name).joined(separator: ",") : "bytes only: \(reason ?? "no track")"
    return "\(id)\t\(generation ?? "-")\t\(status)\t\(state)\t\(title)"
  }
}
