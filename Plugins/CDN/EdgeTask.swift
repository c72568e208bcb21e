/// One thing that an edge is to be told, or asked for.
public struct EdgeTask: Hashable, Sendable {
  /// The word is part of what is stored: never changed.
  public enum Kind: String, Sendable, CaseIterable {
    /// Forget what carries a tag.
    case tag
    /// Forget one URL: the path, percent-encoded, with its query if it has one.
    case path
    /// Forget all below a path that ends in a slash.
    case tree
    /// Forget everything of the site.
    case everything
    /// Fetch the beginning of an asset, by id.
    case warm
    /// Fetch the first half of the usual renditions of an asset, by id.
    case trend
  }

  public static let longestNameBytes = 4096

  public let kind: Kind
  public let name: String

  /// nil for a name that can't go into a request: empty, longer than 4096 bytes, or with other than visible ASCII; for a path
  /// that does not begin with a slash, and a tree that does not end in one.
  public init?(_ kind: Kind, _ name: String = "") {
    let isSound =
      name.utf8.count <= Self.longestNameBytes && name.utf8.allSatisfy { (0x21...0x7E).contains($0) }
    let fits =
      switch kind {
      case .tag: !name.isEmpty && !name.contains(",")
      case .path: name.hasPrefix("/") && !name.contains("#")
      case .tree: name.hasPrefix("/") && name.hasSuffix("/") && !name.contains("?") && !name.contains("#")
      case .everything: name.isEmpty
      case .warm, .trend: !name.isEmpty
      }
    guard isSound, fits else { return nil }
    self.kind = kind
    self.name = name
  }

  var isPurge: Bool { kind != .warm && kind != .trend }

  /// As it is stored, and as a person reads it: `tag latest-film`.
  var text: String { name.isEmpty ? kind.rawValue : "\(kind.rawValue) \(name)" }

  init?(text: some StringProtocol) {
    let parts = text.split(separator: " ", maxSplits: 1)
    guard let word = parts.first, let kind = Kind(rawValue: String(word)) else { return nil }
    self.init(kind, parts.count > 1 ? String(parts[1]) : "")
  }

  /// The asset that it is about, where the name tells.
  var asset: String? {
    switch kind {
    case .warm, .trend: return name
    case .tag:
      for prefix in ["latest-", "asset-"] where name.hasPrefix(prefix) {
        return String(name.dropFirst(prefix.count))
      }
      return nil
    case .path, .tree:
      let parts = name.split(separator: "/")
      return parts.count > 1 && parts[0] == "v" ? String(parts[1]) : nil
    case .everything: return nil
    }
  }
}
