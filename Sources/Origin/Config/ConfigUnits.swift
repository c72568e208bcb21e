/// Why a duration or size was refused, and how it is probably meant.
public struct ConfigUnitError: Error, Equatable, CustomStringConvertible {
  /// A sentence about the text, without a full stop.
  public let message: String
  /// A right spelling near the text, if there is one.
  public let suggestion: String?

  public var description: String {
    message + (suggestion.map { "; did you mean \"\($0)\"?" } ?? "")
  }
}

/// Durations as they are written: `"250ms"`, `"6s"`, `"1h30m"`, `"7d"`.
///
/// A duration is one or more whole numbers, each with its unit, the larger units first, each unit once.
public enum ConfigDuration {
  private static let units = UnitTable(
    noun: "duration", example: "6s", plainUnit: "s",
    units: [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)],
    aliases: [
      "sec": "s", "secs": "s", "second": "s", "seconds": "s", "min": "m", "mins": "m", "minute": "m",
      "minutes": "m", "hr": "h", "hrs": "h", "hour": "h", "hours": "h", "day": "d", "days": "d", "msec": "ms",
      "millis": "ms", "millisecond": "ms", "milliseconds": "ms",
    ],
    multiples: ["w": ("d", 7), "week": ("d", 7), "weeks": ("d", 7), "y": ("d", 365), "year": ("d", 365)],
    mayCombine: true)

  /// Milliseconds. Throws with the nearest right spelling for anything else than a duration.
  public static func parse(_ text: String) throws(ConfigUnitError) -> Int { try units.parse(text) }

  /// The shortest text that `parse` turns back into `milliseconds`: 5,400,000 is `"1h30m"`.
  public static func render(milliseconds: Int) -> String { units.render(milliseconds) }

  static func declared(_ text: String) -> Int { units.declared(text) }
  static func suggestion(forPlain number: Int) -> String? { units.suggestion(forPlain: number) }
}

/// Byte sizes as they are written: `"512B"`, `"64KiB"`, `"10MiB"`, `"1GB"`.
///
/// One whole number and a unit: binary (KiB, MiB, GiB, TiB) or decimal (KB, MB, GB, TB).
public enum ConfigSize {
  private static let units = UnitTable(
    noun: "size", example: "10MiB", plainUnit: "B",
    units: [
      ("TiB", 1 << 40), ("TB", 1_000_000_000_000), ("GiB", 1 << 30), ("GB", 1_000_000_000), ("MiB", 1 << 20),
      ("MB", 1_000_000), ("KiB", 1 << 10), ("KB", 1_000), ("B", 1),
    ],
    aliases: [
      "k": "KiB", "ki": "KiB", "m": "MiB", "mi": "MiB", "g": "GiB", "gi": "GiB", "t": "TiB", "ti": "TiB",
      "byte": "B", "bytes": "B",
    ],
    multiples: [:], mayCombine: false)

  /// Bytes. Throws with the nearest right spelling for anything else than a size.
  public static func parse(_ text: String) throws(ConfigUnitError) -> Int { try units.parse(text) }

  /// The text with the largest unit that leaves a whole number: 1,048,576 is `"1MiB"`.
  public static func render(bytes: Int) -> String { units.render(bytes) }

  static func declared(_ text: String) -> Int { units.declared(text) }
  static func suggestion(forPlain number: Int) -> String? { units.suggestion(forPlain: number) }
}

/// The units of one quantity and the grammar over them.
private struct UnitTable: Sendable {
  let noun: String
  let example: String
  /// The unit that a number without one is taken to mean, in suggestions only.
  let plainUnit: String
  /// From the largest to the smallest.
  let units: [(name: String, factor: Int)]
  /// Other spellings, in lower case, with the unit that is meant.
  let aliases: [String: String]
  /// Units we do not have, as a multiple of one we do.
  let multiples: [String: (unit: String, factor: Int)]
  let mayCombine: Bool

  private struct Part {
    var digits: String
    var unit: String
  }

  func parse(_ text: String) throws(ConfigUnitError) -> Int {
    guard let parts = split(text), !parts.isEmpty else { throw refusal(of: text) }
    guard mayCombine || parts.count == 1 else { throw refusal(of: text) }
    var total = 0
    var last = -1
    for part in parts {
      guard let position = units.firstIndex(where: { $0.name == part.unit }), position > last else {
        throw refusal(of: text)
      }
      last = position
      guard let number = Int(part.digits), let sum = sum(total, number, units[position].factor) else {
        throw ConfigUnitError(message: "\(TOMLText.quoted(text)) is too large", suggestion: nil)
      }
      total = sum
    }
    return total
  }

