import HTTP

extension CMCD {
  /// An object with its keys as members. Lists become arrays, whose members are values without their object types. URLs end
  /// before their query, which may carry a token.
  var json: [UInt8] {
    var json = JSONWriter()
    json.object { json in
      for (key, value) in values {
        json.key(key.rawValue)
        Self.write(key == .nor || key == .url ? Self.withoutQuery(value) : value, to: &json)
      }
    }
    return json.bytes
  }

  private static func withoutQuery(_ value: Value) -> Value {
    func cut(_ text: String) -> String {
      var text = text[...]
      for mark in ["?", "%3F", "%3f"] {
        if let found = text.firstRange(of: mark) { text = text[..<found.lowerBound] }
      }
      return String(text)
    }
    switch value {
    case .string(let text), .token(let text): return .string(cut(text))
    case .list(let members):
      return .list(
        members.map { Member(value: withoutQuery($0.value), objectType: $0.objectType) })
    default: return value
    }
  }

  private static func write(_ value: Value, to json: inout JSONWriter) {
    switch value {
    case .flag(let flag): json.value(flag)
    case .integer(let number): json.value(number)
    case .thousandths(let number): json.value(thousandths: UInt64(clamping: number))
    case .token(let text), .string(let text): json.value(text)
    case .list(let members): json.array(members) { write($1.value, to: &$0) }
    }
  }
}
