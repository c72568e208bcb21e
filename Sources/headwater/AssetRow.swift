import Store

/// An asset as the commands print it.
struct AssetRow: Encodable {
  struct Rendition: Encodable {
    var name: String
    var kind: String
    var blob: String
  }

  var id: String
  var site: String
  var title: String
  var description: String
  var tags: [String]
  var privacy: String
  var status: String
  var generation: String?
  var source: String?
  var sourceName: String
  var mediaType: String
  var created: String
  var updated: String
  var renditions: [Rendition]
  var packageable: Bool
  var reason: String?
  var defects: [String]

  init(_ asset: AssetRecord) {
    id = asset.id
    site = asset.site
    title = asset.title
    description = asset.description
    tags = asset.tags
    privacy = "\(asset.privacy)"
    status = "\(asset.status)"
    generation = asset.generation?.hex
    source = asset.source?.hex
    sourceName = asset.sourceName
    mediaType = asset.mediaType
    created = Terminal.time(asset.createdMilliseconds)
    updated = Terminal.time(asset.updatedMilliseconds)
    renditions = asset.renditions.map { Rendition(name: $0.name, kind: "\($0.kind)", blob: $0.blob.hex) }
    packageable = asset.reason == nil && !asset.renditions.isEmpty
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
