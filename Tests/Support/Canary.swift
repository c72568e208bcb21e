internal import Glibc

/// Listens on loopback, by IPv4 and where there is IPv6 by that too, and counts who comes.
public final class Canary: Sendable {
  private let descriptors: [Int32]
  public let port: UInt16

  public init() throws {
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
    let first = Self.listener(AF_INET, &address)
    guard let first else { throw SupportError("cannot listen on loopback: errno \(errno)") }
    var length = socklen_t(MemoryLayout<sockaddr_in>.size)
    _ = withUnsafeMutablePointer(to: &address) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { getsockname(first, $0, &length) }
    }
    port = UInt16(bigEndian: address.sin_port)
    var second = sockaddr_in6()
    second.sin6_family = sa_family_t(AF_INET6)
    second.sin6_port = address.sin_port
    second.sin6_addr = in6addr_loopback
    descriptors = [first] + [Self.listener(AF_INET6, &second)].compactMap { $0 }
  }

  deinit { for descriptor in descriptors { close(descriptor) } }

  /// Connections that were made so far.
  public var visits: Int {
    descriptors.reduce(0) { count, descriptor in
      var count = count
      while true {
        let connection = accept(descriptor, nil, nil)
        guard connection >= 0 else { return count }
        close(connection)
        count += 1
      }
    }
  }

  private static func listener<Address>(_ family: Int32, _ address: inout Address) -> Int32? {
    let kind = Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue) | Int32(SOCK_NONBLOCK.rawValue)
    let descriptor = socket(family, kind, 0)
    guard descriptor >= 0 else { return nil }
    let failed = withUnsafePointer(to: &address) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        bind(descriptor, $0, socklen_t(MemoryLayout<Address>.size)) != 0 || listen(descriptor, 16) != 0
      }
    }
    if failed { close(descriptor) }
    return failed ? nil : descriptor
  }
}
