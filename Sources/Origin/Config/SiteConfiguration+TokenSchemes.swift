// The token schemes of others, each with keys of its own: a site accepts a scheme that has keys.

extension SiteConfiguration {
  /// A public key with the name under which tokens mention it.
  public struct PublicCredential: Sendable, Equatable {
    public var id: String
    let key: PublicKey
  }
}

extension SiteConfiguration.Signing {
  /// Links of nginx's secure_link.
  public struct NginxSecureLink: Sendable, Equatable {
    public var keys: [SiteConfiguration.Credential]
    var expression: [SecureLinkPart]
    public var signatureParameter: String
    public var expiresParameter: String

    init(_ table: ConfigTable) {
      keys = SiteConfiguration.credentials(table.tables("keys"))
      expression = SecureLinkPart.parse(table.string("expression")) ?? []
      signatureParameter = table.string("signature_parameter")
      expiresParameter = table.string("expires_parameter")
    }

    static let section = ConfigSection(
      "nginx", "Links as nginx's secure_link checks them: MD5, for links that exist already.",
      keys: [
        .tables(
          "keys", of: SiteConfiguration.credentialKeys, identity: "id",
          "What `$secret` stands for. Several are valid at a time. None: such links are not accepted.",
          example: "[{ id = \"old\", secret_file = \"secrets/secure-link.key\" }]"),
        .string(
          "expression", default: "$secure_link_expires$uri$remote_addr $secret", expression,
          "What is digested, as in `secure_link_md5`, with `$secret` in the place of the secret. Variables: `$secure_link_expires`, "
            + "`$uri`, `$asset` (`/v/ID/`, for links that open a whole asset), `$remote_addr`, `$host`, `$secret`.",
          example: "$secure_link_expires$asset $secret"),
        .string(
          "signature_parameter", default: "md5", parameter, "The query parameter with the digest.",
          example: "st"),
        .string(
          "expires_parameter", default: "expires", parameter, "The query parameter with the time.",
          example: "e"),
      ])

    private static let expression = ConfigText.matching(
      "an expression of those variables that has $secure_link_expires, $secret, and $uri or $asset"
    ) { text in
      guard let parts = SecureLinkPart.parse(text) else { return false }
      return parts.contains(.expires) && parts.contains(.secret)
        && (parts.contains(.uri) || parts.contains(.asset))
    }
  }

  /// Akamai's EdgeAuth.
  public struct Akamai: Sendable, Equatable {
    /// With the bytes that their hexadecimal text stands for.
    public var keys: [SiteConfiguration.Credential]
    public var salt: Secret?
    public var names: [String]
    var carriers: Set<TokenCarrier>
    var hash: MessageHash

    init(_ table: ConfigTable) {
      keys = SiteConfiguration.credentials(table.tables("keys")).compactMap { key in
        HexKey.bytes(key.secret).map { SiteConfiguration.Credential(id: key.id, secret: Secret(bytes: $0)) }
      }
      salt = table.secret("salt")
      names = table.strings("names")
      carriers = Set(table.strings("carriers").compactMap { TokenCarrier(rawValue: $0) })
      hash = MessageHash(rawValue: table.string("algorithm")) ?? .sha256
    }

    static let section = ConfigSection(
      "akamai", "Tokens of Akamai's EdgeAuth 2.0 (Auth Token 2.0).",
      keys: [
        .tables(
          "keys", of: SiteConfiguration.credentialKeys, identity: "id",
          "Keys as hexadecimal text, as Akamai gives them. Several are valid at a time. None: such tokens are not accepted.",
          example: "[{ id = \"edge\", secret_file = \"secrets/akamai.key\" }]"),
        .secret("salt", isRequired: false, "A salt that both sides know."),
        .strings(
          "names", default: ["hdnts", "__token__"], of: parameter,
          "Names of the parameter, the cookie or the header field.", example: ["hdnea"]),
        .strings(
          "carriers", default: ["query", "cookie", "header"], of: .oneOf("query", "cookie", "header"),
          "Where a token may be. In the query, playlists and MPDs carry one with an `acl` on.",
          example: ["query"]),
        .string(
          "algorithm", default: "sha256", .oneOf("sha256", "sha1", "md5"), "The hash of the HMAC.",
          example: "sha1"),
      ],
      validate: { table in
        SiteConfiguration.credentials(table.tables("keys")).enumerated().compactMap { number, key in
          HexKey.bytes(key.secret) == nil
            ? ConfigComplaint(
              at: ["keys", .index(number)],
              "the key \(key.id) is not an even number of hexadecimal digits", code: .secret) : nil
        }
      })
  }

  /// Common Access Tokens.
  public struct CommonAccess: Sendable, Equatable {
    public var keys: [SiteConfiguration.Credential]
    public var publicKeys: [SiteConfiguration.PublicCredential]
    public var issuers: [String]
    /// Values of `aud` that mean this server; a token without `aud` is for everybody.
    public var audiences: [String]
    public var name: String

