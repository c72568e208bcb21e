/// The contexts of a configuration, found by the name that a client asks for (SNI, RFC 6066 §3). Made anew by every reload;
/// connections keep what they have agreed on.
final class TLSHosts: Sendable {
  /// For names of no site, for sites without a certificate of their own, and for clients that ask for no name.
  let standard: TLSContext
  private let byHost: [[UInt8]: TLSContext]
  private let fallback: TLSContext

  /// Nil where nothing has a certificate.
  ///
  /// - Throws: the first certificate that can't be used, with the site's name.
  init?(_ configuration: Configuration) throws(TLSError) {
    let sites = configuration.sites
    let usesKernel = configuration.server.kernelTLS && KernelTLS.isAvailable
    let own = try Self.certificates(configuration.server.tls, of: "the server")
    var bySite: [String: [TLSCertificate]] = [:]
    for site in sites {
      bySite[site.name] = try Self.certificates(site.tls.certificates, of: "site \(site.name)")
    }
    // The server's own, else that of the site that takes every host, else the first.
    let bearers = sites.filter { bySite[$0.name]?.isEmpty == false }
    let bearer = bearers.first { $0.hosts.contains(HostName.anyHost) } ?? bearers.first
    guard let first = own.isEmpty ? bearer.flatMap({ bySite[$0.name] }) : own else { return nil }
    let standard = try TLSContext(site: "", certificates: first, clientAuthority: nil, usesKernel: usesKernel)
    var byHost: [[UInt8]: TLSContext] = [:]
    var fallback = standard
    for site in sites {
      let certificates = bySite[site.name] ?? []
      var context = standard
      if !certificates.isEmpty || site.tls.clientCA != nil {
        context = try TLSContext(
          site: site.name, certificates: certificates.isEmpty ? first : certificates,
          clientAuthority: TLSClientAuthority(site), usesKernel: usesKernel)
      }
      for host in site.hosts {
        if host == HostName.anyHost { fallback = context } else { byHost[Array(host.utf8)] = context }
      }
    }
    self.standard = standard
    self.byHost = byHost
    self.fallback = fallback
  }

  /// - Parameter name: in any case, without a final dot; nil where the client sent none.
  func context(for name: UnsafeBufferPointer<UInt8>?) -> TLSContext {
    guard let name else { return fallback }
    return byHost[name.map { lowerCased($0) }] ?? fallback
  }

  private static func certificates(
    _ settings: [TLSCertificateSettings], of owner: String
  ) throws(TLSError) -> [TLSCertificate] {
    var made: [TLSCertificate] = []
    for each in settings {
      do throws(TLSError) { made.append(try each.load()) } catch {
        throw TLSError(message: "the certificate of \(owner) can't be used: \(error.message)")
      }
    }
    return made
  }
}
