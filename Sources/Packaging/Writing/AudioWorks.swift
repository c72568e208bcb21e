/// What a rendition of sound is to a listener: the film in a language, or a further track of that language, such as a
/// commentary. Renditions that differ in coding or number of channels are the same work when each is the first of its
/// language in its coding, each the second, and so on: a source says no more about it than its order.
struct AudioWork: Equatable {
  var language: WrittenLanguage?
  /// 0 for the first of its language.
  var ordinal: Int

  /// The work of each of `renditions`, which are all sound.
  static func works(of renditions: [PresentationRendition]) -> [AudioWork] {
    var seen: [(coding: AudioCoding, language: WrittenLanguage?)] = []
    return renditions.map { rendition in
      let coding = AudioCoding(rendition.track)
      let language = WrittenLanguage(rendition.track.language)
      let ordinal = seen.count { $0 == (coding, language) }
      seen.append((coding, language))
      return AudioWork(language: language, ordinal: ordinal)
    }
  }
}

/// What a player must be able to play: coding, number of channels, and whether they are objects.
struct AudioCoding: Equatable {
  var codecString: String
  var channelCount: UInt16
  var objectComplexity: UInt8?

  init(_ track: Track) {
    codecString = track.codecString
    channelCount = track.channelCount
    objectComplexity = AudioChannels(track).objectComplexity
  }
}
