extension SiteConfiguration {
  /// How the site is served over TLS, to clients that ask for one of its hosts (SNI).
  public struct TLS: Sendable, Equatable {
    /// Empty: the server's.
    public var certificates: [TLSCertificateSettings]
    /// Authorities in PEM of whose clients one must show a certificate; `nil`: clients show none.
    public var clientCA: [UInt8]?

    init(_ table: ConfigTable) {
      certificates = TLSCertificateSettings.all(table)
      clientCA = table.file("client_ca")
    }

    static let section = ConfigSection(
      "tls", "Certificates of the site. Without any it is served with the server's.",
      keys: TLSCertificateSettings.keys + [
        .file(
          "client_ca",
          "Authorities in PEM. Clients must show a certificate of theirs, and nothing is answered without: "
            + "the origin secret of CDNs that have one. Absent: clients show none.",
          example: "tls/cdn-clients.pem")
      ],
      validate: { table in
        let complaints = TLSCertificateSettings.validate(table)
        guard let clientCA = table.file("client_ca") else { return complaints }
        do throws(TLSError) {
          let certificates = try TLSAuthorities(clientCA)
          guard certificates.isEmpty else { return complaints }
          return complaints + [
            ConfigComplaint(at: ["client_ca"], "the file holds no certificate in PEM")
          ]
        } catch {
          return complaints + [ConfigComplaint(at: ["client_ca"], "\(error.message)")]
        }
      })
  }
}
