/// `certificate`, `key_file` and `ocsp`, as they stand in `[tls]` of the server's file and of site files.
public struct TLSCertificateSettings: Sendable, Equatable {
  /// PEM: the server's certificate, then its chain.
  public var certificate: [UInt8]
  /// PEM, without a password.
  public var key: Secret
  /// An OCSP response in DER to staple.
  public var ocsp: [UInt8]?

  /// Nil where the table names no certificate.
  init?(_ table: ConfigTable) {
    guard let certificate = table.file("certificate"), let key = table.secret("key") else { return nil }
    self.certificate = certificate
    self.key = key
    ocsp = table.file("ocsp")
  }

  func load() throws(TLSError) -> TLSCertificate {
    try TLSCertificate(certificate: certificate, key: key, ocsp: ocsp)
  }

  /// The certificate of `[tls]` itself and those of its list.
  static func all(_ table: ConfigTable) -> [TLSCertificateSettings] {
    ([table] + table.tables("certificates")).compactMap { TLSCertificateSettings($0) }
  }

  static let keys: [ConfigKey] =
    certificateKeys + [
      .tables(
        "certificates", of: certificateKeys,
        "Further certificates for the same hosts with another type of key, such as RSA beside ECDSA.",
        example: "[{ certificate = \"tls/media-rsa.pem\", key_file = \"secrets/media-rsa.key\" }]",
        validate: validate)
    ]

  private static let certificateKeys: [ConfigKey] = [
    .file(
      "certificate", "The certificate in PEM, followed by its chain. Read again at every reload.",
      example: "tls/media.pem"),
    .secret(
      "key", isRequired: false,
      "Where the certificate's private key is: PEM without a password, in a file that only the server can read."
    ),
    .file(
      "ocsp", "An OCSP response in DER that is sent along (stapled) until it expires.",
      example: "tls/media.ocsp"),
  ]

  /// That certificate and key are there together, belong together, and can be used.
  static let validate: @Sendable (ConfigTable) -> [ConfigComplaint] = { table in
    let hasCertificate = table.file("certificate") != nil
    let hasKey = table.secret("key") != nil
    guard hasCertificate == hasKey else {
      return [
        hasCertificate
          ? ConfigComplaint(at: ["certificate"], "a certificate needs its key: key_file", code: .missingKey)
          : ConfigComplaint(at: ["key_file"], "a key needs its certificate", code: .missingKey)
      ]
    }
    guard let settings = TLSCertificateSettings(table) else {
      return table.file("ocsp") == nil
        ? [] : [ConfigComplaint(at: ["ocsp"], "an OCSP response needs its certificate", code: .missingKey)]
    }
    do throws(TLSError) { _ = try settings.load() } catch {
      return [ConfigComplaint(at: ["certificate"], "the certificate can't be used: \(error.message)")]
    }
    return []
  }
}
