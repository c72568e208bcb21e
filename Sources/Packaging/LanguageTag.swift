/// Languages as people and containers write them.
public enum LanguageTag {
  /// The tag of BCP 47 for a tag or an ISO 639-2 code; nil for what has not the shape of a tag.
  ///
  /// Three letters become two where the language has two (RFC 5646 §2.2.1), so that `eng` and `en` are one language.
  /// `und`, which stands for no language, is given back as it is.
  public static func of(_ text: String) -> String? {
    guard text != "und" else { return text }
    guard WrittenLanguage(text) != nil else { return nil }
    let primary = text.prefix { $0 != "-" }
    return TrackLanguage.shortest(primary.lowercased()) + text.dropFirst(primary.count)
  }
}
