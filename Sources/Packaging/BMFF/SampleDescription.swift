// Sample entries: what coding a track has, and what its decoder has to know.
//
// An entry is a box named for the coding, with a fixed head for pictures or for sound and then child boxes. One of the
// children configures the decoder, and that one is read here, since codec strings, channels and rates come from it:
//
//     avc1 avc3   avcC       mp4a        esds: AAC, or MP3 by its object type
//     hvc1 hev1   hvcC       ac-3 ec-3   dac3, dec3
//     av01        av1C       fLaC        dfLa
//     vp09        vpcC       Opus        dOps
//                            alac        alac, a box of the entry's own name
//
// What an entry's head says of sound is not believed where the configuration says it too: AC-3 entries state two channels
// whatever they have, and rates above 65,535 Hz have no room in the head.
//
// A reader gives the entry or says why the track is left out: `codec` where the coding is not packaged,
// `no-decoder-configuration` where the box is missing or makes no sense, `sample-entry` where the head is cut short,
// `encrypted`.

/// `stsd` (ISO/IEC 14496-12 §8.5.2): the sample entries of a track.
struct SampleDescriptionBox {
  /// Whole entries, size and type included; empty ones are those that could not be read.
  var entries: [[UInt8]]

  /// At most `limit` entries are read; nil when there is none or one is cut short.
  init?(_ box: borrowing FullBox, limit: Int = 16) {
    var reader = BoxReader(box.body)
    guard let count = reader.u32(), count > 0 else { return nil }
    entries = []
    for _ in 0..<min(Int(count), limit) {
      guard let entry = reader.box(), !entry.isTruncated else { return nil }
      entries.append(entry.whole.copied())
    }
  }
}

/// What one sample entry says, for a codec this version packages.
struct SampleEntry {
  var codec: TrackCodec
  /// The entry as an ISO init segment wants it: QuickTime sound descriptions are rewritten.
  var bytes: [UInt8]
  var codecString: String
  var widthPixels: UInt16 = 0
  var heightPixels: UInt16 = 0
  /// Pixel aspect ratio, horizontal to vertical; nil where `pasp` is absent or has a 0.
  var pixelAspect: (horizontal: UInt32, vertical: UInt32)?
  var transferCharacteristics: UInt16 = 2
  var channelCount: UInt16 = 0
  var sampleRateHertz: UInt32 = 0

  /// Four-character code of a whole entry, 0 where it is too short to have one.
  static func code(of entry: [UInt8]) -> FourCC {
    var reader = BoxReader(entry.span)
    guard let box = reader.box() else { return FourCC(rawValue: 0) }
    return box.type
  }

  /// Reads an entry, or says why it is not packaged.
  static func read(_ bytes: [UInt8], kind: TrackKind) -> Result<SampleEntry, MediaReasonError> {
    var reader = BoxReader(bytes.span)
    guard let box = reader.box() else { return .failure("sample-entry", "Its sample entry is cut short.") }
    switch (kind, box.type) {
    case (_, FourCC("encv")), (_, FourCC("enca")), (_, FourCC("encs")), (_, FourCC("enct")),
      (_, FourCC("encm")):
      return .failure("encrypted", "It is encrypted (Common Encryption).")
    case (.video, _): return video(box, bytes)
    case (.audio, _): return audio(box, bytes)
    default:
      return .failure(
        "codec",
        "Its coding, \(box.type), is neither pictures nor sound; this version leaves such tracks out.")
    }
  }
}

/// A reason as an error, so that it can be the failure of a `Result`.
struct MediaReasonError: Error {
  var reason: MediaReason

  init(reason: MediaReason) { self.reason = reason }

  init(_ code: String, _ message: String) {
    self.init(reason: MediaReason(code: code, message: message))
  }
}

extension Result where Failure == MediaReasonError {
  static func failure(_ code: String, _ message: String) -> Self {
    .failure(MediaReasonError(code, message))
  }

  /// The entry has no configuration box of this name that can be read.
  static func unconfigured(_ box: FourCC) -> Self {
    .failure("no-decoder-configuration", "Its sample entry has no readable \(box) box.")
  }
}
