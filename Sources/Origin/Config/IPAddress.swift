import Glibc
import Loop

/// Numeric addresses, as the C library reads them.
enum IPAddress {
  static func isIPv4(_ text: String) -> Bool {
    withUnsafeTemporaryAllocation(byteCount: 4, alignment: 4) {
      inet_pton(AF_INET, text, $0.baseAddress) == 1
    }
  }

  /// The shortest form (RFC 5952), or `nil` if `text` is not an IPv6 address.
  static func canonicalIPv6(_ text: String) -> String? {
    withUnsafeTemporaryAllocation(byteCount: 16, alignment: 4) { address in
      guard inet_pton(AF_INET6, text, address.baseAddress) == 1, let bytes = address.baseAddress else {
        return nil
      }
      var buffer = [CChar](repeating: 0, count: Int(INET6_ADDRSTRLEN))
      guard inet_ntop(AF_INET6, bytes, &buffer, socklen_t(buffer.count)) != nil else { return nil }
      return String(decoding: buffer.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }
  }

  /// The form in which the server writes a client's address, or `nil` if `text` is no address: IPv4 that is mapped into
  /// IPv6 becomes IPv4.
  static func canonical(_ text: String) -> String? {
    do throws(LoopError) {
      return try SocketAddress(text.contains(":") ? "[\(text)]:0" : "\(text):0").host
    } catch {
      return nil
    }
  }
}
