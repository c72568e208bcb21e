/// Who may find an asset; what it means is the server's to enforce.
public enum Privacy: UInt8, Sendable, Equatable, CaseIterable {
  case `public` = 1
  case unlisted = 2
  case `private` = 3
}

/// How far an asset has come. It plays as soon as it has a generation, whatever its status.
public enum AssetStatus: UInt8, Sendable, Equatable, CaseIterable {
  case uploading = 1
  case processing = 2
  case ready = 3
  case failed = 4
}

/// What a rendition carries.
public enum RenditionKind: UInt8, Sendable, Equatable, CaseIterable {
  case video = 1
  case audio = 2
  case subtitle = 3
  case file = 4

  /// The word that enters the digest of a generation; never to change.
  var roleWord: String {
    switch self {
    case .video: "video"
    case .audio: "audio"
    case .subtitle: "subtitle"
    case .file: "file"
    }
  }
}

/// One encoding of an asset: a track of a blob under a name.
public struct RenditionRecord: Sendable, Equatable {
  /// `source`, `720p`, `audio`, …: the name in URLs.
  public var name: String
  public var kind: RenditionKind
  public var blob: BlobID
  /// Which track of the blob, from 0; for `.file` and subtitles 0.
  public var trackIndex: UInt32
  /// BCP 47 language, where the blob does not say it or says it wrong; `nil` leaves it to the blob.
  public var language: String?
  /// What viewers read in a menu; `nil` where the name of the language will do.
  public var label: String?
  /// Subtitles that are shown without being asked for: they translate what the sound leaves foreign.
  public var isForced: Bool

  public init(
    name: String, kind: RenditionKind, blob: BlobID, trackIndex: UInt32 = 0, language: String? = nil,
    label: String? = nil, isForced: Bool = false
  ) {
    self.name = name
    self.kind = kind
    self.blob = blob
    self.trackIndex = trackIndex
    self.language = language
    self.label = label
    self.isForced = isForced
  }

  /// The rendition's part in the digest that is the generation.
  ///
  /// Language, label and the forced mark stand in manifests, so they are part of it; those that are not set add
  /// nothing, as before there were any. The label comes last because it may hold any character.
  var role: String {
    var role = "\(kind.roleWord):\(name):\(trackIndex)"
    if let language { role += ":language=\(language)" }
    if isForced { role += ":forced" }
    if let label { role += ":label=\(label)" }
    return role
  }

  func encode(to writer: inout RecordWriter) {
    writer.put(name)
    writer.put(byte: kind.rawValue)
    writer.put(blob)
    writer.put(UInt64(trackIndex))
    writer.put(optional: language) { $0.put($1) }
    writer.put(optional: label) { $0.put($1) }
    writer.put(byte: isForced ? 1 : 0)
  }

  /// Version 1 of the records ends with the track.
  init(from reader: inout RecordReader) throws(StoreError) {
    name = try reader.text()
    kind = try reader.value(of: RenditionKind.self)
    blob = try reader.blob()
    trackIndex = try reader.number(as: UInt32.self)
    guard reader.version >= 2 else {
      isForced = false
      return
    }
    language = try reader.optional { (reader) throws(StoreError) in try reader.text() }
    label = try reader.optional { (reader) throws(StoreError) in try reader.text() }
    isForced = try reader.flag()
  }
}

/// One asset as the catalog holds it. Times are milliseconds since 1970.
public struct AssetRecord: Sendable, Equatable {
  public internal(set) var site: String
  public internal(set) var id: String
  public var title: String
  public var description: String
  public var tags: [String]
  public var privacy: Privacy
  public var status: AssetStatus
  public internal(set) var createdMilliseconds: Int64
  /// Grows with every change, even where the clock stands still or goes back: fit for an entity tag.
  public internal(set) var updatedMilliseconds: Int64
  /// `nil` until the asset has a blob.
  public internal(set) var generation: Generation?
  /// The ingested bytes; `nil` until there are some.
  public internal(set) var source: BlobID?
  /// File name of the source as the user gave it.
  public var sourceName: String
  /// Media type under which the source is served.
  public var mediaType: String
  public internal(set) var renditions: [RenditionRecord]
  /// Why the asset cannot be packaged; `nil` where it can.
  public var reason: String?
  /// What is wrong with the media yet does not keep it from playing.
  public var defects: [String]
  /// What the poster shows, from the beginning of the media; `nil` leaves the choice to who makes it.
  public var thumbnailMilliseconds: UInt64?
  /// How often it was watched, as far as the counters have been brought here: see `ViewCounts`. A new count is no change of
  /// the asset: `updatedMilliseconds` stays, and no event tells of it.
  public internal(set) var views: UInt64

  /// 2: renditions have language, label and the forced mark. 3: the time of the poster. 4: views.
  private static let version: UInt8 = 4

