// The content keys of a site, from the file that `encryption.key_file` names:
//
//     [default]
//     secret = "…"          64 hex digits
//
//     [assets.film]
//     id = "…"              the KID, 32 hex digits
//     key = "…"             32 hex digits
//     iv = "…"              32 hex digits, may be left out
//
// An asset has the key that stands under its id. Every other asset has a key of its own, made from the secret where there
// is one:
//
//     KID = HMAC-SHA256(secret, "headwater key id" 00 asset id)[0..<16]
//     key = HMAC-SHA256(secret, "headwater content key" 00 asset id)[0..<16]
//
// so that a key that gets out opens one asset, and two nodes with the same file agree. The constant vector that is left
// out is SHA-256("headwater iv" 00 KID)[0..<16]: no secret, but the same everywhere.
//
// No sentence about this file repeats what stands in it, the names of assets aside.

public import Packaging
import Store

/// Finds the content key of an asset.
public struct KeyRing: Sendable, Equatable {
  private var assets: [String: ContentKey] = [:]
  /// 32 bytes.
  private var secret: Secret?

  /// No keys.
  init() {}

  /// `nil` where the asset has neither a key of its own nor a secret to derive one from. The key has a vector.
  ///
  /// - Complexity: two short HMACs for a derived key.
  public func key(ofAsset id: String) -> ContentKey? {
    if let key = assets[id] { return key }
    guard let secret else { return nil }
    func derived(_ label: String) -> [UInt8] {
      Array(MessageCode.bytes(of: Array(label.utf8) + [0] + Array(id.utf8), key: secret.bytes).prefix(16))
    }
    let keyID = derived("headwater key id")
    return ContentKey(id: keyID, key: derived("headwater content key"), iv: Self.vector(keyID: keyID))
  }

  /// The constant vector of a key that has none of its own.
  static func vector(keyID: [UInt8]) -> [UInt8] {
    BlobID.digest(of: Array("headwater iv".utf8) + [0] + keyID).withUnsafeBytes { Array($0.prefix(16)) }
  }
}

extension KeyRing {
  /// Something wrong in a key file.
  struct Complaint: Equatable {
    var position: ConfigPosition
    var message: String
  }

  /// Reads a key file. What is wrong is left out of the keys and complained of.
  static func parse(_ bytes: [UInt8]) -> (keys: KeyRing, complaints: [Complaint]) {
    let (document, syntax) = ConfigDocument.parse(bytes: bytes, file: "")
    var parser = KeyFileParser(locator: document.locator)
    // The parser of TOML quotes what it stumbled over, which may be a key.
    if let first = syntax.first {
      parser.complaints.append(
        Complaint(
          position: ConfigPosition(line: first.line, column: first.column), message: "this is not TOML"))
    } else {
      parser.read(document.root)
    }
    return (parser.keys, parser.complaints.sorted { $0.position < $1.position })
  }

  private struct KeyFileParser {
    let locator: ConfigLocator
    var keys = KeyRing()
    var complaints: [Complaint] = []

    mutating func read(_ root: [String: ConfigDocument.Node]) {
      for (name, node) in root {
        switch (name, node) {
        case ("default", .table(let entries)): readDefault(entries)
        case ("assets", .table(let entries)):
          for (id, entry) in entries { readAsset(id, entry) }
        default:
          complain(at: [.key(name)], "\(TOMLText.quoted(name)) is neither [default] nor [assets.ID]")
        }
      }
      if complaints.isEmpty, keys == KeyRing() {
        complaints.append(
          Complaint(position: .start, message: "there is neither a [default] secret nor a key of an asset"))
      }
    }

    private mutating func readDefault(_ entries: [String: ConfigDocument.Node]) {
      refuseOthers(entries, ["secret"], at: ["default"])
      keys.secret = hex("secret", digits: 64, in: entries, at: ["default"]).map { Secret(bytes: $0) }
    }

    private mutating func readAsset(_ id: String, _ node: ConfigDocument.Node) {
      let path: ConfigPath = ["assets", .key(id)]
      guard AssetID.isValid(id) else {
        return complain(at: path, "\(TOMLText.quoted(id)) is not the id of an asset")
      }
      guard case .table(let entries) = node else {
        return complain(at: path, "assets.\(id) is not a table with id and key")
      }
      refuseOthers(entries, ["id", "key", "iv"], at: path)
      let keyID = hex("id", digits: 32, in: entries, at: path)
      let key = hex("key", digits: 32, in: entries, at: path)
      let iv = entries["iv"] == nil ? nil : hex("iv", digits: 32, in: entries, at: path)
      guard let keyID, let key else { return }
      keys.assets[id] = ContentKey(id: keyID, key: key, iv: iv ?? vector(keyID: keyID))
    }

    private mutating func refuseOthers(
      _ entries: [String: ConfigDocument.Node], _ names: [String], at path: ConfigPath
    ) {
      for name in entries.keys where !names.contains(name) {
        complain(
          at: path + [.key(name)], "\(path.text) takes \(names.joined(separator: ", ")) and nothing else")
      }
    }

    private mutating func hex(
      _ name: String, digits: Int, in entries: [String: ConfigDocument.Node], at path: ConfigPath
    ) -> [UInt8]? {
      let whole = path + [.key(name)]
      guard case .string(let text) = entries[name], text.utf8.count == digits else {
        complain(at: whole, "\(whole.text) must be a string of \(digits) hex digits")
        return nil
      }
      let values = text.compactMap(\.hexDigitValue)
      guard values.count == digits, text.utf8.allSatisfy({ $0 < 0x80 }) else {
        complain(at: whole, "\(whole.text) must be a string of \(digits) hex digits")
        return nil
      }
      return stride(from: 0, to: digits, by: 2).map { UInt8(values[$0] << 4 | values[$0 + 1]) }
    }

    private mutating func complain(at path: ConfigPath, _ message: String) {
      complaints.append(Complaint(position: locator.position(ofValue: path), message: message))
    }
  }
}
