import HTTP

/// The members of an object that a client sent, taken out one by one; what is left at the end is refused.
///
///     var fields = try JSONFields(body)
///     let title = try fields.text("title", most: 500)
///     try fields.end()
public struct JSONFields {
  /// What stands under a key.
  public enum Member<Value: Sendable>: Sendable {
    case absent
    case null
    case value(Value)
  }

  private var left: [JSONValue.Member]
  private var known: [String] = []

  /// - Throws: `invalid-json` for what is no JSON, `invalid-field` for what is no object.
  public init(_ text: [UInt8]) throws(Problem) {
    let value: JSONValue
    do throws(JSONError) { value = try JSONValue(text) } catch { throw .invalidJSON(error) }
    guard case .object(let members) = value else {
      throw .invalidField("The body is \(value.typeName); it must be an object.")
    }
    left = members
  }

  /// A value as it is.
  public mutating func member(_ key: String) -> Member<JSONValue> {
    known.append(key)
    guard let index = left.firstIndex(where: { $0.key == key }) else { return .absent }
    let value = left.remove(at: index).value
    return value == .null ? .null : .value(value)
  }

  /// Text without control characters.
  ///
  /// - Parameters:
  ///   - most: characters (Unicode scalars) that it may have.
  ///   - hasLines: whether line ends and tabs may be in it.
  public mutating func text(
    _ key: String, most: Int, hasLines: Bool = false
  ) throws(Problem) -> Member<String> {
    switch member(key) {
    case .absent: return .absent
    case .null: return .null
    case .value(.string(let text)):
      try Self.check(text, key, most: most, hasLines: hasLines)
      return .value(text)
    case .value(let other): throw .wrongType(key, other, "a string")
    }
  }

  /// A list of different texts, none of them empty.
  public mutating func texts(
    _ key: String, most: Int, mostCharacters: Int
  ) throws(Problem) -> Member<[String]> {
    switch member(key) {
    case .absent: return .absent
    case .null: return .null
    case .value(.array(let values)):
      guard values.count <= most else { throw .invalidField("\"\(key)\" has more than \(most) items.") }
      var texts: [String] = []
      for (index, value) in values.enumerated() {
        let place = "\(key)[\(index)]"
        guard case .string(let text) = value else { throw .wrongType(place, value, "a string") }
        if text.isEmpty { throw .invalidField("\"\(place)\" is empty.") }
        try Self.check(text, place, most: mostCharacters, hasLines: false)
        if texts.contains(text) { throw .invalidField("\"\(place)\" is in the list already.") }
        texts.append(text)
      }
      return .value(texts)
    case .value(let other): throw .wrongType(key, other, "an array of strings")
    }
  }

  /// One of some words.
  public mutating func word(_ key: String, of words: [String]) throws(Problem) -> Member<String> {
    switch member(key) {
    case .absent: return .absent
    case .null: return .null
    case .value(.string(let text)):
      guard words.contains(text) else {
        throw .invalidField("\"\(key)\" must be one of \(words.joined(separator: ", ")).")
      }
      return .value(text)
    case .value(let other): throw .wrongType(key, other, "a string")
    }
  }

  /// A whole number.
  public mutating func integer(
    _ key: String, in range: ClosedRange<Int64>
  ) throws(Problem) -> Member<Int64> {
    switch member(key) {
    case .absent: return .absent
    case .null: return .null
    case .value(.number(let text)):
      guard let number = Int64(text), range.contains(number) else {
        throw .invalidField(
          "\"\(key)\" must be a whole number from \(range.lowerBound) to \(range.upperBound).")
      }
      return .value(number)
    case .value(let other): throw .wrongType(key, other, "a whole number")
    }
  }

  /// A number that is not negative, in thousandths: `12.5` is 12500. More than three decimals are cut off.
  ///
  /// - Parameter most: in thousandths.
  public mutating func thousandths(_ key: String, most: UInt64) throws(Problem) -> Member<UInt64> {
    switch member(key) {
    case .absent: return .absent
    case .null: return .null
    case .value(.number(let text)):
      guard let number = Self.thousandths(text), number <= most else {
        throw .invalidField("\"\(key)\" must be a number from 0 to \(most / 1000), such as 12.5.")
      }
      return .value(number)
    case .value(let other): throw .wrongType(key, other, "a number")
    }
  }

  /// Of a number as JSON writes it; nil for a negative one and one that does not fit.
  private static func thousandths(_ text: String) -> UInt64? {
    if text.hasPrefix("-") { return Double(text) == 0 ? 0 : nil }
    guard text.utf8.contains(where: { $0 == UInt8(ascii: "e") || $0 == UInt8(ascii: "E") }) else {
      let parts = text.split(separator: ".", maxSplits: 1)
      let decimals = (parts.count > 1 ? String(parts[1].prefix(3)) : "") + "000"
      guard let whole = UInt64(parts[0]), whole < 1 << 40, let rest = UInt64(decimals.prefix(3)) else {
        return nil
      }
      return whole * 1000 + rest
    }
    guard let value = Double(text), value >= 0, value < 1e12 else { return nil }
    return UInt64(value * 1000)
  }

  /// - Throws: `invalid-field` where there are keys that nobody asked for.
  public func end() throws(Problem) {
    guard let first = left.first else { return }
    let names = known.joined(separator: ", ")
    throw .invalidField("The key \"\(Self.shown(first.key))\" is unknown; known are: \(names).")
  }

  /// A key of the client's, short enough to be repeated.
  private static func shown(_ key: String) -> String { key.count <= 64 ? key : key.prefix(64) + "…" }

  private static func check(_ text: String, _ key: String, most: Int, hasLines: Bool) throws(Problem) {
    guard text.unicodeScalars.count <= most else {
      throw .invalidField("\"\(key)\" has more than \(most) characters.")
    }
    for scalar in text.unicodeScalars where scalar.value < 0x20 || scalar.value == 0x7F {
      if hasLines, scalar == "\n" || scalar == "\r" || scalar == "\t" { continue }
      throw .invalidField("\"\(key)\" holds a control character.")
    }
  }
}
