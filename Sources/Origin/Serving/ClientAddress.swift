// Whom a request comes from, for logs, limits and signatures that are bound to an address: the one place that decides it.
//
//     peer of the socket ── PROXY header, on an address with `proxy` ──► peer ── Forwarded, X-Forwarded-For ──► client
//
// Both steps are taken only on the word of `trusted_proxies`; HTTP/ForwardedChain.swift says how far that goes.

import HTTP
import Loop

extension OriginLoop {
  /// The client of the request whose head is parsed.
  ///
  /// - Parameter peer: the other end of its connection, or what a PROXY header has said of it.
  func clientAddress(ofPeer peer: SocketAddress?) -> SocketAddress? {
    let trusted = snapshot.configuration.server.trustedProxies
    guard let peer, !trusted.isEmpty else { return peer }
    let client = head.clientAddress(peer: peer.network, trusted: trusted)
    guard client != peer.network else { return peer }
    return SocketAddress(address: client.bits, isIPv6: client.isIPv6, port: 0)
  }
}

extension SocketAddress {
  /// The address without its port, to be compared with networks.
  var network: NetworkAddress { NetworkAddress(bits: address, isIPv6: isIPv6) }
}
