// How subtitles stand in manifests.
//
// HLS (RFC 8216bis §4.4.6.1): one EXT-X-MEDIA each, all in the group `subtitles`, which every variant names. None is the
// default: subtitles show when a viewer asks for them, or when the player chooses by the viewer's language, which
// AUTOSELECT allows. Of several that a player could not choose between (same language, forcedness and
// characteristics) only the first may be selected so.
//
// DASH (ISO/IEC 23009-1 §5.3.3): an AdaptationSet each, whose Representation is the whole file (`text/vtt`, BaseURL). One
// small file is what players do best with; segments of WebVTT are not covered by the DASH profiles.
//
// Whether subtitles are for the deaf and hard of hearing no file says. The one hint is the name that people gave
// them: the words SDH or CC, or "hearing impaired". Only then do manifests claim it.

/// A subtitle rendition as manifests describe it.
public struct SubtitleRendition: Sendable, Equatable {
  /// The word in the URL; unique in the presentation.
  public var name: String
  /// What people see in a menu; may be empty.
  public var label: String
  /// BCP 47, `und` where nobody said.
  public var language: String
  public var isForced: Bool
  /// Length of the whole WebVTT file.
  public var fileBytes: UInt64

  public init(name: String, label: String, language: String, isForced: Bool, fileBytes: UInt64) {
    self.name = name
    self.label = label
    self.language = language
    self.isForced = isForced
    self.fileBytes = fileBytes
  }

  public init(name: String, document: SubtitleDocument, fileBytes: UInt64) {
    self.init(
      name: name, label: document.name, language: document.language, isForced: document.isForced,
      fileBytes: fileBytes)
  }

  /// Whether the label says that sounds are described too.
  public var describesSounds: Bool {
    let words = label.lowercased().split { !$0.isLetter && !$0.isNumber }
    return words.contains("sdh") || words.contains("cc")
      || zip(words, words.dropFirst()).contains { $0 == "hearing" && $1 == "impaired" }
  }

  /// The label, or what else tells the rendition from others.
  fileprivate var shownLabel: String {
    if !label.isEmpty { return label }
    return WrittenLanguage(language) == nil ? "Subtitles" : language
  }
}

/// Makes the EXT-X-MEDIA lines of subtitles.
public enum SubtitleMedia {
  /// What variants state as SUBTITLES when there are any.
  public static let groupIdentifier = "subtitles"

  /// One line for each rendition, each with its line end; empty without renditions.
  ///
  /// - Parameters:
  ///   - uriPrefix: put in front of every child, such as `g/0123456789ab/`; what follows is
  ///     `{rendition}/playlist.m3u8`.
  ///   - uriSuffix: put behind every child, such as a signed query with its question mark, or empty.
  public static func lines(
    _ renditions: [SubtitleRendition], uriPrefix: String, uriSuffix: String = ""
  ) -> [UInt8] {
    let prefix = URIText.reference(uriPrefix)
    let suffix = URIText.reference(uriSuffix)
    var writer = TextWriter(capacityBytes: renditions.count * (320 + prefix.count + suffix.count))
    var usedNames: [String] = []
    var selectable: [(language: WrittenLanguage?, isForced: Bool, describesSounds: Bool)] = []
    for rendition in renditions {
      let language = WrittenLanguage(rendition.language)
      let name = MultivariantPlaylist.uniqueName(rendition.shownLabel, among: usedNames)
      usedNames.append(name)
      let choice = (
        language: language, isForced: rendition.isForced, describesSounds: rendition.describesSounds
      )
      let isSelectable = !selectable.contains { $0 == choice }
      if isSelectable { selectable.append(choice) }

      writer.literal("#EXT-X-MEDIA:TYPE=SUBTITLES,GROUP-ID=")
      writer.quoted(groupIdentifier)
      writer.literal(",NAME=")
      writer.quoted(name)
      if language != nil {
        writer.literal(",LANGUAGE=")
        writer.quoted(rendition.language)
      }
      writer.literal(",DEFAULT=NO")
      writer.literal(isSelectable ? ",AUTOSELECT=YES" : ",AUTOSELECT=NO")
      writer.literal(rendition.isForced ? ",FORCED=YES" : ",FORCED=NO")
      if rendition.describesSounds {
        writer.literal(
          """
          ,CHARACTERISTICS="public.accessibility.transcribes-spoken-dialog,\
          public.accessibility.describes-music-and-sound"
          """)
      }
      writer.literal(",URI=\"")
      writer.raw(prefix)
      writer.raw(URIText.pathSegment(rendition.name))
      writer.literal("/playlist.m3u8")
      writer.raw(suffix)
      writer.literal("\"\n")
    }
    return writer.bytes
  }
}

/// Makes the AdaptationSets of subtitles.
public enum SubtitleAdaptationSet {
  /// The AdaptationSet of a rendition, indented as a child of Period.
  ///
  /// - Parameters:
  ///   - identifier: `id`, unique in the Period.
  ///   - durationMilliseconds: length of the presentation, for `bandwidth`.
  ///   - fileName: of the whole WebVTT file below the rendition's folder.
  ///   - uriSuffix: put behind the file name, such as a signed query with its question mark, or empty.
  public static func bytes(
    _ rendition: SubtitleRendition, identifier: UInt64, durationMilliseconds: UInt64,
    fileName: String = "subtitles.vtt", uriSuffix: String = ""
  ) -> [UInt8] {
    var writer = TextWriter(capacityBytes: 768 + uriSuffix.utf8.count)
    writer.literal("    <AdaptationSet id=\"")
    writer.decimal(identifier)
    writer.literal("\" contentType=\"text\" mimeType=\"text/vtt\"")
    if let language = WrittenLanguage(rendition.language) {
      writer.literal(" lang=\"")
      writer.raw(language.bytes)
      writer.literal("\"")
    }
    writer.literal(">\n")
    if !rendition.label.isEmpty {
      writer.literal("      <Label>")
      writer.escaped(text: rendition.label)
      writer.literal("</Label>\n")
    }
    writer.literal("      <Role schemeIdUri=\"urn:mpeg:dash:role:2011\" value=\"")
    if rendition.isForced {
      writer.literal("forced-subtitle")
    } else {
      writer.literal(rendition.describesSounds ? "caption" : "subtitle")
    }
    writer.literal("\"/>\n      <Representation id=\"")
    writer.raw(URIText.pathSegment(rendition.name))
    writer.literal("\" bandwidth=\"")
    writer.decimal(
      max(
        1,
        ExactDuration.scaled(rendition.fileBytes, by: 8000, over: max(1, durationMilliseconds), rounding: .up)
      ))
    writer.literal("\">\n        <BaseURL>")
    writer.escaped(
      URIText.pathSegment(rendition.name) + [0x2F] + URIText.pathSegment(fileName)
        + URIText.reference(uriSuffix))
    writer.literal("</BaseURL>\n      </Representation>\n    </AdaptationSet>\n")
    return writer.bytes
  }
}

extension TextWriter {
  /// Text of any language for an XML element. Control characters have no place in XML 1.0 and go.
  fileprivate mutating func escaped(text: String) {
    for scalar in text.unicodeScalars where scalar.value != 0xFFFE && scalar.value != 0xFFFF {
      if scalar.isASCII {
        escaped([UInt8(truncatingIfNeeded: scalar.value)])
      } else {
        raw(Array(String(scalar).utf8))
      }
    }
  }
}
