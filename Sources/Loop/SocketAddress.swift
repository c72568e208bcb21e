internal import CLibUV
internal import Glibc

/// An IPv4 or IPv6 address with a port, as a small value without heap memory.
///
/// IPv4 addresses that arrive mapped into IPv6 (`::ffff:192.0.2.1`) become IPv4. Zone indexes (`%eth0`) are not kept.
public struct SocketAddress: Hashable, Sendable, CustomStringConvertible {
  /// The address as one number: an IPv4 address is the low 32 bits of `addressLow`.
  private let addressHigh: UInt64
  private let addressLow: UInt64
  /// The port in host order; 0 asks the system to choose one when listening.
  public let port: UInt16
  /// True for IPv6, false for IPv4.
  public let isIPv6: Bool

  /// Reads `192.0.2.1:8080` or `[2001:db8::1]:8080`; host names are not looked up.
  ///
  /// - Throws: ``LoopError/Code/addressInvalid`` for anything else, with the text as context.
  public init(_ text: String) throws(LoopError) {
    guard let parsed = Self.parse(text) else {
      throw LoopError(.addressInvalid, operation: "read address", context: text)
    }
    self = parsed
  }

  /// The IPv4 loopback interface, `127.0.0.1`.
  public static func loopback(port: UInt16) -> SocketAddress {
    SocketAddress(high: 0, low: 0x7F00_0001, port: port, isIPv6: false)
  }

  /// An address from elsewhere, such as a header of the PROXY protocol.
  ///
  /// - Parameter address: in host order, 32 bits for IPv4 and 128 for IPv6.
  public init(address: UInt128, isIPv6: Bool, port: UInt16) {
    self.init(
      high: UInt64(truncatingIfNeeded: address >> 64), low: UInt64(truncatingIfNeeded: address), port: port,
      isIPv6: isIPv6)
  }

  /// The address as a number in host order, 32 bits for IPv4 and 128 for IPv6; for comparison with network prefixes.
  public var address: UInt128 { UInt128(addressHigh) << 64 | UInt128(addressLow) }

  /// The address without port, in the canonical form of RFC 5952: `192.0.2.1` or `2001:db8::1`.
  public var host: String {
    withSocketAddress { pointer, _ in
      withUnsafeTemporaryAllocation(of: CChar.self, capacity: Int(INET6_ADDRSTRLEN)) { text in
        let address = UnsafeRawPointer(pointer) + (isIPv6 ? Self.offsetIPv6 : Self.offsetIPv4)
        guard
          let base = text.baseAddress,
          inet_ntop(isIPv6 ? AF_INET6 : AF_INET, address, base, socklen_t(text.count)) != nil
        else { return "" }
        return String(cString: base)
      }
    }
  }

  /// The form that ``init(_:)`` reads.
  public var description: String {
    isIPv6 ? "[\(host)]:\(port)" : "\(host):\(port)"
  }

  private init(high: UInt64, low: UInt64, port: UInt16, isIPv6: Bool) {
    addressHigh = high
    addressLow = low
    self.port = port
    self.isIPv6 = isIPv6
  }

  private static func parse(_ text: String) -> SocketAddress? {
    guard let colon = text.utf8.lastIndex(of: UInt8(ascii: ":")) else { return nil }
    let digits = text[text.utf8.index(after: colon)...]
    var host = text[..<colon]
    guard digits.utf8.allSatisfy({ (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }),
      let port = UInt16(digits), !host.utf8.contains(0)
    else { return nil }
    if host.first == "[" {
      guard host.last == "]" else { return nil }
      host = host.dropFirst().dropLast()
      var address = sockaddr_in6()
      guard inet_pton(AF_INET6, String(host), &address.sin6_addr) == 1 else { return nil }
      return SocketAddress(address, port: port)
    }
    var address = sockaddr_in()
    guard inet_pton(AF_INET, String(host), &address.sin_addr) == 1 else { return nil }
    return SocketAddress(address, port: port)
  }
}

// MARK: - The system's form

extension SocketAddress {
  private static let offsetIPv4 = MemoryLayout<sockaddr_in>.offset(of: \.sin_addr) ?? 4
  private static let offsetIPv6 = MemoryLayout<sockaddr_in6>.offset(of: \.sin6_addr) ?? 8

