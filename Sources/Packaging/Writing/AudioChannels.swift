/// What manifests say of a sound track's channels.
///
/// A count alone is a channel configuration only together with the order that a coding gives it. AC-3 and E-AC-3 name
/// their speakers; that is read from the track's sample entry, whose reader is the one that ingest used.
struct AudioChannels {
  private var count: UInt16
  private var codec: TrackCodec
  private var dolby: DolbyAudioConfiguration?
  /// Channels of Opus that stand for no speakers: sound fields, and whatever the encoder was given.
  private var isWithoutPlaces: Bool

  init(_ track: Track) {
    count = track.channelCount
    codec = track.codec
    dolby = DolbyAudioConfiguration(track)
    isWithoutPlaces = OpusConfigurationBox(track).map { $0.mappingFamily > 1 } ?? false
  }

  /// Objects of Dolby Atmos in E-AC-3; `nil` for sound without.
  var objectComplexity: UInt8? {
    dolby.flatMap { $0.objectComplexity > 0 ? $0.objectComplexity : nil }
  }

  /// `CHANNELS` of RFC 8216bis §4.4.6.1: a count, or the number of objects and `JOC`; `nil` where unknown.
  var playlistText: String? {
    if let objectComplexity { return "\(objectComplexity)/JOC" }
    return count > 0 ? String(count) : nil
  }

  /// An `AudioChannelConfiguration` of DASH.
  struct Descriptor: Equatable {
    var scheme: String
    var value: String
  }

  /// For AC-3 and E-AC-3 the speakers in Dolby's scheme, four hexadecimal digits (ETSI TS 102 366 Annex I), else
  /// the ChannelConfiguration of ISO/IEC 23091-3; `nil` where there is none for these channels.
  var descriptor: Descriptor? {
    if let dolby {
      let digits = String(dolby.speakers, radix: 16, uppercase: true)
      return Descriptor(
        scheme: "tag:dolby.com,2014:dash:audio_channel_configuration:2011",
        value: String(repeating: "0", count: 4 - digits.count) + digits)
    }
    return configuration.map {
      Descriptor(scheme: "urn:mpeg:mpegB:cicp:ChannelConfiguration", value: String($0))
    }
  }

  /// AAC and ALAC have the same orders, Opus and FLAC the others: four channels are a square there, and eight have
  /// their fourth pair behind the listener.
  private var configuration: UInt16? {
    guard !isWithoutPlaces else { return nil }
    let isSquare = codec == .opus || codec == .flac
    switch count {
    case 4: return isSquare ? 9 : 4
    case 1...6: return count
    case 7: return 11
    case 8: return isSquare ? 12 : 7
    default: return nil
    }
  }
}
