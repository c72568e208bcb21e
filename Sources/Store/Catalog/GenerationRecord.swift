/// One generation of an asset, present or past. Times are milliseconds since 1970.
public struct GenerationRecord: Sendable, Equatable {
  public var site: String
  /// The asset's id.
  public var asset: String
  public var generation: Generation
  public var source: BlobID?
  public var renditions: [RenditionRecord]
  public var mediaType: String
  public var sourceName: String
  /// Why it cannot be packaged; `nil` where it can.
  public var reason: String?
  /// When this generation was first published: its `Last-Modified`.
  public var ingestedMilliseconds: Int64
  /// When another generation took its place; `nil` while it is the newest.
  public var replacedMilliseconds: Int64?

  /// 2: renditions have language, label and the forced mark.
  private static let version: UInt8 = 2

  func encode() -> [UInt8] {
    var writer = RecordWriter(version: GenerationRecord.version)
    writer.put(site)
    writer.put(asset)
    writer.put(generation)
    writer.put(optional: source) { $0.put($1) }
    writer.put(list: renditions) { $1.encode(to: &$0) }
    writer.put(mediaType)
    writer.put(sourceName)
    writer.put(optional: reason) { $0.put($1) }
    writer.put(signed: ingestedMilliseconds)
    writer.put(optional: replacedMilliseconds) { $0.put(signed: $1) }
    return writer.bytes
  }

  init(decoding bytes: UnsafeRawBufferPointer) throws(StoreError) {
    var reader = try RecordReader(bytes, "generation", newest: GenerationRecord.version)
    site = try reader.text()
    asset = try reader.text()
    generation = try reader.generation()
    source = try reader.optional { (reader) throws(StoreError) in try reader.blob() }
    renditions = try reader.list { (reader) throws(StoreError) in try RenditionRecord(from: &reader) }
    mediaType = try reader.text()
    sourceName = try reader.text()
    reason = try reader.optional { (reader) throws(StoreError) in try reader.text() }
    ingestedMilliseconds = try reader.signed()
    replacedMilliseconds = try reader.optional { (reader) throws(StoreError) in try reader.signed() }
    try reader.end()
  }

  /// The generation an asset is at.
  init(of asset: AssetRecord, generation: Generation, ingestedMilliseconds: Int64) {
    site = asset.site
    self.asset = asset.id
    self.generation = generation
    source = asset.source
    renditions = asset.renditions
    mediaType = asset.mediaType
    sourceName = asset.sourceName
    reason = asset.reason
    self.ingestedMilliseconds = ingestedMilliseconds
    replacedMilliseconds = nil
  }

  /// Whether the generation is still served: it is the newest, or was replaced no longer than the grace ago.
  func isServed(nowMilliseconds: Int64, graceMilliseconds: Int64) -> Bool {
    guard let replacedMilliseconds else { return true }
    let (age, overflow) = nowMilliseconds.subtractingReportingOverflow(replacedMilliseconds)
    return !overflow && age <= graceMilliseconds
  }
}
