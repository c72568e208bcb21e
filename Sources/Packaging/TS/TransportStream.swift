/// One elementary stream of a transport stream: what a track becomes in it, the same in all of its segments.
public struct TransportStream: Sendable, Equatable {
  enum Coding: Equatable, Sendable {
    case video(AnnexBForm)
    case aac(ADTSHeader)
    /// Frames that carry their own sync word: MP3, AC-3, E-AC-3.
    case selfFraming
  }

  var coding: Coding
  /// Type in the program map (ISO/IEC 13818-1 table 2-34, ATSC A/52 for 0x81 and 0x87).
  let streamType: UInt8
  /// `stream_id` of its PES packets.
  let packetIdentifier: UInt8
  /// Its descriptors in the program map.
  let descriptors: [UInt8]
  let timeline: TransportTimeline
  /// Added to decode times so that none lies behind its presentation time; never above 0.
  let decodeShiftTicks: Int64
  /// Length of one sound frame as samples of a rate; nil where it is not known.
  let frame: Frame?

  struct Frame: Equatable, Sendable {
    var samples: Int64
    var rateHertz: Int64
  }

  var isVideo: Bool {
    if case .video = coding { return true }
    return false
  }

  /// How its pictures are written; nil for sound.
  var pictureForm: AnnexBForm? {
    if case .video(let form) = coding { return form }
    return nil
  }

  /// What goes before each of its frames, if anything does.
  var frameHeader: ADTSHeader? {
    if case .aac(let header) = coding { return header }
    return nil
  }

  /// Whether samples must be rewritten, and so read, before their sizes are known: NAL lengths of one to
  /// three bytes.
  var needsWidening: Bool {
    if case .video(let form) = coding { return form.lengthBytes != 4 }
    return false
  }

  /// The stream for a track.
  ///
  /// Decode times are moved to the front by the track's smallest composition offset, where that is below 0, since a
  /// transport stream has no way to say that a picture is shown before it is decoded.
  ///
  /// - Throws: `MediaError.unsupported`: a coding that transport streams do not carry (`transport-codec`),
  ///   AAC of a form that ADTS cannot state (`transport-aac`), no readable decoder configuration
  ///   (`no-decoder-configuration`).
  public init(_ track: Track) throws(MediaError) {
    timeline = TransportTimeline(timescale: track.timescale, shiftTicks: track.presentationShiftTicks)
    decodeShiftTicks = Int64(min(0, track.leastCompositionOffsetTicks))
    let language = TransportDescriptors.language(track.language)
    switch track.codec {
    case .avc, .hevc:
      guard let form = AnnexBForm(sampleEntry: track.sampleEntry, codec: track.codec) else {
        throw .unsupported("no-decoder-configuration", "Its sample entry has no readable avcC or hvcC box.")
      }
      coding = .video(form)
      streamType = track.codec == .avc ? 0x1B : 0x24
      packetIdentifier = 0xE0
      descriptors = []
      frame = nil
    case .aac:
      let header = try Self.aacHeader(track.sampleEntry)
      coding = .aac(header)
      streamType = 0x0F
      packetIdentifier = 0xC0
      descriptors = language
      frame = Frame(samples: 1024, rateHertz: Int64(header.coreRateHertz))
    case .mp3:
      // MPEG-1 audio, or the lower rates that MPEG-2 added, with half as many samples a frame.
      let isLowRate = track.sampleRateHertz > 0 && track.sampleRateHertz < 32000
      coding = .selfFraming
      streamType = isLowRate ? 0x04 : 0x03
      packetIdentifier = 0xC0
      descriptors = language
      frame = Self.frame(samples: isLowRate ? 576 : 1152, track)
    case .ac3:
      coding = .selfFraming
      streamType = 0x81
      packetIdentifier = 0xBD
      descriptors =
        TransportDescriptors.registration("AC-3") + language
        + TransportDescriptors.ac3(sampleEntry: track.sampleEntry)
      frame = Self.frame(samples: 1536, track)
    case .eac3:
      coding = .selfFraming
      streamType = 0x87
      packetIdentifier = 0xBD
      descriptors =
        TransportDescriptors.registration("EAC3") + language
        + TransportDescriptors.eac3(sampleEntry: track.sampleEntry)
      frame = Self.frame(samples: 1536, track)
    case .av1, .vp9, .flac, .opus, .alac, .unsupported:
      throw .unsupported(
        "transport-codec",
        "HLS carries no \(track.codecString) in transport streams; serve it as fragmented MP4.")
    }
  }

  private static func frame(samples: Int64, _ track: Track) -> Frame? {
    track.sampleRateHertz > 0 ? Frame(samples: samples, rateHertz: Int64(track.sampleRateHertz)) : nil
  }

  private static func aacHeader(_ sampleEntry: [UInt8]) throws(MediaError) -> ADTSHeader {
    guard let config = specificConfig(sampleEntry) else {
      throw .unsupported("no-decoder-configuration", "Its sample entry has no readable esds box.")
    }
    switch ADTSHeader.read(config) {
    case .success(let header): return header
    case .failure(let error): throw .unsupported(reason: error.reason)
    }
  }

  private static func specificConfig(_ sampleEntry: [UInt8]) -> [UInt8]? {
    var entry = BoxReader(sampleEntry.span)
    guard let box = entry.box() else { return nil }
    var reader = BoxReader(box.body)
    guard reader.skip(28) != nil else { return nil }
    let boxes = reader.rest()
    guard let full = boxes.firstBox(FourCC("esds"))?.fullBox() else { return nil }
    return ElementaryStreamDescriptor(full)?.specificConfig
  }

  /// The same stream for samples whose NAL lengths have been widened to four bytes.
  func widened() -> TransportStream {
    guard case .video(var form) = coding else { return self }
    form.lengthBytes = 4
    var stream = self
    stream.coding = .video(form)
    return stream
  }
}
