import HTTP

extension CMCD {
  /// An object with its keys as members. Lists become arrays, whose members are values without their object types.
  var json: [UInt8] {
    var json = JSONWriter()
    json.object { json in
      for (key, value) in values {
        json.key(key.rawValue)
        Self.write(value, to: &json)
      }
    }
    return json.bytes
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
