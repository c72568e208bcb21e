public import Packaging

extension SiteConfiguration {
  /// How the media of the site are encrypted, and where players get the keys.
  public struct Encryption: Sendable, Equatable {
    /// `nil`: not at all.
    public var method: EncryptionMethod?
    public var keys: KeyRing
    /// Those of license services, for init segments, playlists and MPDs.
    public var systems: [ProtectionSystem]
    /// Where players with Clear Key ask for keys in DASH; `nil`: nowhere.
    public var licenseURL: String?
    /// The `URI` of `EXT-X-KEY`, in which `{id}` stands for the asset; `nil`: the key below the asset.
    public var keyURI: String?
    /// Whether the key below the asset is answered.
    public var servesKey: Bool

    init(_ table: ConfigTable) {
      method = EncryptionMethod(rawValue: table.string("method"))
      keys = table.secret("key").map { KeyRing.parse($0.bytes).keys } ?? KeyRing()
      systems = table.strings("systems").compactMap { text in
        do throws(MediaError) { return try ProtectionSystem(base64: text) } catch { return nil }
      }
      licenseURL = table.string("license_url").isEmpty ? nil : table.string("license_url")
      keyURI = table.string("key_uri").isEmpty ? nil : table.string("key_uri")
      servesKey = table.bool("serve_key")
    }

    static let section = ConfigSection(
      "encryption", "Whether pictures and sound are encrypted, and how players get the keys.",
      keys: [
        .string(
          "method", default: "none", .oneOf("none", "aes-128", "cbcs", "cenc"),
          "`aes-128`: whole segments, for HLS alone. `cbcs`, `cenc`: Common Encryption in fragmented MP4, for HLS and DASH. "
            + "All but `none` need `key_file`, and refuse what is not encrypted.", example: "cbcs"),
        .secret(
          "key", isRequired: false,
          "Where the content keys are: TOML with `[default] secret` (64 hex digits, of which each asset's key is derived) "
            + "or `[assets.ID]` with `id`, `key` and if need be `iv` (32 hex digits each)."),
        .strings(
          "systems", default: [], of: box,
          "`pssh` boxes in Base64, as license services give them. They stand in init segments, playlists and MPDs.",
          example: ["AAAANHBzc2gBAAAAEHfv7MCyTQKs4zweUuL7SwAAAAGgoaKjpKWmp6ipqqusra6vAAAAAA=="]),
        .string(
          "license_url", default: "", url,
          "Where players with Clear Key ask for keys; named in MPDs. Empty: nowhere.",
          example: "https://license.example.com/clearkey"),
        .string(
          "key_uri", default: "", reference,
          "The `URI` of `EXT-X-KEY`; `{id}` stands for the asset. Empty: the key below the asset (see `serve_key`).",
          example: "https://keys.example.com/{id}"),
        .bool(
          "serve_key", default: false,
          "Whether `enc/…/key` below an asset answers its key, to everyone that may read the segments."),
      ],
      validate: { table in
        guard let key = table.secret("key") else {
          let method = table.string("method")
          return method == "none"
            ? []
            : [
              ConfigComplaint(
                at: ["method"], "\(TOMLText.quoted(method)) needs key_file or key_env", code: .missingKey)
            ]
        }
        return KeyRing.parse(key.bytes).complaints.map { complaint in
          let place = complaint.position
          return ConfigComplaint(
            at: ["key_file"],
            "the key file cannot be used: line \(place.line), column \(place.column): \(complaint.message)",
            code: .secret)
        }
      })

    private static let box = ConfigText("a pssh box in Base64") { text in
      do throws(MediaError) {
        _ = try ProtectionSystem(base64: text)
        return .accepted(text)
      } catch {
        return .refused(reason: error.message)
      }
    }

    private static let url = ConfigText.matching("\"\" or a URL of http or https") { text in
      text.isEmpty || (text.hasPrefix("https://") || text.hasPrefix("http://")) && isReference(text)
    }

    private static let reference = ConfigText.matching("\"\" or a URI of visible ASCII") { text in
      text.isEmpty || isReference(text)
    }

    private static func isReference(_ text: String) -> Bool {
      text.utf8.allSatisfy { (0x21...0x7E).contains($0) && $0 != 0x22 }
    }
  }
}
