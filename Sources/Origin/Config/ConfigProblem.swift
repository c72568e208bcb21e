/// Something wrong in a configuration file, with the place and, where one is near, the right spelling.
///
/// Prints as compilers do, so that editors jump to it:
/// `etc/sites/demo.toml:12:3: unknown key "segmnt" in [packaging]; did you mean "segment"?`
public struct ConfigProblem: Sendable, Equatable, CustomStringConvertible {
  /// Whether the configuration can still be used.
  public enum Severity: String, Sendable {
    case error
    case warning
  }

  /// A stable word for the class of problem, for tools. The set grows.
  public struct Code: RawRepresentable, Sendable, Hashable {
    public let rawValue: String
    public init(rawValue: String) { self.rawValue = rawValue }

    /// The file, or a folder it needs, cannot be read.
    public static let unreadable = Code(rawValue: "unreadable")
    /// Not TOML.
    public static let syntax = Code(rawValue: "syntax")
    public static let unknownKey = Code(rawValue: "unknown_key")
    public static let unknownSection = Code(rawValue: "unknown_section")
    public static let unknownPlugin = Code(rawValue: "unknown_plugin")
    public static let wrongType = Code(rawValue: "wrong_type")
    /// A duration or a size without its unit, or with one that does not exist.
    public static let badUnit = Code(rawValue: "bad_unit")
    public static let outOfRange = Code(rawValue: "out_of_range")
    public static let invalidValue = Code(rawValue: "invalid_value")
    public static let missingKey = Code(rawValue: "missing_key")
    /// The same host, identifier or address twice.
    public static let duplicate = Code(rawValue: "duplicate")
    /// A secret that is missing, empty or given twice.
    public static let secret = Code(rawValue: "secret")
    /// A secret file that every user of the machine can read.
    public static let exposedSecret = Code(rawValue: "exposed_secret")
    /// A setting whose effect this version does not have.
    public static let notAvailable = Code(rawValue: "not_available")
    /// The pattern for site files matches nothing.
    public static let noSites = Code(rawValue: "no_sites")
  }

  public let severity: Severity
  /// The path as the user would write it.
  public let file: String
  /// From 1.
  public let line: Int
  /// From 1, in Unicode scalars, as toml++ counts.
  public let column: Int
  /// The full key, `packaging.segment` or `api.tokens[0].id`; empty when the problem is not about one.
  public let key: String
  public let code: Code
  public let message: String
  public let suggestion: String?

  public init(
    severity: Severity = .error, file: String, line: Int = 1, column: Int = 1, key: String = "", code: Code,
    message: String, suggestion: String? = nil
  ) {
    self.severity = severity
    self.file = file
    self.line = line
    self.column = column
    self.key = key
    self.code = code
    self.message = message
    self.suggestion = suggestion
  }

  public var description: String {
    let kind = severity == .warning ? "warning: " : ""
    return "\(file):\(line):\(column): \(kind)\(message)\(question)"
  }

  private var question: String {
    guard let suggestion else { return "" }
    // What brings its own quotes, such as a list, is not quoted again.
    return "; did you mean \(suggestion.contains("\"") ? suggestion : "\"\(suggestion)\"")?"
  }
}

/// A place in a text, both numbers from 1.
struct ConfigPosition: Sendable, Hashable, Comparable {
  var line: Int
  /// In Unicode scalars.
  var column: Int

  static let start = ConfigPosition(line: 1, column: 1)

  static func < (left: ConfigPosition, right: ConfigPosition) -> Bool {
    (left.line, left.column) < (right.line, right.column)
  }
}

/// One step into a configuration: into a table by name, or into a list by number.
public enum ConfigStep: Sendable, Hashable, ExpressibleByStringLiteral, ExpressibleByIntegerLiteral {
  case key(String)
  case index(Int)

  public init(stringLiteral value: String) { self = .key(value) }
  public init(integerLiteral value: Int) { self = .index(value) }
}

/// The way from the top of a file to one value.
public typealias ConfigPath = [ConfigStep]

extension ConfigPath {
  /// `api.tokens[0].id`, with quotes around names that need them in TOML.
  var text: String {
    var text = ""
    for step in self {
      switch step {
      case .key(let name): text += (text.isEmpty ? "" : ".") + TOMLText.key(name)
      case .index(let number): text += "[\(number)]"
      }
    }
    return text
  }
}
