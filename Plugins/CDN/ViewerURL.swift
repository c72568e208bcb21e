import Origin
import Store

/// Paths as a viewer would ask for them.
enum ViewerURL {
  private static let lifetimeSeconds: Int64 = 3600

  /// A path of an asset, with a token for all of the asset where one is needed; nil where one can't be made.
  static func path(_ path: String, of asset: AssetRecord, _ host: PluginHost) -> String? {
    guard host.needsTokens || asset.privacy == .private else { return path }
    let nowSeconds = host.store.options.nowMilliseconds() / 1000
    return try? host.signer?.sign(
      path, expiresSeconds: nowSeconds + lifetimeSeconds, scope: "/v/\(asset.id)/")
  }

  /// Percent-decoded; what is no UTF-8 is nothing that was published.
  static func decoded(_ path: Substring) -> String {
    var bytes: [UInt8] = []
    var rest = Array(path.utf8)[...]
    while let byte = rest.popFirst() {
      if byte == UInt8(ascii: "%"), rest.count >= 2,
        let value = UInt8(String(decoding: rest.prefix(2), as: UTF8.self), radix: 16)
      {
        bytes.append(value)
        rest = rest.dropFirst(2)
      } else {
        bytes.append(byte)
      }
    }
    return String(decoding: bytes, as: UTF8.self)
  }

  /// A reference in a playlist, seen from the playlist's own path (RFC 3986 §5.3); nil for one that leads to another host.
  static func resolve(_ reference: String, from base: String) -> String? {
    if reference.hasPrefix("//") || reference.contains("://") { return nil }
    if reference.hasPrefix("/") { return reference }
    let basePath = base.prefix { $0 != "?" }
    var parts = basePath.split(separator: "/", omittingEmptySubsequences: false).dropLast().map(String.init)
    let path = reference.prefix { $0 != "?" }
    for part in path.split(separator: "/", omittingEmptySubsequences: false) {
      switch part {
      case ".": continue
      case "..": if parts.count > 1 { parts.removeLast() }
      default: parts.append(String(part))
      }
    }
    return parts.joined(separator: "/") + reference.dropFirst(path.count)
  }
}
