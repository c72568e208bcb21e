// Where a token may be besides our own scheme's place at the end of the query: a parameter, a cookie, a field of its own.

import HTTP

/// Where the verifiers of other schemes look for a token.
enum TokenCarrier: String, Sendable, CaseIterable {
  case query
  case cookie
  case header
}

/// A token as it was sent.
enum CarriedToken: Sendable, Equatable {
  case absent
  case found(text: [UInt8], name: String, carrier: TokenCarrier)
  /// In two places, or twice in one.
  case several

  /// Looks under all of `names` in all of `carriers`.
  init(
    _ names: [String], in carriers: Set<TokenCarrier>, _ asked: TokenRequest, _ request: borrowing RequestHead
  ) {
    self = .absent
    for name in names {
      if carriers.contains(.query) {
        for place in asked.query.indices(of: name) {
          add(Array(asked.query.parameters[place].value ?? []), name, .query)
        }
        if asked.query.isDisguised([name]) { self = .several }
      }
      if carriers.contains(.cookie) {
        for value in request.cookies(named: name) { add(value, name, .cookie) }
      }
      if carriers.contains(.header) {
        for value in request.values(ofField: name) { add(value, name, .header) }
      }
    }
  }

  private mutating func add(_ text: [UInt8], _ name: String, _ carrier: TokenCarrier) {
    self = self == .absent ? .found(text: text, name: name, carrier: carrier) : .several
  }
}

extension RequestHead {
  /// The values of all lines with this name, in any case.
  borrowing func values(ofField name: String) -> [[UInt8]] {
    var values: [[UInt8]] = []
    for index in 0..<fieldCount {
      let sent = fieldName(at: index)
      guard sent.count == name.utf8.count else { continue }
      var isSame = true
      for (offset, byte) in name.utf8.enumerated() where lowerCased(sent[offset]) != lowerCased(byte) {
        isSame = false
      }
      if isSame { values.append([UInt8](copying: fieldValue(at: index))) }
    }
    return values
  }

  /// The values of all cookies with this name, which is case-sensitive (RFC 6265 §5.4).
  borrowing func cookies(named name: String) -> [[UInt8]] {
    guard fieldCount(of: .cookie) > 0 else { return [] }
    return values(ofField: "cookie").flatMap { line in
      line.split(separator: UInt8(ascii: ";")).compactMap { pair -> [UInt8]? in
        let pair = pair.drop { $0 == 0x20 }
        guard let equals = pair.firstIndex(of: UInt8(ascii: "=")), pair[..<equals].elementsEqual(name.utf8)
        else { return nil }
        return Array(pair[(equals + 1)...])
      }
    }
  }
}