  private init(_ address: sockaddr_in, port: UInt16) {
    self.init(high: 0, low: UInt64(UInt32(bigEndian: address.sin_addr.s_addr)), port: port, isIPv6: false)
  }

  private init(_ address: sockaddr_in6, port: UInt16) {
    let (high, low) = withUnsafeBytes(of: address.sin6_addr) { bytes in
      (
        UInt64(bigEndian: bytes.loadUnaligned(fromByteOffset: 0, as: UInt64.self)),
        UInt64(bigEndian: bytes.loadUnaligned(fromByteOffset: 8, as: UInt64.self))
      )
    }
    if high == 0 && low >> 32 == 0xFFFF {
      self.init(high: 0, low: low & 0xFFFF_FFFF, port: port, isIPv6: false)
    } else {
      self.init(high: high, low: low, port: port, isIPv6: true)
    }
  }

  /// The address in the bytes of a `sockaddr`; nil for families other than IPv4 and IPv6, and for too few bytes.
  public init?(systemBytes bytes: UnsafeRawBufferPointer) {
    guard bytes.count >= MemoryLayout<sa_family_t>.size else { return nil }
    switch Int32(bytes.loadUnaligned(as: sa_family_t.self)) {
    case AF_INET where bytes.count >= MemoryLayout<sockaddr_in>.size:
      let address = bytes.loadUnaligned(as: sockaddr_in.self)
      self.init(address, port: UInt16(bigEndian: address.sin_port))
    case AF_INET6 where bytes.count >= MemoryLayout<sockaddr_in6>.size:
      let address = bytes.loadUnaligned(as: sockaddr_in6.self)
      self.init(address, port: UInt16(bigEndian: address.sin6_port))
    default: return nil
    }
  }

  /// What getsockname or getpeername says of a descriptor; nil when it is no TCP socket or not connected.
  init?(
    descriptor: Int32,
    _ query: (Int32, UnsafeMutablePointer<sockaddr>, UnsafeMutablePointer<socklen_t>) -> Int32
  ) {
    var storage = sockaddr_storage()
    var length = socklen_t(MemoryLayout<sockaddr_storage>.size)
    let status = withUnsafeMutablePointer(to: &storage) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { query(descriptor, $0, &length) }
    }
    guard status == 0 else { return nil }
    let found = withUnsafeBytes(of: storage) { SocketAddress(systemBytes: $0) }
    guard let found else { return nil }
    self = found
  }

  /// Calls `body` with the address as bind and connect take it.
  func withSocketAddress<Result>(_ body: (UnsafePointer<sockaddr>, socklen_t) -> Result) -> Result {
    if isIPv6 {
      var address = sockaddr_in6()
      address.sin6_family = sa_family_t(AF_INET6)
      address.sin6_port = port.bigEndian
      withUnsafeMutableBytes(of: &address.sin6_addr) { bytes in
        bytes.storeBytes(of: addressHigh.bigEndian, toByteOffset: 0, as: UInt64.self)
        bytes.storeBytes(of: addressLow.bigEndian, toByteOffset: 8, as: UInt64.self)
      }
      return withUnsafePointer(to: address) { pointer in
        pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
          body($0, socklen_t(MemoryLayout<sockaddr_in6>.size))
        }
      }
    }
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_port = port.bigEndian
    address.sin_addr.s_addr = UInt32(truncatingIfNeeded: addressLow).bigEndian
    return withUnsafePointer(to: address) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        body($0, socklen_t(MemoryLayout<sockaddr_in>.size))
      }
    }
  }
}
