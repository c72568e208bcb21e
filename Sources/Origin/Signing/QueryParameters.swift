/// A query taken apart at its ampersands, nothing decoded.
///
/// Tokens are strict, so names and values are compared as they were sent. A name that is spelled with escapes could be
/// read as one of a token's by somebody else in front of us: it counts as its decoded self in `isDisguised`.
struct QueryParameters: Sendable {
  struct Parameter: Sendable, Equatable {
    var name: ArraySlice<UInt8>
    /// Without the equals sign; nil where there is none.
    var value: ArraySlice<UInt8>?
  }

  let bytes: [UInt8]
  let parameters: [Parameter]

  init(_ query: [UInt8]) {
    bytes = query
    var parameters: [Parameter] = []
    var start = 0
    while !query.isEmpty, start <= query.count {
      let end = query[start...].firstIndex(of: UInt8(ascii: "&")) ?? query.count
      let pair = query[start..<end]
      if let equals = pair.firstIndex(of: UInt8(ascii: "=")) {
        parameters.append(Parameter(name: pair[..<equals], value: pair[(equals + 1)...]))
      } else {
        parameters.append(Parameter(name: pair, value: nil))
      }
      start = end + 1
    }
    self.parameters = parameters
  }

  /// The places of a parameter, by its exact name.
  func indices(of name: String) -> [Int] {
    parameters.indices.filter { parameters[$0].name.elementsEqual(name.utf8) }
  }

  func contains(_ name: String) -> Bool {
    parameters.contains { $0.name.elementsEqual(name.utf8) }
  }

  /// Whether a name is written with escapes that stand for one of `names`.
  func isDisguised(_ names: [String]) -> Bool {
    parameters.contains { parameter in
      guard parameter.name.contains(UInt8(ascii: "%")),
        let decoded = PercentText.decoded(parameter.name)
      else { return false }
      return names.contains { $0.utf8.elementsEqual(decoded) }
    }
  }

  /// The query without the parameters in `places`.
  func without(_ places: Set<Int>) -> [UInt8] {
    var rest: [UInt8] = []
    for (index, parameter) in parameters.enumerated() where !places.contains(index) {
      if !rest.isEmpty { rest.append(UInt8(ascii: "&")) }
      rest += parameter.name
      if let value = parameter.value {
        rest.append(UInt8(ascii: "="))
        rest += value
      }
    }
    return rest
  }

  /// The one value of a parameter; nil where it is absent, without a value, or there twice.
  func single(_ name: String) -> ArraySlice<UInt8>? {
    let places = indices(of: name)
    return places.count == 1 ? parameters[places[0]].value : nil
  }
}

/// Escapes in a query.
enum PercentText {
  /// Undoes every escape, whatever it stands for; nil for a malformed one.
  static func decoded(_ text: some Collection<UInt8>) -> [UInt8]? {
    var bytes: [UInt8] = []
    bytes.reserveCapacity(text.count)
    var iterator = text.makeIterator()
    while let byte = iterator.next() {
      guard byte == UInt8(ascii: "%") else {
        bytes.append(byte)
        continue
      }
      guard let high = iterator.next().flatMap(hexValue), let low = iterator.next().flatMap(hexValue) else {
        return nil
      }
      bytes.append(high << 4 | low)
    }
    return bytes
  }

  /// Escapes all but what is unreserved, and slashes, which may stand in a query (RFC 3986 §3.4).
  static func encoded(_ bytes: [UInt8]) -> [UInt8] {
    let digits = Array("0123456789ABCDEF".utf8)
    return bytes.flatMap { byte in
      switch byte {
      case 0x2D...0x39, 0x41...0x5A, 0x5F, 0x61...0x7A, 0x7E: [byte]
      default: [UInt8(ascii: "%"), digits[Int(byte >> 4)], digits[Int(byte & 15)]]
      }
    }
  }

  static func hexValue(_ byte: UInt8) -> UInt8? {
    switch byte {
    case 0x30...0x39: byte - 0x30
    case 0x41...0x46: byte - 0x37
    case 0x61...0x66: byte - 0x57
    default: nil
    }
  }
}
