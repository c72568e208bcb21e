// Akamai's EdgeAuth tokens, version 2.0 ("Auth Token 2.0"), taken apart.
//
//     hdnts=st=1700000000~exp=1700003600~acl=/v/abc/*!/keys/*~id=user~data=vip~hmac=a6b8…
//
// Fields are joined by tildes, in the order ip, st, exp, acl, id, data, hmac, each once; only `exp` and `hmac` have to be
// there. The MAC is over the text in front of `~hmac=`, as it was sent, and where there is no `acl` also over `~url=` with
// the path; a salt that both sides know may follow as `~salt=`. The key is the hexadecimal text of some bytes. An `acl` is
// a list of globs; the library that makes tokens may have escaped its characters ("escape early").

/// The fields of a token, and the text that is signed.
struct AkamaiToken: Sendable, Equatable {
  /// In front of `~hmac=`.
  var signed: [UInt8]
  var address: String?
  var startSeconds: Int64?
  var expiresSeconds: Int64
  /// Globs without escapes; nil for a token that is for one path.
  var patterns: [[UInt8]]?
  var code: [UInt8]

  private static let order = ["ip", "st", "exp", "acl", "id", "data", "hmac"]

  /// Nil for what is not such a token.
  init?(_ text: [UInt8]) {
    var values: [String: ArraySlice<UInt8>] = [:]
    var last = -1
    var position = 0
    var signedEnd = 0
    for field in text.split(separator: UInt8(ascii: "~"), omittingEmptySubsequences: false) {
      guard let equals = field.firstIndex(of: UInt8(ascii: "=")) else { return nil }
      let name = String(decoding: field[..<equals], as: UTF8.self)
      guard let place = Self.order.firstIndex(of: name), place > last else { return nil }
      last = place
      values[name] = field[(equals + 1)...]
      if name == "hmac" { signedEnd = max(0, position - 1) }
      position += field.count + 1
    }
    guard last == Self.order.count - 1, signedEnd > 0, let code = values["hmac"].flatMap({ Self.hex($0) }),
      let expires = values["exp"].flatMap({ PlainNumber.seconds($0) })
    else { return nil }
    self.code = code
    expiresSeconds = expires
    signed = Array(text[..<signedEnd])
    if let start = values["st"] {
      guard let seconds = PlainNumber.seconds(start) else { return nil }
      startSeconds = seconds
    }
    if let ip = values["ip"] { address = String(decoding: ip, as: UTF8.self) }
    if let acl = values["acl"] {
      guard let decoded = PercentText.decoded(acl), !decoded.isEmpty else { return nil }
      patterns = decoded.split(separator: UInt8(ascii: "!")).map { Array($0) }
    }
  }

  /// Pairs of digits in lower case, the only spelling.
  private static func hex(_ text: ArraySlice<UInt8>) -> [UInt8]? {
    guard text.count % 2 == 0, !text.contains(where: { (0x41...0x46).contains($0) }) else { return nil }
    var bytes: [UInt8] = []
    var index = text.startIndex
    while index < text.endIndex {
      guard let high = PercentText.hexValue(text[index]), let low = PercentText.hexValue(text[index + 1])
      else {
        return nil
      }
      bytes.append(high << 4 | low)
      index += 2
    }
    return bytes
  }
}

/// Decimal numbers in tokens, of which each has one spelling.
enum PlainNumber {
  /// 2^53: what every language can count to.
  static let latestSeconds: Int64 = 1 << 53

  static func isTime(_ seconds: Int64) -> Bool { (0...latestSeconds).contains(seconds) }

  /// A decimal number without sign or leading zero.
  static func seconds(_ text: some Collection<UInt8>) -> Int64? {
    guard let first = text.first, text.count <= 16, text.count == 1 || first != 0x30 else { return nil }
    var number: Int64 = 0
    for byte in text {
      guard (0x30...0x39).contains(byte) else { return nil }
      number = number * 10 + Int64(byte - 0x30)
    }
    return isTime(number) ? number : nil
  }
}

/// Patterns with `*` for any number of bytes, slashes too, and `?` for one.
enum Glob {
  /// - Complexity: the product of both lengths at worst, without recursion.
  static func matches(_ pattern: some RandomAccessCollection<UInt8>, _ text: [UInt8]) -> Bool {
    let pattern = Array(pattern)
    var (place, index) = (0, 0)
    var star: (pattern: Int, text: Int)?
    while index < text.count {
      if place < pattern.count, pattern[place] == UInt8(ascii: "*") {
        star = (place, index)
        place += 1
      } else if place < pattern.count, pattern[place] == UInt8(ascii: "?") || pattern[place] == text[index] {
        place += 1
        index += 1
      } else if let last = star {
        place = last.pattern + 1
        index = last.text + 1
        star = (last.pattern, index)
      } else {
        return false
      }
    }
    return pattern[place...].allSatisfy { $0 == UInt8(ascii: "*") }
  }
}