  func render(_ amount: Int) -> String {
    if mayCombine, amount > 0 {
      var rest = amount
      var text = ""
      for unit in units where rest >= unit.factor {
        text += "\(rest / unit.factor)\(unit.name)"
        rest %= unit.factor
      }
      return text
    }
    guard amount > 0 else { return "\(amount)\(plainUnit)" }
    let unit = units.first { amount % $0.factor == 0 } ?? units[units.count - 1]
    return "\(amount / unit.factor)\(unit.name)"
  }

  /// For defaults and limits written in the program, where a wrong spelling is a mistake in the program.
  func declared(_ text: String) -> Int {
    guard let amount = try? parse(text) else { preconditionFailure("\"\(text)\" is not a \(noun)") }
    return amount
  }

  func suggestion(forPlain number: Int) -> String? {
    let plain = "\(number)\(plainUnit)"
    guard let amount = try? parse(plain) else { return nil }
    // 65536 is easier to check as 64KiB, 90s is as good as 1m30s.
    return mayCombine ? plain : render(amount)
  }

  private func refusal(of text: String) -> ConfigUnitError {
    ConfigUnitError(
      message: "\(TOMLText.quoted(text)) is not a \(noun) such as \"\(example)\"",
      suggestion: nearest(to: text))
  }

  /// Digits and letters in turn; `nil` when there is anything else or a number has no unit.
  private func split(_ text: String) -> [Part]? {
    var parts: [Part] = []
    for character in text.unicodeScalars {
      switch character {
      case "0"..."9":
        if parts.isEmpty || !parts[parts.count - 1].unit.isEmpty { parts.append(Part(digits: "", unit: "")) }
        parts[parts.count - 1].digits.unicodeScalars.append(character)
      case "a"..."z", "A"..."Z":
        if parts.isEmpty { return nil }
        parts[parts.count - 1].unit.unicodeScalars.append(character)
      default: return nil
      }
    }
    return parts.allSatisfy { !$0.unit.isEmpty } ? parts : nil
  }

  /// Forgives spaces, commas, letter case, long unit names, a missing unit, a decimal point and a wrong order.
  private func nearest(to text: String) -> String? {
    let bare = String(text.filter { $0 != " " && $0 != "," && $0 != "_" && $0 != "\t" })
    if let plain = Int(bare) { return suggestion(forPlain: plain) }
    if let decimal = decimalAmount(bare) { return render(decimal) }
    guard let parts = split(bare), !parts.isEmpty, mayCombine || parts.count == 1 else { return nil }
    var total = 0
    for part in parts {
      guard let factor = meantFactor(part.unit), let number = Int(part.digits),
        let sum = sum(total, number, factor)
      else { return nil }
      total = sum
    }
    return render(total)
  }

  /// `1.5h` in the smallest unit, when that is a whole number of them.
  private func decimalAmount(_ text: String) -> Int? {
    let halves = text.split(separator: ".", maxSplits: 1, omittingEmptySubsequences: false)
    guard halves.count == 2, let whole = Int(halves[0]) else { return nil }
    let fraction = halves[1].prefix { ("0"..."9").contains($0) }
    guard (1...9).contains(fraction.count), let number = Int(fraction),
      let factor = meantFactor(String(halves[1].dropFirst(fraction.count)))
    else { return nil }
    var scale = 1
    for _ in fraction { scale *= 10 }
    let (scaled, overflow) = number.multipliedReportingOverflow(by: factor)
    guard !overflow, scaled % scale == 0 else { return nil }
    return sum(scaled / scale, whole, factor)
  }

  private func meantFactor(_ unit: String) -> Int? {
    let lower = unit.lowercased()
    if let exact = units.first(where: { $0.name == unit }) { return exact.factor }
    if let multiple = multiples[lower], let base = units.first(where: { $0.name == multiple.unit }) {
      return base.factor * multiple.factor
    }
    let meant = aliases[lower] ?? units.first { $0.name.lowercased() == lower }?.name
    return units.first { $0.name == meant }?.factor
  }

  private func sum(_ total: Int, _ number: Int, _ factor: Int) -> Int? {
    let (product, productOverflow) = number.multipliedReportingOverflow(by: factor)
    let (sum, sumOverflow) = total.addingReportingOverflow(product)
    return productOverflow || sumOverflow ? nil : sum
  }
}
