/// A static object of a site.
public struct FileRecord: Sendable, Equatable {
  public var site: String
  /// Path below `/f/`, without a leading slash, percent-decoded.
  public var path: String
  public var blob: BlobID
  public var sizeBytes: UInt64
  public var mediaType: String
  /// Milliseconds since 1970.
  public var modifiedMilliseconds: Int64

  private static let version: UInt8 = 1

  public init(
    site: String, path: String, blob: BlobID, sizeBytes: UInt64, mediaType: String,
    modifiedMilliseconds: Int64
  ) {
    self.site = site
    self.path = path
    self.blob = blob
    self.sizeBytes = sizeBytes
    self.mediaType = mediaType
    self.modifiedMilliseconds = modifiedMilliseconds
  }

  func encode() -> [UInt8] {
    var writer = RecordWriter(version: FileRecord.version)
    writer.put(site)
    writer.put(path)
    writer.put(blob)
    writer.put(sizeBytes)
    writer.put(mediaType)
    writer.put(signed: modifiedMilliseconds)
    return writer.bytes
  }

  init(decoding bytes: UnsafeRawBufferPointer) throws(StoreError) {
    var reader = try RecordReader(bytes, "file", newest: FileRecord.version)
    site = try reader.text()
    path = try reader.text()
    blob = try reader.blob()
    sizeBytes = try reader.number()
    mediaType = try reader.text()
    modifiedMilliseconds = try reader.signed()
    try reader.end()
  }
}

/// What to publish under a path; an object that is there already is replaced.
public struct FileDraft: Sendable, Equatable {
  public var site: String
  /// 1 to 1,024 bytes; segments separated by single slashes, none of them `.` or `..`, no control bytes.
  public var path: String
  public var blob: BlobID
  public var mediaType: String
  /// Milliseconds since 1970; `nil` is now.
  public var modifiedMilliseconds: Int64?

  public init(
    site: String, path: String, blob: BlobID, mediaType: String, modifiedMilliseconds: Int64? = nil
  ) {
    self.site = site
    self.path = path
    self.blob = blob
    self.mediaType = mediaType
    self.modifiedMilliseconds = modifiedMilliseconds
  }
}

/// What the index knows of a blob.
public struct BlobRecord: Sendable, Equatable {
  public var sizeBytes: UInt64
  /// When the blob was first published, milliseconds since 1970.
  public var createdMilliseconds: Int64
  /// When scrub last found its bytes right, milliseconds since 1970; 0 means never.
  public var verifiedMilliseconds: Int64

  private static let version: UInt8 = 1

  public init(sizeBytes: UInt64, createdMilliseconds: Int64, verifiedMilliseconds: Int64 = 0) {
    self.sizeBytes = sizeBytes
    self.createdMilliseconds = createdMilliseconds
    self.verifiedMilliseconds = verifiedMilliseconds
  }

  func encode() -> [UInt8] {
    var writer = RecordWriter(version: BlobRecord.version)
    writer.put(sizeBytes)
    writer.put(signed: createdMilliseconds)
    writer.put(signed: verifiedMilliseconds)
    return writer.bytes
  }

  init(decoding bytes: UnsafeRawBufferPointer) throws(StoreError) {
    var reader = try RecordReader(bytes, "blob", newest: BlobRecord.version)
    sizeBytes = try reader.number()
    createdMilliseconds = try reader.signed()
    verifiedMilliseconds = try reader.signed()
    try reader.end()
  }
}
