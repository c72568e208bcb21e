/// Writes the lines of a multivariant playlist.
struct MultivariantLines {
  /// One EXT-X-STREAM-INF.
  struct Variant {
    var rendition: PresentationRendition
    var group: AudioGroup?
    var codecStrings: [String]
    var bandwidth: Bandwidth

    /// Adds what is played together with it.
    mutating func add(_ codecs: [String], _ other: Bandwidth) {
      for codec in codecs where !codecStrings.contains(codec) { codecStrings.append(codec) }
      bandwidth = bandwidth.adding(other)
    }
  }

  private static let subtitleGroup = "subtitles"
  private static let captionGroup = "captions"

  private let form: DeliveryForm
  private let prefix: [UInt8]
  private let suffix: [UInt8]
  private let hasSubtitles: Bool
  /// What any of the pictures carries.
  private let captions: ClosedCaptions
  private var writer: TextWriter

  var bytes: [UInt8] { writer.bytes }

  init(
    form: DeliveryForm, prefix: [UInt8], suffix: [UInt8], hasSubtitles: Bool, captions: ClosedCaptions,
    capacityBytes: Int
  ) {
    self.form = form
    self.prefix = prefix
    self.suffix = suffix
    self.hasSubtitles = hasSubtitles
    self.captions = captions
    writer = TextWriter(capacityBytes: capacityBytes)
  }

  mutating func head(isIndependent: Bool) {
    // Groups ask for version 4; 7 is what the media playlists of fragmented MP4 state.
    writer.literal(form == .transport ? "#EXTM3U\n#EXT-X-VERSION:4\n" : "#EXTM3U\n#EXT-X-VERSION:7\n")
    if isIndependent { writer.literal("#EXT-X-INDEPENDENT-SEGMENTS\n") }
  }

  mutating func keys(_ keys: [HLSKey]) {
    for key in keys { writer.raw(key.sessionLine) }
  }

  mutating func audio(_ member: AudioGroup.Member, of group: AudioGroup) {
    let track = member.rendition.track
    writer.literal("#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=")
    writer.quoted(group.identifier)
    writer.literal(",NAME=")
    writer.raw(member.quotedName)
    language(member.work.language)
    writer.literal(member.index == group.members[0].index ? ",DEFAULT=YES" : ",DEFAULT=NO")
    writer.literal(member.work.ordinal == 0 ? ",AUTOSELECT=YES" : ",AUTOSELECT=NO")
    if let channels = AudioChannels(track).playlistText {
      writer.literal(",CHANNELS=")
      writer.quoted(channels)
    }
    if member.index != group.muxedMember {
      writer.literal(",URI=\"")
      playlist(member.rendition.name, form)
      writer.literal("\"")
    }
    writer.literal("\n")
  }

  /// Of several that a player could not choose between only the first is selected automatically.
  mutating func subtitles(_ subtitles: [PresentationSubtitle]) {
    var names = UniqueNames()
    var seen: [(language: WrittenLanguage?, isForced: Bool, describesSounds: Bool)] = []
    for subtitle in subtitles {
      let known = WrittenLanguage(subtitle.language)
      let choice = (known, subtitle.isForced, subtitle.describesSounds)
      let isFirst = !seen.contains { $0 == choice }
      seen.append(choice)
      writer.literal("#EXT-X-MEDIA:TYPE=SUBTITLES,GROUP-ID=")
      writer.quoted(Self.subtitleGroup)
      writer.literal(",NAME=")
      writer.raw(names.quoted([subtitle.label, known == nil ? nil : subtitle.language, "Subtitles"]))
      language(known)
      writer.literal(isFirst ? ",DEFAULT=NO,AUTOSELECT=YES" : ",DEFAULT=NO,AUTOSELECT=NO")
      writer.literal(subtitle.isForced ? ",FORCED=YES" : ",FORCED=NO")
      if subtitle.describesSounds {
        writer.literal(
          """
          ,CHARACTERISTICS="public.accessibility.transcribes-spoken-dialog,\
          public.accessibility.describes-music-and-sound"
          """)
      }
      writer.literal(",URI=\"")
      playlist(subtitle.name, form == .byteRanges ? .fragments : form)
      writer.literal("\"\n")
    }
  }

