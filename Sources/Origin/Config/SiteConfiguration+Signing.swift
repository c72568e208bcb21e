extension SiteConfiguration {
  /// Signed URLs: which paths need a token, and which tokens open them.
  public struct Signing: Sendable, Equatable {
    public var required: Bool
    public var rules: [Rule]
    /// Of our own scheme; several are valid at a time, the first one signs.
    public var keys: [Credential]
    public var renewal: Renewal
    /// Where players ask, such as `https://cdn.example.com`; empty: wherever they say.
    public var publicURLs: [String]
    public var nginx: NginxSecureLink
    public var akamai: Akamai
    public var cloudFrontKeys: [PublicCredential]
    public var commonAccess: CommonAccess

    /// What some paths need; the first rule that fits decides.
    public struct Rule: Sendable, Equatable, CustomStringConvertible {
      /// All below it if it ends in a slash, else one path.
      public var path: String?
      public var kind: AnswerKind?
      public var required: Bool

      public var description: String {
        let parts = [path.map { "path \($0)" }, kind.map { "class \($0.rawValue)" }].compactMap { $0 }
        return "\(parts.joined(separator: ", ")), required = \(required)"
      }
    }

    /// Tokens that take the place of those that end soon.
    public struct Renewal: Sendable, Equatable {
      /// How long before its end a token is renewed; 0: never.
      public var beforeSeconds: Int64
      public var forSeconds: Int64
    }

    init(_ table: ConfigTable) {
      required = table.bool("required")
      keys = SiteConfiguration.credentials(table.tables("keys"))
      rules = table.tables("rules").map { rule in
        Rule(
          path: rule.string("path").isEmpty ? nil : rule.string("path"),
          kind: AnswerKind(rawValue: rule.string("class")), required: rule.bool("required"))
      }
      renewal = Renewal(
        beforeSeconds: Int64(table.durationMilliseconds("renew_before") / 1000),
        forSeconds: Int64(table.durationMilliseconds("renew_for") / 1000))
      publicURLs = table.strings("public_urls")
      nginx = NginxSecureLink(table.table("nginx"))
      akamai = Akamai(table.table("akamai"))
      cloudFrontKeys = SiteConfiguration.publicCredentials(table.table("cloudfront").tables("keys"))
      commonAccess = CommonAccess(table.table("cat"))
    }

    /// One for each scheme that has keys.
    var verifiers: [any TokenVerifier] {
      var verifiers: [any TokenVerifier] = []
      if !keys.isEmpty { verifiers.append(HeadwaterVerifier(keys: keys, renewal: renewal)) }
      if !nginx.keys.isEmpty { verifiers.append(NginxSecureLinkVerifier(settings: nginx)) }
      if !akamai.keys.isEmpty { verifiers.append(AkamaiVerifier(settings: akamai)) }
      if !cloudFrontKeys.isEmpty {
        verifiers.append(CloudFrontVerifier(keys: cloudFrontKeys, publicURLs: publicURLs))
      }
      if !commonAccess.keys.isEmpty || !commonAccess.publicKeys.isEmpty {
        verifiers.append(CommonAccessVerifier(settings: commonAccess, publicURLs: publicURLs))
      }
      return verifiers
    }

    static let section = ConfigSection(
      "signing", "Signed URLs: which paths need a token, and which tokens open them. See docs/SIGNING.md.",
      keys: [
        .bool(
          "required", default: false,
          "Whether every path needs a valid token, but for those that a rule exempts. Content keys need one "
            + "wherever there are keys, and private assets are reached with one alone."),
        .tables(
          "rules", of: ruleKeys,
          "What some paths need instead; the first rule that fits decides. A rule has a `path`, a `class`, or both.",
          example: "[{ path = \"/f/open/\", required = false }, { class = \"segment\", required = false }]",
          validate: { rule in
            rule.string("path").isEmpty && rule.string("class").isEmpty
              ? [ConfigComplaint(at: [], "a rule needs a path or a class", code: .missingKey)] : []
          }),
        .tables(
          "keys", of: SiteConfiguration.credentialKeys, identity: "id",
          "Keys that sign and verify our own tokens; the first one signs. Several are valid at a time; a removed key ends at the next reload.",
          example: "[{ id = \"k1\", secret_file = \"secrets/k1.key\" }]"),
        .duration(
          "renew_before", default: "0s", from: "0s", to: "1d",
          "A playlist or MPD that is asked for with a token that ends within this time carries a fresh one, and so does the header "
            + "`Signed-Query`. `0s`: never. A token that is renewed has no end but the removal of its key.",
          example: "10m"),
        .duration(
          "renew_for", default: "1h", from: "1m", to: "30d", "How long a renewed token is valid.",
          example: "6h"),
        .strings(
          "public_urls", default: [], of: publicURL,
          "Schemes and hosts under which players ask, for tokens that sign whole URLs (`cloudfront`, `cat`). Empty: the host of "
            + "the request, under `https` or `http`.",
          example: ["https://cdn.example.com"]),
      ],
      sections: [NginxSecureLink.section, Akamai.section, cloudFrontSection, CommonAccess.section],
      validate: { table in
        var complaints: [ConfigComplaint] = []
        let asks = table.bool("required") || table.tables("rules").contains { $0.bool("required") }
        if asks, Signing(table).verifiers.isEmpty {
          complaints.append(
            ConfigComplaint(
              at: [.key(table.bool("required") ? "required" : "rules")],
              "signing has no keys, so nothing could be asked for: add keys", code: .missingKey))
        }
        return complaints + SiteConfiguration.wholeSeconds(table)
      })

    private static let ruleKeys: [ConfigKey] = [
      .string(
        "path", default: "", path,
        "The path, as it is without escapes. All below it if it ends in a slash. Empty: any.",
        example: "/v/trailer/"),
      .string(
        "class", default: "",
        .oneOf("", "manifest", "segment", "progressive", "thumbnail", "file"),
        "The class of answers, by the ending of their names. Empty: any.", example: "segment"),
      .bool(
        "required", default: true,
        "Whether these paths need a token. Where they do not, one that has ended does no harm."),
    ]

    private static let path = ConfigText.matching("\"\" or a path that begins with a slash") { text in
      text.isEmpty || text.utf8.first == 0x2F && text.utf8.allSatisfy { $0 >= 0x20 && $0 != 0x7F }
    }
  }

  /// How the site knows its CDN.
  public struct OriginSecret: Sendable, Equatable {
    public var header: String
    /// None: everybody may ask.
    public var secrets: [Credential]

    init(_ table: ConfigTable) {
      header = table.string("header")
      secrets = SiteConfiguration.credentials(table.tables("secrets"))
    }

    static let section = ConfigSection(
      "origin_secret", "A header field that only your CDN knows. Requests without it are refused.",
      keys: [
        .string(
          "header", default: "X-Origin-Secret", .fieldName, "The name of the field.",
          example: "X-Headwater-Secret"),
        .tables(
          "secrets", of: SiteConfiguration.credentialKeys, identity: "id",
          "Values that are let in. Several are valid at a time. None: everybody may ask.",
          example: "[{ id = \"cdn-2026\", secret_file = \"secrets/cdn.secret\" }]"),
      ])
  }
}
