// Who a request comes from, when it comes through proxies.
//
// Each proxy appends the address it got the request from, so the list reads client first:
//
//     X-Forwarded-For: 203.0.113.7, 198.51.100.2        Forwarded: for=203.0.113.7, for="[2001:db8::1]:4711";proto=https
//
// Everything to the left of what our own proxies have appended may be invented. So the walk starts at the right end, with
// the peer of the connection, and goes on as long as the address at hand is that of a trusted proxy: the first one that is
// not is the client. Where an entry is not an address ("unknown", "_hidden", nonsense) the walk ends at the proxy that wrote it.
//
// With both fields, Forwarded is read (RFC 7239 §7.4): a proxy that writes it knows what it does. Which one is read never
// lets anybody lie: either is believed only as far as trusted proxies have written it.

extension RequestHead {
  /// Entries that are looked at; more proxies than this do not stand in a row.
  private static let mostForwardedEntries = 32

  /// The address that the request comes from.
  ///
  /// - Parameters:
  ///   - peer: the other end of the connection.
  ///   - trusted: the networks whose proxies are believed; `peer` is the answer where it is in none of them.
  /// Allocates nothing for X-Forwarded-For.
  public func clientAddress(peer: NetworkAddress, trusted: [NetworkPrefix]) -> NetworkAddress {
    guard trusted.contains(peer) else { return peer }
    let isForwarded = field(.forwarded) != nil
    var client = peer
    var left = Self.mostForwardedEntries
    // The lines of a field are one list, so the last entry stands in the last line.
    var line = fieldCount
    while line > 0, left > 0 {
      line -= 1
      let name = fieldName(at: line)
      guard isForwarded ? name.equalsIgnoringCase("forwarded") : name.equalsIgnoringCase("x-forwarded-for")
      else { continue }
      let value = fieldValue(at: line)
      var end = value.count
      while let entry = Self.lastEntry(of: value, &end), left > 0 {
        left -= 1
        guard let address = isForwarded ? Self.forNode(of: entry) : Self.node(entry) else { return client }
        client = address
        guard trusted.contains(client) else { return client }
      }
    }
    return client
  }

  /// The entry before `end`, which moves in front of the comma before it; nil at the beginning. Commas in quotes do not count.
  @_lifetime(copy value)
  private static func lastEntry(of value: Span<UInt8>, _ end: inout Int) -> Span<UInt8>? {
    guard end >= 0 else { return nil }
    var start = end
    var isQuoted = false
    while start > 0 {
      let byte = value[start - 1]
      if byte == ASCII.quote { isQuoted.toggle() }
      if byte == ASCII.comma, !isQuoted { break }
      start -= 1
    }
    let entry = value.extracting(start..<end).trimmed
    end = start - 1
    return entry
  }

  /// The `for` parameter of an entry of Forwarded (RFC 7239 §4).
  private static func forNode(of entry: Span<UInt8>) -> NetworkAddress? {
    var position = 0
    var found: NetworkAddress?
    while position < entry.count {
      var end = position
      var isQuoted = false
      while end < entry.count, isQuoted || entry[end] != ASCII.semicolon {
        if entry[end] == ASCII.quote { isQuoted.toggle() }
        end += 1
      }
      let pair = entry.extracting(position..<end).trimmed
      position = end + 1
      guard pair.count > 4, pair.extracting(0..<4).equalsIgnoringCase("for=") else { continue }
      // Twice is nothing that a proxy writes.
      guard found == nil else { return nil }
      var node = pair.extracting(4..<pair.count)
      if node[0] == ASCII.quote {
        guard node.count >= 2, node[node.count - 1] == ASCII.quote else { return nil }
        node = node.extracting(1..<node.count - 1)
      }
      guard let address = self.node(node) else { return nil }
      found = address
    }
    return found
  }

  /// An address with or without a port: `192.0.2.1`, `192.0.2.1:80`, `2001:db8::1`, `[2001:db8::1]`, `[2001:db8::1]:80`.
  static func node(_ text: Span<UInt8>) -> NetworkAddress? {
    if let address = NetworkAddress(text) { return address }
    guard text.count > 0 else { return nil }
    var colon = text.count
    if text[0] == UInt8(ascii: "[") {
      var close = 1
      while close < text.count, text[close] != UInt8(ascii: "]") { close += 1 }
      guard close < text.count, isPort(text.extracting(close + 1..<text.count)),
        let address = NetworkAddress(text.extracting(1..<close))
      else { return nil }
      // In brackets stands IPv6 alone; what was mapped into it has become IPv4.
      var index = 1
      while index < close, text[index] != ASCII.colon { index += 1 }
      return index < close ? address : nil
    }
    while colon > 0, text[colon - 1] != ASCII.colon { colon -= 1 }
    guard colon > 1, isPort(text.extracting(colon - 1..<text.count)),
      let address = NetworkAddress(text.extracting(0..<colon - 1)), !address.isIPv6
    else { return nil }
    return address
  }

  /// Nothing, or a colon and a port; the port of Forwarded may be hidden behind an underscore (RFC 7239 §6).
  private static func isPort(_ text: Span<UInt8>) -> Bool {
    guard text.count > 0 else { return true }
    guard text[0] == ASCII.colon, text.count >= 2, text.count <= 32 else { return false }
    for index in 1..<text.count where !ByteSet.unreserved.contains(text[index]) { return false }
    return true
  }
}
