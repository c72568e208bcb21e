// What connections to one site agree on: an SSL_CTX
//
// TLS 1.2 and 1.3. For 1.2 only ciphers with forward secrecy and authenticated encryption (RFC 9325 §4.2), no compression,
// no renegotiation. Sessions are resumed by tickets alone; see `TLSTicketKeys`. No early data, which could be replayed.

internal import COpenSSL

/// Who vouches for the clients of a site.
struct TLSClientAuthority: Sendable, Equatable {
  let site: String
  /// PEM.
  let certificates: [UInt8]

  /// Nil where clients show no certificate.
  init?(_ site: SiteConfiguration) {
    guard let certificates = site.tls.clientCA else { return nil }
    self.site = site.name
    self.certificates = certificates
  }
}

/// Immutable once made; connections keep their own reference to what is inside.
// @unchecked: OpenSSL allows an SSL_CTX to be used by many threads at a time once nothing configures it any more.
final class TLSContext: @unchecked Sendable {
  let raw: OpaquePointer
  /// Whose certificate a client must show; nil where clients show none.
  let clientAuthority: TLSClientAuthority?
  private let certificates: [TLSCertificate]

  static let ticketLifetimeSeconds: Int64 = 12 * 3600

  /// - Parameters:
  ///   - site: the name of the site, which no session may leave: a client that has shown its certificate to one site has
  ///     shown nothing to another.
  ///   - certificates: at least one, of different key types.
  ///   - clientAuthority: whose certificate a client must show; nil: clients show none.
  ///   - usesKernel: have the kernel make the records of long answers, if it can.
  init(
    site: String, certificates: [TLSCertificate], clientAuthority: TLSClientAuthority?, usesKernel: Bool
  ) throws(TLSError) {
    guard let raw = SSL_CTX_new(TLS_server_method()) else { throw Self.failure("a context can't be made") }
    self.raw = raw
    self.certificates = certificates
    self.clientAuthority = clientAuthority
    try configureProtocol()
    for certificate in certificates {
      guard SSL_CTX_use_certificate(raw, certificate.certificate) == 1,
        certificate.chain.allSatisfy({ copenssl_ctx_add1_chain(raw, $0) == 1 }),
        SSL_CTX_use_PrivateKey(raw, certificate.key) == 1
      else { throw Self.failure("a certificate can't be used") }
    }
    // Different authorities are different sessions too.
    let identity = Array("\(site)\0".utf8) + (clientAuthority?.certificates ?? [])
    var digest = [UInt8](repeating: 0, count: 32)
    guard EVP_Digest(identity, identity.count, &digest, nil, EVP_sha256(), nil) == 1,
      SSL_CTX_set_session_id_context(raw, digest, UInt32(digest.count)) == 1
    else { throw Self.failure("sessions can't be named") }
    if let clientAuthority { try require(clientAuthority.certificates) }
    SSL_CTX_set_alpn_select_cb(raw, tlsSelectProtocol, nil)
    _ = copenssl_ctx_set_status_callback(raw, tlsStapleResponse)
    SSL_CTX_set_tlsext_ticket_key_evp_cb(raw, tlsPrepareTicket)
    SSL_CTX_set_client_hello_cb(raw, tlsReadClientHello, nil)
    if usesKernel { SSL_CTX_set_keylog_callback(raw, tlsHearSecret) }
  }

  deinit { SSL_CTX_free(raw) }

  private func configureProtocol() throws(TLSError) {
    SSL_CTX_set_options(
      raw,
      copenssl_op_no_renegotiation | copenssl_op_server_preference | copenssl_op_prioritize_chacha
        | copenssl_op_ignore_unexpected_eof)
    // An idle connection gives its buffers back.
    SSL_CTX_ctrl(raw, SSL_CTRL_MODE, Int(SSL_MODE_RELEASE_BUFFERS), nil)
    SSL_CTX_ctrl(raw, SSL_CTRL_SET_SESS_CACHE_MODE, Int(SSL_SESS_CACHE_OFF), nil)
    SSL_CTX_set_timeout(raw, Int(Self.ticketLifetimeSeconds))
    // None by itself: a session asks for one that leaves with its first answer.
    SSL_CTX_set_num_tickets(raw, 0)
    guard SSL_CTX_ctrl(raw, SSL_CTRL_SET_MIN_PROTO_VERSION, Int(TLS1_2_VERSION), nil) == 1,
      SSL_CTX_set_cipher_list(raw, "ECDHE+AES128+AESGCM:ECDHE+AESGCM:ECDHE+CHACHA20") == 1,
      SSL_CTX_set_ciphersuites(
        raw, "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256") == 1,
      copenssl_ctx_set_groups(raw, "X25519:P-256:P-384") == 1
    else { throw Self.failure("OpenSSL offers no TLS 1.2 with forward secrecy") }
  }

  private func require(_ clientCA: [UInt8]) throws(TLSError) {
    let authorities = try TLSAuthorities(clientCA)
    guard !authorities.isEmpty else { throw TLSError(message: "client_ca holds no certificate in PEM") }
    let store = SSL_CTX_get_cert_store(raw)
    for authority in authorities.certificates {
      guard X509_STORE_add_cert(store, authority) == 1, SSL_CTX_add_client_CA(raw, authority) == 1 else {
        throw Self.failure("an authority of client_ca can't be used")
      }
    }
    SSL_CTX_set_verify(raw, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nil)
  }

  /// The response to staple beside the certificate that OpenSSL has chosen for a connection.
  func ocspResponse(for chosen: OpaquePointer?, nowSeconds: Int64) -> [UInt8]? {
    certificates.first { $0.certificate == chosen }?.ocspResponse(nowSeconds: nowSeconds)
  }

  private static func failure(_ message: String) -> TLSError {
    var text = [CChar](repeating: 0, count: 256)
    ERR_error_string_n(ERR_get_error(), &text, text.count)
    ERR_clear_error()
    let reason = String(decoding: text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    return TLSError(message: "\(message): \(reason)")
  }
}