    init(_ table: ConfigTable) {
      keys = SiteConfiguration.credentials(table.tables("keys"))
      publicKeys = SiteConfiguration.publicCredentials(table.tables("public_keys"))
      issuers = table.strings("issuers")
      audiences = table.strings("audiences")
      name = table.string("name")
    }

    static let section = ConfigSection(
      "cat", "Common Access Tokens (CTA-5007).",
      keys: [
        .tables(
          "keys", of: SiteConfiguration.credentialKeys, identity: "id",
          "Keys of HMAC-SHA256; the id is the `kid` of tokens. Without a key of either kind such tokens are not accepted.",
          example: "[{ id = \"k1\", secret_file = \"secrets/cat.key\" }]"),
        .tables(
          "public_keys", of: publicKeyKeys, identity: "id",
          "Public keys as PEM, ECDSA over P-256 (ES256) or RSA (PS256); the id is the `kid` of tokens.",
          example: "[{ id = \"issuer-1\", public_key = \"secrets/cat.pem\" }]"),
        .strings(
          "issuers", default: [], of: .nonEmpty, "Values of `iss` that are let in.",
          example: ["issuer.example"]),
        .strings(
          "audiences", default: [], of: .nonEmpty,
          "Values of `aud` that mean this site. Tokens that name an audience, and none of these, are refused.",
          example: ["https://media.example.com"]),
        .string(
          "name", default: "CTA-Common-Access-Token", .fieldName,
          "The name of the parameter, the cookie or the header field.", example: "cat"),
      ],
      validate: { table in
        let isOn = !table.tables("keys").isEmpty || !table.tables("public_keys").isEmpty
        let complaints = SiteConfiguration.publicKeyComplaints(table.tables("public_keys"), at: "public_keys")
        return isOn && table.strings("issuers").isEmpty
          ? complaints + [
            ConfigComplaint(
              at: [], "signing.cat has keys and no issuers: say whose tokens are let in", code: .missingKey)
          ] : complaints
      })
  }

  static let cloudFrontSection = ConfigSection(
    "cloudfront", "Signed URLs and signed cookies of Amazon CloudFront, with a canned or a custom policy.",
    keys: [
      .tables(
        "keys", of: publicKeyKeys, identity: "id",
        "Public keys as PEM, RSA or ECDSA over P-256; the id is the `Key-Pair-Id`. Several are valid at a time. None: such URLs are not accepted.",
        example: "[{ id = \"K2JCJMDEHXQW5F\", public_key = \"secrets/cloudfront.pem\" }]")
    ],
    validate: { table in SiteConfiguration.publicKeyComplaints(table.tables("keys"), at: "keys") })

  private static let publicKeyKeys: [ConfigKey] = [
    .string(
      "id", default: nil, .identifier, "The name by which tokens mention it.", example: "K2JCJMDEHXQW5F"),
    .file(
      "public_key", "The public key, as PEM (`BEGIN PUBLIC KEY`).", example: "secrets/cloudfront.pem"),
  ]

  fileprivate static let parameter = ConfigText.matching("a name of letters, digits, \"-\", \"_\" and \".\"")
  { text in
    !text.isEmpty
      && text.utf8.allSatisfy { byte in
        switch byte {
        case 0x30...0x39, 0x41...0x5A, 0x61...0x7A, 0x2D, 0x2E, 0x5F: true
        default: false
        }
      }
  }

  /// `https://cdn.example.com`, without a path.
  static let publicURL = ConfigText.matching("a scheme and a host, such as https://cdn.example.com") { text in
    TokenRequest.Origin(text) != nil
  }
}

extension SiteConfiguration {
  static func publicCredentials(_ tables: [ConfigTable]) -> [PublicCredential] {
    tables.compactMap { table in
      table.file("public_key").flatMap { PublicKey(pem: $0) }
        .map { PublicCredential(id: table.string("id"), key: $0) }
    }
  }

  static func publicKeyComplaints(_ tables: [ConfigTable], at list: String) -> [ConfigComplaint] {
    tables.enumerated().compactMap { number, table in
      let name = TOMLText.quoted(table.string("id"))
      guard let pem = table.file("public_key") else {
        return ConfigComplaint(
          at: [.key(list), .index(number)], "the key \(name) needs public_key, the path of a PEM file",
          code: .missingKey)
      }
      guard PublicKey(pem: pem) == nil else { return nil }
      return ConfigComplaint(
        at: [.key(list), .index(number)],
        "the key \(name) is not the PEM of a public key of RSA (2048 bits or more) or P-256",
        code: .secret)
    }
  }
}

/// Keys that are written in hexadecimal.
private enum HexKey {
  static func bytes(_ secret: Secret) -> [UInt8]? {
    let digits = secret.bytes.map { PercentText.hexValue($0) }
    guard !digits.isEmpty, digits.count % 2 == 0, !digits.contains(nil) else { return nil }
    return stride(from: 0, to: digits.count, by: 2).map { (digits[$0] ?? 0) << 4 | (digits[$0 + 1] ?? 0) }
  }
}
