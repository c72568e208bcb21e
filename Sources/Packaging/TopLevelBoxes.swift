/// What the top level of an ISO base media file looks like: where `moov` is, and what else matters for it.
struct TopLevelBoxes {
  struct Location: Equatable {
    var offset: UInt64
    var headerBytes: Int
    /// Size with header, as far as the file goes.
    var sizeBytes: UInt64
    var isTruncated: Bool
  }

  var fileType: FileTypeBox?
  var movie: Location?
  /// First `mdat` with anything in it.
  var mediaData: Location?
  /// An `mdat` states more bytes than the file has.
  var hasTruncatedMediaData = false
  var hasFragment = false
  /// `moov` has a `mvex` box: samples are in fragments.
  var isFragmented = false
  /// Where bytes start that are no boxes.
  var junkOffset: UInt64?

  /// Types a file may begin with, in ISO files and QuickTime's.
  private static let firstTypes: [FourCC] = [
    FourCC("ftyp"), FourCC("moov"), FourCC("mdat"), FourCC("free"), FourCC("skip"), FourCC("wide"),
    FourCC("styp"),
    FourCC("sidx"), FourCC("moof"), FourCC("pnot"), FourCC("prft"), FourCC("emsg"),
  ]

  /// Whether the first bytes of a file begin a box that such a file may begin with.
  static func begins(_ head: Span<UInt8>) -> Bool {
    var reader = BoxReader(head)
    guard let size = reader.u32(), let type = reader.u32(), size == 0 || size == 1 || size >= 8 else {
      return false
    }
    return firstTypes.contains(FourCC(rawValue: type))
  }

  /// Visits the top-level boxes by their headers; stops at the first fragment, at junk, and where all is known.
  init(_ source: some ByteSource, limits: MediaLimits) throws(MediaError) {
    let length = source.lengthBytes
    var offset: UInt64 = 0
    for _ in 0..<limits.topLevelBoxes {
      guard offset < length else { return }
      guard let (type, location) = try Self.box(source, at: offset),
        !location.isTruncated || type == FourCC("mdat") || type == FourCC("moov")
      else {
        junkOffset = offset
        return
      }
      switch type {
      case FourCC("ftyp") where fileType == nil:
        let body = try source.bytes(
          at: offset + UInt64(location.headerBytes),
          count: Int(min(location.sizeBytes, 4096)) - location.headerBytes)
        fileType = FileTypeBox(body.span)
      case FourCC("moov") where movie == nil:
        movie = location
        isFragmented = try Self.hasExtension(source, movie: location)
        if isFragmented { return }
      case FourCC("moof"):
        hasFragment = true
        if movie != nil { return }
      case FourCC("mdat"):
        if mediaData == nil, location.sizeBytes > UInt64(location.headerBytes) { mediaData = location }
        hasTruncatedMediaData = hasTruncatedMediaData || location.isTruncated
      default: break
      }
      if location.isTruncated { return }
      offset += location.sizeBytes
    }
  }

  /// The type and place of the box at `offset`; nil where what is there is no box.
  static func box(_ source: some ByteSource, at offset: UInt64) throws(MediaError)
    -> (type: FourCC, location: Location)?
  {
    let head = try source.bytes(at: offset, count: 16)
    var reader = BoxReader(head.span)
    guard let size32 = reader.u32(), let type = reader.u32() else { return nil }
    let left = source.lengthBytes - offset
    var size = UInt64(size32)
    var headerBytes = 8
    if size32 == 1 {
      guard let size64 = reader.u64() else { return nil }
      size = size64
      headerBytes = 16
    } else if size32 == 0 {
      size = left
    }
    guard size >= UInt64(headerBytes) else { return nil }
    let location = Location(
      offset: offset, headerBytes: headerBytes, sizeBytes: min(size, left), isTruncated: size > left)
    return (FourCC(rawValue: type), location)
  }

  /// Whether one of the first children of `moov` is `mvex`. Reads headers only: `moov` may be large.
  private static func hasExtension(_ source: some ByteSource, movie: Location) throws(MediaError) -> Bool {
    let end = movie.offset + movie.sizeBytes
    var offset = movie.offset + UInt64(movie.headerBytes)
    for _ in 0..<1024 where offset < end {
      let head = try source.bytes(at: offset, count: 8)
      var reader = BoxReader(head.span)
      guard let size = reader.u32(), let type = reader.u32(), size >= 8 else { return false }
      if FourCC(rawValue: type) == FourCC("mvex") { return true }
      offset += UInt64(size)
    }
    return false
  }
}
