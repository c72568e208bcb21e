// Numeric addresses as text, read without the C library: they stand in header fields that anybody may write.

/// An IPv4 or IPv6 address without port. An IPv4 address mapped into IPv6 (`::ffff:192.0.2.1`) is the IPv4 address.
public struct NetworkAddress: Hashable, Sendable {
  /// In host order: 32 bits for IPv4, 128 for IPv6.
  public let bits: UInt128
  public let isIPv6: Bool

  public init(bits: UInt128, isIPv6: Bool) {
    let isMapped = isIPv6 && bits >> 32 == 0xFFFF
    self.bits = isMapped ? bits & 0xFFFF_FFFF : bits
    self.isIPv6 = isIPv6 && !isMapped
  }

  /// Reads `192.0.2.1` or `2001:db8::1`, without brackets, zone or white space; nil for anything else.
  ///
  /// Numbers of IPv4 have no leading zeros, which some read as octal (RFC 6943 §3.1.1).
  public init?(_ text: Span<UInt8>) {
    if let address = Self.readIPv4(text, 0..<text.count) {
      self.init(bits: UInt128(address), isIPv6: false)
    } else if let address = Self.readIPv6(text) {
      self.init(bits: address, isIPv6: true)
    } else {
      return nil
    }
  }

  public init?(_ text: String) { self.init(Array(text.utf8).span) }

  private static func readIPv4(_ text: Span<UInt8>, _ range: Range<Int>) -> UInt32? {
    var address: UInt32 = 0
    var position = range.lowerBound
    for part in 0..<4 {
      if part > 0 {
        guard position < range.upperBound, text[position] == ASCII.period else { return nil }
        position += 1
      }
      let start = position
      var value: UInt32 = 0
      while position < range.upperBound, position - start < 3, let digit = digit(text[position]) {
        value = value * 10 + digit
        position += 1
      }
      let digits = position - start
      guard digits > 0, value < 256, digits == 1 || text[start] != ASCII.zero else { return nil }
      address = address << 8 | value
    }
    return position == range.upperBound ? address : nil
  }

  /// RFC 4291 §2.2.
  private static func readIPv6(_ text: Span<UInt8>) -> UInt128? {
    guard text.count >= 2, text.count <= 45 else { return nil }
    var groups: [UInt16] = []
    groups.reserveCapacity(8)
    /// How many groups stand before the `::`.
    var gap: Int?
    var position = 0
    if text[0] == ASCII.colon {
      guard text[1] == ASCII.colon else { return nil }
      gap = 0
      position = 2
    }
    while position < text.count {
      guard groups.count < 8 else { return nil }
      let start = position
      var value: UInt32 = 0
      while position < text.count, position - start < 4, let digit = ASCII.hexValue(text[position]) {
        value = value << 4 | UInt32(digit)
        position += 1
      }
      if position < text.count, text[position] == ASCII.period {
        guard groups.count <= 6, let last = readIPv4(text, start..<text.count) else { return nil }
        groups.append(UInt16(last >> 16))
        groups.append(UInt16(last & 0xFFFF))
        position = text.count
        break
      }
      guard position > start else { return nil }
      groups.append(UInt16(value))
      guard position < text.count else { break }
      guard text[position] == ASCII.colon else { return nil }
      position += 1
      guard position < text.count else { return nil }
      if text[position] == ASCII.colon {
        guard gap == nil else { return nil }
        gap = groups.count
        position += 1
      }
    }
    // A `::` stands for at least one group.
    guard gap == nil ? groups.count == 8 : groups.count < 8 else { return nil }
    var address: UInt128 = 0
    for (index, group) in groups.enumerated() {
      if index == gap { address <<= UInt128(16 * (8 - groups.count)) }
      address = address << 16 | UInt128(group)
    }
    if gap == groups.count, !groups.isEmpty { address <<= UInt128(16 * (8 - groups.count)) }
    return address
  }

  private static func digit(_ byte: UInt8) -> UInt32? {
    byte >= ASCII.zero && byte <= ASCII.zero + 9 ? UInt32(byte - ASCII.zero) : nil
  }
}

/// A network: an address and how many of its leading bits count (RFC 4632, RFC 4291 §2.3).
public struct NetworkPrefix: Hashable, Sendable {
  public let address: NetworkAddress
  /// 0 to 32, or 128 for IPv6.
  public let length: Int

  /// Reads `10.0.0.0/8`, `2001:db8::/32`, or an address, which is a network of its own; nil for anything else, also when
  /// bits behind the prefix are set: whoever writes `10.1.2.3/8` may mean another network.
  public init?(_ text: String) {
    let parts = text.split(separator: "/", omittingEmptySubsequences: false)
    guard let first = parts.first, let address = NetworkAddress(String(first)), parts.count <= 2 else {
      return nil
    }
    let width = address.isIPv6 ? 128 : 32
    var length = width
    if parts.count == 2 {
      let digits = parts[1].utf8
      guard (1...3).contains(digits.count), digits.allSatisfy({ (0x30...0x39).contains($0) }),
        let number = Int(parts[1]), number <= width
      else { return nil }
      length = number
    }
    guard address.bits & ~Self.mask(length, width) == 0 || length == width else { return nil }
    self.address = address
    self.length = length
  }

  public func contains(_ other: NetworkAddress) -> Bool {
    guard other.isIPv6 == address.isIPv6 else { return false }
    return other.bits & Self.mask(length, address.isIPv6 ? 128 : 32) == address.bits
  }

  private static func mask(_ length: Int, _ width: Int) -> UInt128 {
    let all: UInt128 = width == 128 ? .max : 0xFFFF_FFFF
    return length == 0 ? 0 : all & (.max << UInt128(width - length))
  }
}

extension Array where Element == NetworkPrefix {
  /// Whether any of the networks holds the address.
  public func contains(_ address: NetworkAddress) -> Bool { contains { $0.contains(address) } }
}

extension NetworkAddress {
  /// A hash for tables of addresses: the finaliser of SplitMix64 over both halves.
  ///
  /// - Parameter seed: of the process, so that nobody outside of it can aim at a place in its table.
  public func hash(seed: UInt64) -> UInt64 {
    var mixed = seed ^ UInt64(truncatingIfNeeded: bits >> 64)
    Self.mix(&mixed)
    mixed ^= UInt64(truncatingIfNeeded: bits) ^ (isIPv6 ? 1 << 63 : 0)
    Self.mix(&mixed)
    return mixed
  }

  private static func mix(_ value: inout UInt64) {
    value = (value ^ (value >> 30)) &* 0xBF58_476D_1CE4_E5B9
    value = (value ^ (value >> 27)) &* 0x94D0_49BB_1331_11EB
    value ^= value >> 31
  }
}
