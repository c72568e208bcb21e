import HTTP
import Testing

@testable import Origin

/// Every way in which somebody who holds a token might change it. What comes out is never a valid request.
enum TokenTampering {
  struct Variant: CustomStringConvertible, Sendable {
    let name: String
    let target: String
    var description: String { "\(name): \(target)" }
  }

  /// - Parameter target: a valid request target, the token last in its query.
  static func variants(of target: String) -> [Variant] {
    let bytes = Array(target.utf8)
    let question = bytes.firstIndex(of: 0x3F) ?? bytes.count
    let path = String(decoding: bytes[..<question], as: UTF8.self)
    let query = String(decoding: bytes[(question + 1)...], as: UTF8.self)
    let pairs = query.split(separator: "&").map(String.init)
    var variants: [Variant] = []
    func add(_ name: String, _ path: String, _ query: String) {
      variants.append(Variant(name: name, target: "\(path)?\(query)"))
    }

    // Every byte of path and token, another bit or another case.
    for index in bytes.indices where index > 0 && index != question {
      for changed in [bytes[index] ^ 1, bytes[index] ^ 0x20, bytes[index] ^ 2] {
        guard (0x21...0x7E).contains(changed), changed != bytes[index], changed != 0x23 else { continue }
        var copy = bytes
        copy[index] = changed
        variants.append(Variant(name: "byte \(index)", target: String(decoding: copy, as: UTF8.self)))
      }
    }
    for count in 1..<query.utf8.count { add("cut \(count)", path, String(query.dropLast(count))) }
    for end in ["=", "==", "A", "AA", "%3D", "%20", "+", "%00", "&", "&x", "&=", ";", "/", ".", "-", "_"] {
      add("followed by \(end)", path, query + end)
    }
    for (index, pair) in pairs.enumerated() {
      let name = pair.prefix { $0 != "=" }
      var without = pairs
      without.remove(at: index)
      add("without \(name)", path, without.joined(separator: "&"))
      add("\(name) twice", path, (pairs + [pair]).joined(separator: "&"))
      add("\(name) twice, in front", path, ([pair] + pairs).joined(separator: "&"))
      add("\(name) last", path, (without + [pair]).joined(separator: "&"))
      add("\(name) empty", path, replacing(pairs, index, "\(name)="))
      add("\(name) without a value", path, replacing(pairs, index, String(name)))
      add("\(name) as a list", path, replacing(pairs, index, "\(name)[]\(pair.dropFirst(name.count))"))
      add(
        "\(name) in capitals", path, replacing(pairs, index, name.uppercased() + pair.dropFirst(name.count)))
      add("\(name) in escapes", path, replacing(pairs, index, escaped(name) + pair.dropFirst(name.count)))
      add(
        "\(name) with a space", path, replacing(pairs, index, "\(name)=%20\(pair.dropFirst(name.count + 1))"))
      add("\(name) negative", path, replacing(pairs, index, "\(name)=-1"))
      for number in [
        "1e10", "1700003600.5", "18446744073709551616", "0x7fffffff", "01700003600", "+1700003600",
      ] {
        add("\(name) is \(number)", path, replacing(pairs, index, "\(name)=\(number)"))
      }
      for text in [
        "../k1", "k2", "none", "null", "%2e%2e%2fk1", "*", "/", "//", "/v/", "/v/../", "/v/abc/../",
      ] {
        add("\(name) is \(text)", path, replacing(pairs, index, "\(name)=\(text)"))
      }
    }
    add("semicolons", path, pairs.joined(separator: ";"))
    add("doubled ampersands", path, pairs.joined(separator: "&&"))
    add("reversed", path, pairs.reversed().joined(separator: "&"))
    add("no query", path, "")
    add("a parameter behind", path, query + "&x=1")
    for other in others(of: path) { add("path", other, query) }
    let same = parts(target)
    return variants.filter { parts($0.target) != same }
  }

  /// What the server makes of a target: path and query.
  private static func parts(_ target: String) -> [[UInt8]]? {
    RequestTarget(target).withHead { head in
      var query: [UInt8] = []
      if let sent = head.query { query = [UInt8](copying: sent) }
      return [[UInt8](copying: head.path), query]
    }
  }

  /// At least 200 of the variants of a token of another scheme are refused, the others never reach it.
  ///
  /// - Parameters:
  ///   - isOrdered: whether the scheme wants its parameters in one order, and nothing behind them.
  ///   - isCovered: whether the token is for this other path, too.
  static func expectRefused(
    _ access: SignedAccess, _ target: String, isOrdered: Bool, isCovered: (String) -> Bool
  ) throws {
    var refused = 0
    let query = target.drop { $0 != "?" }
    for variant in variants(of: target) {
      let name = variant.name
      let isReordered =
        name.hasSuffix(" last") || name == "reversed" || name == "doubled ampersands"
        || name == "a parameter behind" || name.hasPrefix("followed by &")
      if isReordered, !isOrdered { continue }
      if variant.target.hasSuffix(query), isCovered(String(variant.target.dropLast(query.count))) { continue }
      switch try SigningFixture.hears(access, variant.target) {
      case "token-invalid", "token-required": refused += 1
      case "malformed": continue
      case let other: #expect(Bool(false), "\(variant): \(other ?? "passes")")
      }
    }
    #expect(refused >= 200, "\(refused)")
  }

  /// Paths that are not the one that was signed, however near.
  static func others(of path: String) -> [String] {
    let folder = path.split(separator: "/").dropLast().joined(separator: "/")
    let name = path.split(separator: "/").last.map(String.init) ?? ""
    return [
      "/\(folder)x/\(name)", "/\(folder)%20/\(name)", "/\(folder)/../other/\(name)", "//\(folder)/\(name)",
      "/\(folder.uppercased())/\(name)", "/f/\(name)", "/\(folder)%0A/\(name)", "/x/\(folder)/\(name)",
      "/\(folder)/..%3B/\(name)", "/\(folder)%5c/\(name)", "/\(folder)%2f\(name)", "/", "/v/",
      "/v/abcd/\(name)",
      "/v/ab/\(name)", "/\(folder)%2525/\(name)",
    ]
  }

  private static func replacing(_ pairs: [String], _ index: Int, _ pair: String) -> String {
    var pairs = pairs
    pairs[index] = pair
    return pairs.joined(separator: "&")
  }

  private static func escaped(_ name: some StringProtocol) -> String {
    guard let first = name.utf8.first else { return "" }
    return "%" + String(first, radix: 16) + name.dropFirst()
  }
}
