// Languages of tracks as BCP 47 tags.
//
// `mdhd` packs an ISO 639-2 code of three letters; BCP 47 wants the two letters of ISO 639-1 where a language has them
// (RFC 5646 §2.2.1). QuickTime files may hold a Macintosh language number instead, all below 0x400.

enum TrackLanguage {
  /// The tag for the language field of `mdhd`; `und` where it says nothing.
  static func of(packed code: UInt16) -> String {
    if code < 0x400 { return code < macintosh.count ? macintosh[Int(code)] : "und" }
    let letters = [code >> 10 & 31, code >> 5 & 31, code & 31].map { UInt8($0) + 0x60 }
    guard letters.allSatisfy({ (0x61...0x7A).contains($0) }) else { return "und" }
    return shortest(String(decoding: letters, as: UTF8.self))
  }

  /// The tag of an `elng` box if it is well-formed enough to stand in a manifest: letters, digits and hyphens.
  static func of(extended text: [UInt8]) -> String? {
    let tag = text.prefix { $0 != 0 }
    let isTag = tag.allSatisfy { byte in
      (0x61...0x7A).contains(byte | 0x20) || (0x30...0x39).contains(byte) || byte == 0x2D
    }
    guard (2...35).contains(tag.count), isTag else { return nil }
    return String(decoding: tag, as: UTF8.self)
  }

  /// The two-letter form of a three-letter code if there is one, else the code itself.
  private static func shortest(_ code: String) -> String {
    // Entries are three letters, two letters and a space.
    let wanted = Array(code.utf8)
    let table = Array(twoLetters.utf8)
    for start in stride(from: 0, to: table.count - 4, by: 6)
    where table[start..<start + 3].elementsEqual(wanted) {
      return String(decoding: table[start + 3..<start + 5], as: UTF8.self)
    }
    return code
  }

  /// ISO 639-2 (terminological and bibliographic) followed by ISO 639-1.
  static let twoLetters = """
    aaraa abkab afraf akaak albsq amham araar argan armhy asmas avaav aveae aymay azeaz bakba bambm \
    baqeu belbe benbn bihbh bisbi bodbo bosbs brebr bulbg burmy catca cescs chach chece chizh chucu \
    chvcv corkw cosco crecr cymcy czecs danda deude divdv dutnl dzodz ellel engen epoeo estet euseu \
    eweee faofo fasfa fijfj finfi frafr frefr fryfy fulff geoka gerde glagd glega glggl glvgv greel \
    grngn gujgu hatht hauha hebhe herhz hinhi hmoho hrvhr hunhu hyehy iboig iceis idoio iiiii ikuiu \
    ileie inaia indid ipkik islis itait javjv jpnja kalkl kankn kasks katka kaukr kazkk khmkm kikki \
    kinrw kirky komkv konkg korko kuakj kurku laolo latla lavlv limli linln litlt ltzlb lublu luglg \
    macmk mahmh malml maomi marmr mayms mkdmk mlgmg mltmt monmn mrimi msams myamy nauna navnv nblnr \
    ndend ndong nepne nldnl nnonn nobnb norno nyany ocioc ojioj orior ormom ossos panpa perfa plipi \
    polpl porpt pusps quequ rohrm ronro rumro runrn rusru sagsg sansa sinsi slksk slosk slvsl smese \
    smosm snasn sndsd somso sotst spaes sqisq srdsc srpsr sswss sunsu swasw swesv tahty tamta tattt \
    telte tgktg tgltl thath tibbo tirti tonto tsntn tsots tuktk turtr twitw uigug ukruk urdur uzbuz \
    venve vievi volvo welcy wlnwa wolwo xhoxh yidyi yoryo zhaza zhozh zulzu
    """

  /// Macintosh language numbers (QuickTime File Format, appendix on language codes).
  private static let macintosh = [
    "en", "fr", "de", "it", "nl", "sv", "es", "da", "pt", "no", "he", "ja", "ar", "fi", "el", "is", "mt",
    "tr", "hr",
    "zh", "ur", "hi", "th", "ko", "lt", "pl", "hu", "et", "lv", "se", "fo", "fa", "ru", "zh", "nl", "ga",
    "sq", "ro",
    "cs", "sk", "sl", "yi", "sr", "mk", "bg", "uk", "be", "uz", "kk", "az", "az", "hy", "ka", "mo", "ky",
    "tg", "tk",
  ]
}