  func encode() -> [UInt8] {
    var writer = RecordWriter(version: AssetRecord.version)
    writer.put(site)
    writer.put(id)
    writer.put(title)
    writer.put(description)
    writer.put(list: tags) { $0.put($1) }
    writer.put(byte: privacy.rawValue)
    writer.put(byte: status.rawValue)
    writer.put(signed: createdMilliseconds)
    writer.put(signed: updatedMilliseconds)
    writer.put(optional: generation) { $0.put($1) }
    writer.put(optional: source) { $0.put($1) }
    writer.put(sourceName)
    writer.put(mediaType)
    writer.put(list: renditions) { $1.encode(to: &$0) }
    writer.put(optional: reason) { $0.put($1) }
    writer.put(list: defects) { $0.put($1) }
    writer.put(optional: thumbnailMilliseconds) { $0.put($1) }
    writer.put(views)
    return writer.bytes
  }

  init(decoding bytes: UnsafeRawBufferPointer) throws(StoreError) {
    var reader = try RecordReader(bytes, "asset", newest: AssetRecord.version)
    site = try reader.text()
    id = try reader.text()
    title = try reader.text()
    description = try reader.text()
    tags = try reader.list { (reader) throws(StoreError) in try reader.text() }
    privacy = try reader.value(of: Privacy.self)
    status = try reader.value(of: AssetStatus.self)
    createdMilliseconds = try reader.signed()
    updatedMilliseconds = try reader.signed()
    generation = try reader.optional { (reader) throws(StoreError) in try reader.generation() }
    source = try reader.optional { (reader) throws(StoreError) in try reader.blob() }
    sourceName = try reader.text()
    mediaType = try reader.text()
    renditions = try reader.list { (reader) throws(StoreError) in try RenditionRecord(from: &reader) }
    reason = try reader.optional { (reader) throws(StoreError) in try reader.text() }
    defects = try reader.list { (reader) throws(StoreError) in try reader.text() }
    if reader.version >= 3 {
      thumbnailMilliseconds = try reader.optional { (reader) throws(StoreError) in try reader.number() }
    }
    views = reader.version >= 4 ? try reader.number() : 0
    try reader.end()
  }

  init(
    site: String, id: String, title: String, description: String, tags: [String], privacy: Privacy,
    status: AssetStatus, createdMilliseconds: Int64, updatedMilliseconds: Int64, generation: Generation?,
    source: BlobID?, sourceName: String, mediaType: String, renditions: [RenditionRecord], reason: String?,
    defects: [String], thumbnailMilliseconds: UInt64? = nil, views: UInt64 = 0
  ) {
    self.thumbnailMilliseconds = thumbnailMilliseconds
    self.site = site
    self.id = id
    self.title = title
    self.description = description
    self.tags = tags
    self.privacy = privacy
    self.status = status
    self.createdMilliseconds = createdMilliseconds
    self.updatedMilliseconds = updatedMilliseconds
    self.generation = generation
    self.source = source
    self.sourceName = sourceName
    self.mediaType = mediaType
    self.renditions = renditions
    self.reason = reason
    self.defects = defects
    self.views = views
  }
}

/// What to publish: the blobs of an asset, and whatever metadata shall change.
///
/// `nil` metadata keeps what the catalog has, or takes the default for a new asset. `source` and `renditions`
/// always replace: an asset's generation is exactly what its last draft named.
public struct AssetDraft: Sendable, Equatable {
  public var site: String
  public var id: String
  public var title: String?
  public var description: String?
  public var tags: [String]?
  public var privacy: Privacy?
  public var status: AssetStatus
  public var source: BlobID?
  public var sourceName: String?
  public var mediaType: String?
  public var renditions: [RenditionRecord]
  public var reason: String?
  public var defects: [String]

  /// Defaults of a new asset: empty texts, no tags, public, `application/octet-stream`.
  public init(
    site: String, id: String, title: String? = nil, description: String? = nil, tags: [String]? = nil,
    privacy: Privacy? = nil, status: AssetStatus, source: BlobID? = nil, sourceName: String? = nil,
    mediaType: String? = nil, renditions: [RenditionRecord] = [], reason: String? = nil,
    defects: [String] = []
  ) {
    self.site = site
    self.id = id
    self.title = title
    self.description = description
    self.tags = tags
    self.privacy = privacy
    self.status = status
    self.source = source
    self.sourceName = sourceName
    self.mediaType = mediaType
    self.renditions = renditions
    self.reason = reason
    self.defects = defects
  }

  /// The generation of the draft's blobs, `nil` where it has none. The source comes first, then the renditions in
  /// their order.
  public var generation: Generation? {
    var roles: [(role: String, blob: BlobID)] = []
    if let source { roles.append(("source", source)) }
    for rendition in renditions { roles.append((rendition.role, rendition.blob)) }
    return roles.isEmpty ? nil : Generation.make(roles: roles)
  }

  /// Every blob named, each once.
  var blobs: Set<BlobID> {
    var blobs = Set(renditions.map(\.blob))
    if let source { blobs.insert(source) }
    return blobs
  }
}
