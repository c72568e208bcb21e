// Signed URLs and cookies of Amazon CloudFront, taken apart.
//
//     ?Expires=1700003600&Signature=…&Key-Pair-Id=K2JC…                 canned policy
//     ?Policy=…&Signature=…&Key-Pair-Id=K2JC…                           custom policy
//     Cookie: CloudFront-Expires or CloudFront-Policy, CloudFront-Signature, CloudFront-Key-Pair-Id
//
// and `Hash-Algorithm=SHA256` where the signature is not over SHA-1. The signature is over the policy: as it was sent, or,
// canned, as it is rebuilt from the URL without these parameters, byte for byte:
//
//     {"Statement":[{"Resource":"https://…","Condition":{"DateLessThan":{"AWS:EpochTime":1700003600}}}]}
//
// Policies and signatures are Base64 with `-`, `_` and `~` in the places of `+`, `=` and `/`. In a resource `*` stands
// for any number of characters and `?` for one. A policy that holds anything that is not understood here is refused.

import FoundationEssentials

/// A policy that was sent.
struct CloudFrontPolicy: Sendable, Equatable {
  /// Larger ones are no policies: CloudFront's own limit on URLs is 8,192 bytes.
  static let largestBytes = 4096

  var resource: String
  var expiresSeconds: Int64
  var startSeconds: Int64?
  /// An IPv4 network such as `203.0.113.0/24`.
  var network: String?

  /// Nil for what is not a policy of one statement that can be checked.
  init?(_ bytes: [UInt8]) {
    guard bytes.count <= Self.largestBytes,
      let document = try? JSONDecoder().decode(StrictJSON.self, from: Data(bytes)),
      case .object(let root) = document, root.count == 1, case .array(let statements) = root["Statement"],
      statements.count == 1, case .object(let statement) = statements[0],
      Set(statement.keys) == ["Resource", "Condition"], case .string(let resource) = statement["Resource"],
      case .object(let conditions) = statement["Condition"]
    else { return nil }
    self.resource = resource
    var expires: Int64?
    for (name, condition) in conditions {
      guard case .object(let values) = condition, values.count == 1, let value = values.first else {
        return nil
      }
      switch (name, value.key, value.value) {
      case ("DateLessThan", "AWS:EpochTime", .integer(let seconds)): expires = seconds
      case ("DateGreaterThan", "AWS:EpochTime", .integer(let seconds)): startSeconds = seconds
      case ("IpAddress", "AWS:SourceIp", .string(let text)): network = text
      default: return nil
      }
    }
    guard let expires, PlainNumber.isTime(expires), PlainNumber.isTime(startSeconds ?? 0) else { return nil }
    expiresSeconds = expires
  }

  /// The text that a canned policy stands for; nil where the URL would have to be escaped in it.
  static func canned(_ url: [UInt8], expires: [UInt8]) -> [UInt8]? {
    guard !url.contains(where: { $0 < 0x21 || $0 > 0x7E || $0 == 0x22 || $0 == 0x5C }) else { return nil }
    return Array("{\"Statement\":[{\"Resource\":\"".utf8) + url
      + Array("\",\"Condition\":{\"DateLessThan\":{\"AWS:EpochTime\":".utf8) + expires + Array("}}}]}".utf8)
  }

  /// CloudFront's Base64, of which every text has one spelling.
  static func decode(_ text: some BidirectionalCollection<UInt8>) -> [UInt8]? {
    let padding = text.reversed().prefix { $0 == UInt8(ascii: "_") }.count
    let digits = text.dropLast(padding)
    guard text.count % 4 == 0, padding <= 2 else { return nil }
    return StrictBase64.decode(digits, UInt8(ascii: "-"), UInt8(ascii: "~"))
  }

  /// Whether an IPv4 address lies in a network; false for what is neither.
  static func contains(_ network: String, _ address: String) -> Bool {
    let parts = network.split(separator: "/", omittingEmptySubsequences: false)
    guard parts.count <= 2, let base = number(parts[0]), let number = number(address[...]) else {
      return false
    }
    guard parts.count == 2 else { return base == number }
    guard let length = PlainNumber.seconds(parts[1].utf8), length <= 32 else { return false }
    let mask = length == 0 ? 0 : UInt32.max << UInt32(32 - length)
    return base & mask == number & mask
  }

  private static func number(_ text: Substring) -> UInt32? {
    let parts = text.split(separator: ".", omittingEmptySubsequences: false).map {
      PlainNumber.seconds($0.utf8)
    }
    guard parts.count == 4 else { return nil }
    var number: UInt32 = 0
    for part in parts {
      guard let part, part <= 255 else { return nil }
      number = number << 8 | UInt32(part)
    }
    return number
  }
}

/// What a policy may consist of.
private enum StrictJSON: Decodable {
  case object([String: StrictJSON])
  case array([StrictJSON])
  case string(String)
  case integer(Int64)

  init(from decoder: any Decoder) throws {
    let container = try decoder.singleValueContainer()
    if let value = try? container.decode([String: StrictJSON].self) {
      self = .object(value)
    } else if let value = try? container.decode([StrictJSON].self) {
      self = .array(value)
    } else if let value = try? container.decode(String.self) {
      self = .string(value)
    } else {
      self = .integer(try container.decode(Int64.self))
    }
  }
}