  mutating func closedCaptions() {
    for channel in captions.instreamIdentifiers {
      writer.literal("#EXT-X-MEDIA:TYPE=CLOSED-CAPTIONS,GROUP-ID=")
      writer.quoted(Self.captionGroup)
      writer.literal(",NAME=")
      writer.quoted(channel)
      writer.literal(",DEFAULT=NO,AUTOSELECT=YES,INSTREAM-ID=")
      writer.quoted(channel)
      writer.literal("\n")
    }
  }

  mutating func variant(_ variant: Variant) {
    writer.literal("#EXT-X-STREAM-INF:")
    rates(variant.bandwidth, codecs: variant.codecStrings)
    let track = variant.rendition.track
    if track.kind == .video {
      resolution(track)
      if let frameRate = FrameRate(track) {
        writer.literal(",FRAME-RATE=")
        writer.thousandths(frameRate.thousandths)
      }
      videoRange(track)
    }
    if let group = variant.group {
      writer.literal(",AUDIO=")
      writer.quoted(group.identifier)
    }
    if hasSubtitles {
      writer.literal(",SUBTITLES=")
      writer.quoted(Self.subtitleGroup)
    }
    if track.kind == .video {
      // All variants or none name a group (RFC 8216bis §4.4.6.2): channels that one lacks show nothing there.
      writer.literal(",CLOSED-CAPTIONS=")
      if captions.isEmpty { writer.literal("NONE") } else { writer.quoted(Self.captionGroup) }
    }
    writer.literal("\n")
    playlist(variant.rendition.name, form)
    writer.literal("\n")
  }

  mutating func iFrames(of rendition: PresentationRendition, bandwidth: Bandwidth) {
    writer.literal("#EXT-X-I-FRAME-STREAM-INF:")
    rates(bandwidth, codecs: [rendition.track.codecString])
    resolution(rendition.track)
    videoRange(rendition.track)
    writer.literal(",URI=\"")
    child(rendition.name, form == .transport ? "/iframes_ts.m3u8" : "/iframes.m3u8")
    writer.literal("\"\n")
  }

  mutating func images(_ set: ImageSet) {
    writer.literal("#EXT-X-IMAGE-STREAM-INF:BANDWIDTH=")
    writer.decimal(set.bandwidth)
    writer.literal(",RESOLUTION=")
    writer.decimal(UInt64(set.widthPixels))
    writer.literal("x")
    writer.decimal(UInt64(set.heightPixels))
    writer.literal(",CODECS=\"jpeg\",URI=\"")
    child(set.playlistName, "")
    writer.literal("\"\n")
  }

  private mutating func playlist(_ name: String, _ form: DeliveryForm) {
    switch form {
    case .fragments: child(name, "/playlist.m3u8")
    case .transport: child(name, "/playlist_ts.m3u8")
    case .byteRanges: child(name, "/playlist_byterange.m3u8")
    }
  }

  private mutating func child(_ name: String, _ file: StaticString) {
    writer.raw(prefix)
    writer.raw(URIText.pathSegment(name))
    writer.literal(file)
    writer.raw(suffix)
  }

  private mutating func language(_ language: WrittenLanguage?) {
    guard let language else { return }
    writer.literal(",LANGUAGE=\"")
    writer.raw(language.bytes)
    writer.literal("\"")
  }

  private mutating func rates(_ bandwidth: Bandwidth, codecs: [String]) {
    writer.literal("BANDWIDTH=")
    writer.decimal(bandwidth.peak)
    writer.literal(",AVERAGE-BANDWIDTH=")
    writer.decimal(bandwidth.average)
    writer.literal(",CODECS=")
    writer.quoted(codecs.joined(separator: ","))
  }

  private mutating func resolution(_ track: Track) {
    let shape = PictureShape(track)
    let width = track.displayWidthPixels > 0 ? UInt64(track.displayWidthPixels) : shape.widthPixels
    let height = track.displayHeightPixels > 0 ? UInt64(track.displayHeightPixels) : shape.heightPixels
    guard width > 0, height > 0 else { return }
    writer.literal(",RESOLUTION=")
    writer.decimal(width)
    writer.literal("x")
    writer.decimal(height)
  }

  private mutating func videoRange(_ track: Track) {
    switch VideoRange(transferCharacteristics: track.transferCharacteristics) {
    case .sdr: writer.literal(",VIDEO-RANGE=SDR")
    case .hlg: writer.literal(",VIDEO-RANGE=HLG")
    case .pq: writer.literal(",VIDEO-RANGE=PQ")
    }
  }
}
