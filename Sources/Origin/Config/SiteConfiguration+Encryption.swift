public import Packaging

extension SiteConfiguration {
  /// How the media of the site are encrypted, and where players get the keys.
  public struct Encryption: Sendable, Equatable {
    /// `nil`: not at all.
    public var method: EncryptionMethod?
    public var keys: KeyRing
    /// The service that has the keys; nil: they are in `keys`.
    public var keyURL: KeyURL?
    /// Those of license services, for init segments, playlists and MPDs.
    public var systems: [ProtectionSystem]
    /// Where players with Clear Key ask for keys in DASH; `nil`: nowhere.
    public var licenseURL: String?
    /// The `URI` of `EXT-X-KEY`, in which `{id}` stands for the asset; `nil`: the key below the asset.
    public var keyURI: String?
    /// Whether the key below the asset is answered.
    public var servesKey: Bool

    /// Where keys are asked for, and how.
    public struct KeyURL: Sendable, Equatable {
      /// With `{id}` for the asset.
      public var template: String
      /// Sent as bearer token (RFC 6750); nil: none is.
      public var token: Secret?
      public var timeoutMilliseconds: UInt64
      public var allowsPrivateAddresses: Bool
      /// `nil`: the certification authorities of the system.
      public var certificateAuthoritiesPath: String?

      /// An id has no character that a URL would change.
      func url(ofAsset id: String) -> String {
        template.split(separator: "{id}", omittingEmptySubsequences: false).joined(separator: id)
      }
    }

    init(_ table: ConfigTable) {
      method = EncryptionMethod(rawValue: table.string("method"))
      keys = table.secret("key").map { KeyRing.parse($0.bytes).keys } ?? KeyRing()
      if !table.string("key_url").isEmpty {
        keyURL = KeyURL(
          template: table.string("key_url"), token: table.secret("key_token"),
          timeoutMilliseconds: UInt64(table.durationMilliseconds("key_timeout")),
          allowsPrivateAddresses: table.bool("key_allow_private"),
          certificateAuthoritiesPath: table.string("key_ca_file").isEmpty ? nil : table.string("key_ca_file"))
      }
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
            + "All but `none` need `key_file` or `key_url`, and refuse what is not encrypted.",
          example: "cbcs"),
        .secret(
          "key", isRequired: false,
          "Where the content keys are: TOML with `[default] secret` (64 hex digits, of which each asset's key is derived) "
            + "or `[assets.ID]` with `id`, `key` and if need be `iv` (32 hex digits each)."),
        .string(
          "key_url", default: "", keyURL,
          "Where the content keys are, instead of `key_file`: a URL with `{id}` for the asset that answers JSON with `kid`, "
            + "`key` and if need be `iv`, in hex or base64url. Asked once for an asset and load of the configuration.",
          example: "https://keys.example.com/v1/{id}"),
        .secret("key_token", isRequired: false, "The bearer token that `key_url` is asked with."),
        .duration(
          "key_timeout", default: "3s", from: "100ms", to: "30s",
          "How long `key_url` may take. Then viewers get 503 for a moment, and it is asked again.",
          example: "1s"),
        .bool(
          "key_allow_private", default: false,
          "Whether `key_url` may lead to this machine or a private network. Link-local addresses are never asked."
        ),
        .string(
          "key_ca_file", default: "", absolutePath,
          "PEM file of the certification authorities that `key_url` is trusted by. Empty: those of the system.",
          example: "/etc/ssl/private-ca.pem"),
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
          "Whether `enc/…/key` below an asset answers its key: to valid tokens where the site has signing keys, else to everyone."
        ),
      ],
      validate: { table in
        let hasURL = !table.string("key_url").isEmpty
        if table.secret("key_token") != nil, !hasURL {
          return [
            ConfigComplaint(
              at: ["key_token"], "a token without key_url is never used", code: .missingKey)
          ]
        }
        guard let key = table.secret("key") else {
          let method = table.string("method")
          return method == "none" || hasURL
            ? []
            : [
              ConfigComplaint(
                at: ["method"], "\(TOMLText.quoted(method)) needs key_file, key_env or key_url",
                code: .missingKey)
            ]
        }
        if hasURL {
          return [
            ConfigComplaint(
              at: ["key_url"], "keys come from a file or from a URL, not from both", code: .invalidValue)
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

    private static let keyURL = ConfigText.matching("\"\" or a URL of http or https with {id} in it") {
      text in
      text.isEmpty
        || (text.hasPrefix("https://") || text.hasPrefix("http://")) && isReference(text)
          && text.contains("{id}")
    }

    private static let absolutePath = ConfigText.matching("\"\" or an absolute path") { text in
      text.isEmpty || text.hasPrefix("/") && !text.utf8.contains(0)
    }

    private static let reference = ConfigText.matching("\"\" or a URI of visible ASCII") { text in
      text.isEmpty || isReference(text)
    }

    private static func isReference(_ text: String) -> Bool {
      text.utf8.allSatisfy { (0x21...0x7E).contains($0) && $0 != 0x22 }
    }
  }
}
