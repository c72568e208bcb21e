/// What may be inside a string: its description, the list of choices when it is closed, and the check.
public struct ConfigText: Sendable {
  /// The answer about one string.
  public enum Verdict: Sendable, Equatable {
    /// Good; carries the text to use, which may be a normal form of what was written.
    case accepted(String)
    /// Not good. `reason` replaces the standard sentence; `suggestion` is the nearest right spelling.
    case refused(reason: String? = nil, suggestion: String? = nil)
  }

  /// Continues "is not …" and "takes …": with its article, such as `a host name`.
  public let summary: String
  /// All allowed texts, when they can be listed.
  public let choices: [String]
  public let check: @Sendable (String) -> Verdict

  /// A kind of string with its own check.
  public init(_ summary: String, check: @escaping @Sendable (String) -> Verdict) {
    self.summary = summary
    self.choices = []
    self.check = check
  }

  private init(choices: [String]) {
    self.summary = "one of " + choices.map(TOMLText.quoted).joined(separator: ", ")
    self.choices = choices
    self.check = { text in
      choices.contains(text) ? .accepted(text) : .refused(suggestion: NearestName.of(text, in: choices))
    }
  }

  /// Any string, the empty one too.
  public static let any = ConfigText("a string") { .accepted($0) }

  /// Any string but the empty one.
  public static let nonEmpty = ConfigText("a string with at least one character") {
    $0.isEmpty ? .refused(reason: "this must not be empty") : .accepted($0)
  }

  /// A name of 1 to 64 letters, digits, `-` and `_`, as for sites, keys and assets.
  public static let identifier = matching("a name of 1 to 64 letters, digits, \"-\" and \"_\"") {
    (1...64).contains($0.utf8.count) && $0.utf8.allSatisfy(isIdentifierByte)
  }

  /// A header field name (RFC 9110 §5.1).
  public static let fieldName = matching("a header field name", isFieldName)

  /// A header field name, or nothing to turn the header off.
  public static let fieldNameOrEmpty = matching("a header field name, or \"\" for none") {
    $0.isEmpty || isFieldName($0)
  }

  /// What may follow the colon of a header field (RFC 9110 §5.5): visible ASCII with inner spaces and tabs.
  public static let fieldValue = matching("a header field value of visible ASCII") { text in
    let bytes = Array(text.utf8)
    guard let first = bytes.first, let last = bytes.last else { return true }
    let isInside = bytes.allSatisfy { (0x20...0x7E).contains($0) || $0 == 0x09 }
    return isInside && first > 0x20 && last > 0x20
  }

  /// Exactly one of these texts.
  public static func oneOf(_ choices: String...) -> ConfigText { ConfigText(choices: choices) }

  public static func oneOf(_ choices: [String]) -> ConfigText { ConfigText(choices: choices) }

  /// Every text for which `isValid` holds. `summary` continues "is not …".
  public static func matching(
    _ summary: String, _ isValid: @escaping @Sendable (String) -> Bool
  ) -> ConfigText {
    ConfigText(summary) { isValid($0) ? .accepted($0) : .refused() }
  }

  @Sendable private static func isFieldName(_ text: String) -> Bool {
    !text.isEmpty
      && text.utf8.allSatisfy { byte in
        isIdentifierByte(byte) || "!#$%&'*+.^`|~".utf8.contains(byte)
      }
  }

  @Sendable private static func isIdentifierByte(_ byte: UInt8) -> Bool {
    switch byte {
    case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
      UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "_"):
      true
    default: false
    }
  }
}
