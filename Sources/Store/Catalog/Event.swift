/// What happened to a subject of the catalog.
public enum EventKind: UInt8, Sendable, Equatable, CaseIterable {
  /// An asset became `ready`.
  case assetReady = 1
  /// Metadata, status or blobs of an asset changed in a way no other kind tells.
  case assetUpdated = 2
  /// An asset that had a generation has another one; `previous` is the old one.
  case generationReplaced = 3
  case assetRemoved = 4
  /// A file appeared or its bytes or media type changed.
  case filePublished = 5
  case fileRemoved = 6
}

/// One change of the catalog, in the order in which changes were committed.
public struct Event: Sendable, Equatable {
  /// From 1, without gaps until old events are trimmed.
  public var sequence: UInt64
  /// Milliseconds since 1970.
  public var atMilliseconds: Int64
  public var kind: EventKind
  public var site: String
  /// Asset id or file path.
  public var subject: String
  /// The asset's generation after the change; after a removal the one that was removed.
  public var generation: Generation?
  public var previous: Generation?

  private static let version: UInt8 = 1

  public init(
    sequence: UInt64, atMilliseconds: Int64, kind: EventKind, site: String, subject: String,
    generation: Generation? = nil, previous: Generation? = nil
  ) {
    self.sequence = sequence
    self.atMilliseconds = atMilliseconds
    self.kind = kind
    self.site = site
    self.subject = subject
    self.generation = generation
    self.previous = previous
  }

  func encode() -> [UInt8] {
    var writer = RecordWriter(version: Event.version)
    writer.put(sequence)
    writer.put(signed: atMilliseconds)
    writer.put(byte: kind.rawValue)
    writer.put(site)
    writer.put(subject)
    writer.put(optional: generation) { $0.put($1) }
    writer.put(optional: previous) { $0.put($1) }
    return writer.bytes
  }

  init(decoding bytes: UnsafeRawBufferPointer) throws(StoreError) {
    var reader = try RecordReader(bytes, "event", newest: Event.version)
    sequence = try reader.number()
    atMilliseconds = try reader.signed()
    kind = try reader.value(of: EventKind.self)
    site = try reader.text()
    subject = try reader.text()
    generation = try reader.optional { (reader) throws(StoreError) in try reader.generation() }
    previous = try reader.optional { (reader) throws(StoreError) in try reader.generation() }
    try reader.end()
  }
}
