/// Room for one key of the index, filled piece by piece and used again: lookups allocate nothing.
///
/// A path of 400 bytes or more does not fit beside its site: its key holds the first 368 bytes and the SHA-256 of the
/// whole path, 400 bytes together. A key of 400 path bytes is thus always a stand-in and a shorter one always the path
/// itself. Long paths list in the order of their first 368 bytes.
struct IndexKey: ~Copyable {
  static let directPathLimitBytes = 400
  static let maximumPathBytes = 1024
  static let maximumSiteBytes = 64

  private let room: UnsafeMutableRawBufferPointer
  private var count = 0

  init() {
    room = .allocate(byteCount: Environment.maximumKeyBytes, alignment: 16)
  }

  deinit { room.deallocate() }

  /// What was filled in. The compiler sees to it that the key lives, unchanged, as long as this.
  var bytes: RawSpan {
    @_lifetime(borrow self)
    get { _overrideLifetime(RawSpan(_unsafeBytes: room[..<count]), borrowing: self) }
  }

  /// Whether another key begins with this one.
  func isPrefix(of key: UnsafeRawBufferPointer) -> Bool { key.starts(with: room[..<count]) }

  func equals(_ key: UnsafeRawBufferPointer) -> Bool { key.elementsEqual(room[..<count]) }

  /// Starts anew with a site's prefix; `false` where that is no site name: empty or over 64 bytes.
  mutating func start(site: String) -> Bool {
    count = 0
    var site = site
    let room = self.room
    count = site.withUTF8 { name in
      guard !name.isEmpty, name.count <= IndexKey.maximumSiteBytes else { return 0 }
      room[0] = UInt8(name.count)
      UnsafeMutableRawBufferPointer(rebasing: room[1...]).copyMemory(from: UnsafeRawBufferPointer(name))
      return name.count + 1
    }
    return count > 0
  }

  /// Adds bytes; `false`, and nothing added, where they do not fit.
  mutating func append(_ bytes: UnsafeRawBufferPointer) -> Bool {
    guard bytes.count <= room.count - count else { return false }
    UnsafeMutableRawBufferPointer(rebasing: room[count...]).copyMemory(from: bytes)
    count += bytes.count
    return true
  }

  mutating func append(byte: UInt8) -> Bool {
    guard count < room.count else { return false }
    room[count] = byte
    count += 1
    return true
  }

  /// The key of an asset.
  mutating func setAsset(site: String, id: UnsafeRawBufferPointer) -> Bool {
    start(site: site) && !id.isEmpty && id.count <= AssetID.maximumBytes && append(id)
  }

  /// The prefix of all generations of an asset, or the key of one.
  mutating func setGeneration(site: String, id: UnsafeRawBufferPointer, _ generation: Generation?) -> Bool {
    guard start(site: site), !id.isEmpty, id.count <= AssetID.maximumBytes,
      append(byte: UInt8(id.count)), append(id)
    else { return false }
    guard let generation else { return true }
    return generation.withUnsafeBytes { append($0) }
  }

  /// The key of a file.
  mutating func setFile(site: String, path: UnsafeRawBufferPointer) -> Bool {
    guard start(site: site), !path.isEmpty, path.count <= IndexKey.maximumPathBytes else { return false }
    if path.count < IndexKey.directPathLimitBytes { return append(path) }
    let head = IndexKey.directPathLimitBytes - BlobID.sizeBytes
    return append(UnsafeRawBufferPointer(rebasing: path[..<head]))
      && BlobID.digest(of: path).withUnsafeBytes { append($0) }
  }

  // MARK: The same for names that are strings

  mutating func setAsset(site: String, id: String) -> Bool {
    var id = id
    return id.withUTF8 { setAsset(site: site, id: UnsafeRawBufferPointer($0)) }
  }

  mutating func setGeneration(site: String, id: String, _ generation: Generation?) -> Bool {
    var id = id
    return id.withUTF8 { setGeneration(site: site, id: UnsafeRawBufferPointer($0), generation) }
  }

  mutating func setFile(site: String, path: String) -> Bool {
    var path = path
    return path.withUTF8 { setFile(site: site, path: UnsafeRawBufferPointer($0)) }
  }

  // MARK: Keys without a site

  mutating func set(_ blob: BlobID) {
    count = 0
    _ = blob.withUnsafeBytes { append($0) }
  }

  mutating func set(_ number: UInt64) {
    count = 0
    _ = withUnsafeBytes(of: number.bigEndian) { append($0) }
  }

  mutating func set(_ text: String) -> Bool {
    count = 0
    var text = text
    return text.withUTF8 { append(UnsafeRawBufferPointer($0)) }
  }

  mutating func set(_ bytes: [UInt8]) -> Bool {
    count = 0
    return bytes.withUnsafeBytes { append($0) }
  }

  mutating func set(_ other: borrowing IndexKey) {
    count = 0
    _ = append(UnsafeRawBufferPointer(rebasing: other.room[..<other.count]))
  }
}
