// Which addresses the server may connect to on somebody else's word (server-side request forgery, OWASP A10:2021).
//
// A name says nothing: it may resolve to 127.0.0.1, to something else at every look-up, or be one of the many ways to write
// that address (2130706433, 0x7f.1, [::ffff:7f00:1]). So the one place that decides is the socket, when the resolver has
// answered and before connect(2): what is checked is what is connected to.
//
//     never              unspecified, link-local, multicast and reserved addresses, and those where clouds keep the
//                        credentials of a machine: no service that is meant lives there
//     private            loopback, RFC 1918, RFC 6598 (100.64.0.0/10), RFC 4193 (fc00::/7): only where the operator says so
//     public             all else
//
// An IPv6 address that carries an IPv4 address for a translator or a tunnel (RFC 6052, RFC 3056, RFC 4380, RFC 4291
// §2.5.5) is refused: what is at its other end is not for us to know.
//
// Sources: the IANA special-purpose address registries (RFC 6890), and the clouds' own documentation of their metadata
// services.

public import Loop

/// Which addresses may be connected to.
public enum AddressPolicy: Sendable, Hashable {
  /// Those of the public internet.
  case publicOnly
  /// Those of private networks and of this machine, too.
  case publicAndPrivate

  enum Kind: Equatable {
    case `public`
    case `private`
    case never
  }

  /// Whether a connection to this address is allowed. The port does not matter.
  public func allows(_ address: SocketAddress) -> Bool {
    switch Self.kind(of: address) {
    case .public: true
    case .private: self == .publicAndPrivate
    case .never: false
    }
  }

  static func kind(of address: SocketAddress) -> Kind {
    let (single, prefixes) = address.isIPv6 ? (metadataIPv6, prefixesIPv6) : (metadataIPv4, prefixesIPv4)
    if single.contains(address.address) { return .never }
    let bits = address.isIPv6 ? 128 : 32
    for prefix in prefixes where address.address >> UInt128(bits - prefix.bits) == prefix.value {
      return prefix.kind
    }
    return address.isIPv6 ? .never : .public
  }

  private struct Prefix {
    let value: UInt128
    let bits: Int
    let kind: Kind

    /// - Parameter text: `127.0.0.0/8` or `[fc00::]/7`; one that cannot be read matches nothing but stops the tests.
    init(_ text: String, _ kind: Kind) {
      let parts = text.split(separator: "/")
      guard let bits = parts.last.flatMap({ Int($0) }), parts.count == 2 else {
        preconditionFailure("\(text) is no network")
      }
      do throws(LoopError) {
        let address = try SocketAddress("\(parts[0]):0")
        value = address.address >> UInt128((address.isIPv6 ? 128 : 32) - bits)
      } catch {
        preconditionFailure("\(text) is no network")
      }
      self.bits = bits
      self.kind = kind
    }
  }

  private static func addresses(_ texts: [String]) -> Set<UInt128> {
    Set(
      texts.map { text in
        do throws(LoopError) { return try SocketAddress("\(text):0").address } catch {
          preconditionFailure("\(text) is no address")
        }
      })
  }

  /// Link-local metadata addresses lie in 169.254.0.0/16; these are the others.
  private static let metadataIPv4 = addresses([
    "100.100.100.200",  // Alibaba Cloud
    "168.63.129.16",  // Azure's host, in public address space
    "192.0.0.192",  // Oracle Cloud
  ])
  private static let metadataIPv6 = addresses(["[fd00:ec2::254]", "[fd20:ce::254]"])  // AWS, Google Cloud

  /// The first that matches decides; what none matches is public.
  private static let prefixesIPv4: [Prefix] = [
    Prefix("0.0.0.0/8", .never),
    Prefix("10.0.0.0/8", .private),
    Prefix("100.64.0.0/10", .private),
    Prefix("127.0.0.0/8", .private),
    Prefix("169.254.0.0/16", .never),
    Prefix("172.16.0.0/12", .private),
    Prefix("192.0.0.0/24", .never),
    Prefix("192.0.2.0/24", .never),
    Prefix("192.88.99.0/24", .never),
    Prefix("192.168.0.0/16", .private),
    Prefix("198.18.0.0/15", .never),
    Prefix("198.51.100.0/24", .never),
    Prefix("203.0.113.0/24", .never),
    Prefix("224.0.0.0/4", .never),
    Prefix("240.0.0.0/4", .never),
  ]

  /// The first that matches decides; what none matches is not in use on the internet (RFC 4291 §2.4: 2000::/3 is).
  private static let prefixesIPv6: [Prefix] = [
    Prefix("[::1]/128", .private),
    Prefix("[fc00::]/7", .private),
    Prefix("[2001::]/23", .never),  // Teredo, ORCHID, benchmarking
    Prefix("[2001:db8::]/32", .never),
    Prefix("[2002::]/16", .never),  // 6to4
    Prefix("[3fff::]/20", .never),
    Prefix("[2000::]/3", .public),
  ]
}
