/// What a file is, told from its bytes. Names and media types are never looked at.
public enum MediaKind: Sendable, Equatable {
  /// MP4 or MOV with all samples in `moov`.
  case progressiveMP4
  /// MP4 with fragments, or a media segment.
  case fragmentedMP4
  /// Matroska or WebM.
  case matroska
  case mpegTS
  case hlsPlaylist
  case mpd
  case image
  case text
  /// Media in a container this version does not read; the value is its common name.
  case otherMedia(String)
  case unknown
}

/// Tells what a file is from its first bytes and top-level boxes.
public enum MediaProbe {
  static let headBytes = 4096

  /// What the source holds. Reads a few kilobytes; an empty source is `unknown`.
  /// - Throws: `MediaError.sourceUnreadable` only.
  public static func kind(of source: some ByteSource, limits: MediaLimits = .init()) throws(MediaError)
    -> MediaKind
  {
    let head = try source.bytes(at: 0, count: headBytes)
    if let kind = imageKind(head) { return kind }
    if TopLevelBoxes.begins(head.span) {
      let boxes = try TopLevelBoxes(source, limits: limits)
      if boxes.isFragmented || boxes.hasFragment { return .fragmentedMP4 }
      if boxes.movie == nil, let brand = boxes.fileType?.majorBrand, imageBrands.contains(brand) {
        return .image
      }
      if boxes.fileType != nil || boxes.movie != nil || boxes.mediaData != nil { return .progressiveMP4 }
    }
    if isMatroska(head) { return .matroska }
    if isTransportStream(head) { return .mpegTS }
    if let name = otherContainer(head) { return .otherMedia(name) }
    return textKind(head)
  }

  private static let imageBrands: [FourCC] = [
    FourCC("avif"), FourCC("avis"), FourCC("heic"), FourCC("heix"), FourCC("mif1"), FourCC("msf1"),
    FourCC("jxl "),
    FourCC("crx "),
  ]

  private static func begins(_ head: [UInt8], _ text: StaticString, at offset: Int = 0) -> Bool {
    text.withUTF8Buffer { wanted in
      head.count >= offset + wanted.count && head[offset..<offset + wanted.count].elementsEqual(wanted)
    }
  }

  private static func imageKind(_ head: [UInt8]) -> MediaKind? {
    let isImage =
      head.starts(with: [0x89, 0x50, 0x4E, 0x47, 0x0D, 0x0A, 0x1A, 0x0A])
      || head.starts(with: [0xFF, 0xD8, 0xFF])
      || begins(head, "GIF87a") || begins(head, "GIF89a")
      || begins(head, "RIFF") && begins(head, "WEBP", at: 8)
      || head.starts(with: [0x49, 0x49, 0x2A, 0x00]) || head.starts(with: [0x4D, 0x4D, 0x00, 0x2A])
      || begins(head, "BM") && head.count >= 14 && head[6..<10].allSatisfy { $0 == 0 }
    return isImage ? .image : nil
  }

  /// The EBML signature, and a document type that begins like one of the two.
  private static func isMatroska(_ head: [UInt8]) -> Bool {
    guard head.starts(with: [0x1A, 0x45, 0xDF, 0xA3]) else { return false }
    for offset in 4..<min(head.count, 256) {
      if begins(head, "matroska", at: offset) || begins(head, "webm", at: offset) { return true }
    }
    return false
  }

  /// Sync bytes at the distance of packets, plain or with a four-byte time stamp before each (M2TS).
  private static func isTransportStream(_ head: [UInt8]) -> Bool {
    for (first, distance) in [(0, 188), (4, 192)] {
      let positions = stride(from: first, to: head.count, by: distance)
      if positions.underestimatedCount >= 3, positions.allSatisfy({ head[$0] == 0x47 }) { return true }
    }
    return false
  }

  private static func otherContainer(_ head: [UInt8]) -> String? {
    if begins(head, "OggS") { return "Ogg" }
    if begins(head, "fLaC") { return "FLAC" }
    if begins(head, "FLV") { return "FLV" }
    if begins(head, "RIFF"), begins(head, "WAVE", at: 8) { return "WAV" }
    if begins(head, "RIFF"), begins(head, "AVI ", at: 8) { return "AVI" }
    if head.starts(with: [0x00, 0x00, 0x01, 0xBA]) { return "MPEG program stream" }
    if let end = tagEnd(head) { return isAudioFrames(head, from: end) ? "AAC" : "MP3" }
    return isAudioFrames(head, from: 0) ? "AAC" : nil
  }

  /// Where an ID3v2 tag ends: its length stands in seven bits of each of four bytes.
  private static func tagEnd(_ head: [UInt8]) -> Int? {
    guard begins(head, "ID3"), head.count >= 10 else { return nil }
    return head[6..<10].reduce(0) { $0 << 7 | Int($1 & 0x7F) } + 10
  }

  /// ADTS: two frames whose lengths meet.
  private static func isAudioFrames(_ head: [UInt8], from start: Int) -> Bool {
    var offset = start
    for _ in 0..<2 {
      guard head.count >= offset + 7, head[offset] == 0xFF, head[offset + 1] & 0xF6 == 0xF0 else {
        return false
      }
      let length = Int(head[offset + 3] & 3) << 11 | Int(head[offset + 4]) << 3 | Int(head[offset + 5]) >> 5
      guard length >= 7 else { return false }
      offset += length
    }
    return true
  }

  private static func textKind(_ head: [UInt8]) -> MediaKind {
    let body = head.starts(with: [0xEF, 0xBB, 0xBF]) ? Array(head.dropFirst(3)) : head
    if begins(body, "#EXTM3U") { return .hlsPlaylist }
    let isPlain = body.allSatisfy { $0 >= 0x20 && $0 != 0x7F || $0 == 0x09 || $0 == 0x0A || $0 == 0x0D }
    // The head may end inside a character: up to three bytes of one are not judged.
    let isText = (0...3).contains { String(validating: body.dropLast($0), as: UTF8.self) != nil }
    guard !body.isEmpty, isPlain, isText else { return .unknown }
    for offset in body.indices where body[offset] == 0x3C && begins(body, "<MPD", at: offset) { return .mpd }
    return .text
  }
}
