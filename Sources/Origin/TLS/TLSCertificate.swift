// A certificate chain with its key, and the OCSP response that goes with it
//
// All come as bytes that the configuration has read: PEM for certificate and key, DER for the response. The key stays inside
// of OpenSSL, and no error names more than the kind of what is wrong.

internal import COpenSSL

/// Why a certificate, a key or an OCSP response can't be used: a sentence for the operator.
struct TLSError: Error, Equatable {
  let message: String
}

/// Certificates of authorities.
final class TLSAuthorities {
  let certificates: [OpaquePointer]

  /// - Parameter pem: one after the other.
  init(_ pem: [UInt8]) throws(TLSError) { certificates = try TLSCertificate.certificates(pem) }

  deinit { for each in certificates { X509_free(each) } }

  var isEmpty: Bool { certificates.isEmpty }
}

/// A certificate of a server with its chain and key. Immutable.
// @unchecked: OpenSSL counts references to these atomically, and nothing changes them.
final class TLSCertificate: @unchecked Sendable {
  let certificate: OpaquePointer
  let chain: [OpaquePointer]
  let key: OpaquePointer
  /// DER, and when it ends, in seconds since 1970.
  let ocsp: (response: [UInt8], expiresSeconds: Int64)?

  init(certificate pem: [UInt8], key: Secret, ocsp: [UInt8]?) throws(TLSError) {
    let all = try Self.certificates(pem)
    guard let leaf = all.first else { throw TLSError(message: "the file holds no certificate in PEM") }
    guard let key = Self.privateKey(key) else {
      for each in all { X509_free(each) }
      throw TLSError(message: "the key file holds no private key in PEM without a password")
    }
    certificate = leaf
    chain = Array(all.dropFirst())
    self.key = key
    guard X509_check_private_key(leaf, key) == 1 else {
      ERR_clear_error()
      self.ocsp = nil
      throw TLSError(message: "the key does not belong to the first certificate of the file")
    }
    guard let ocsp else {
      self.ocsp = nil
      return
    }
    guard let expires = Self.expirySeconds(ofResponse: ocsp) else {
      self.ocsp = nil
      throw TLSError(message: "the OCSP file holds no successful response in DER")
    }
    self.ocsp = (ocsp, expires)
  }

  deinit {
    X509_free(certificate)
    for each in chain { X509_free(each) }
    EVP_PKEY_free(key)
  }

  /// The response to staple; nil where there is none, or where it is too old to be believed.
  func ocspResponse(nowSeconds: Int64) -> [UInt8]? {
    guard let ocsp, nowSeconds < ocsp.expiresSeconds else { return nil }
    return ocsp.response
  }

  /// The certificates of a PEM text in their order; the caller frees them.
  static func certificates(_ pem: [UInt8]) throws(TLSError) -> [OpaquePointer] {
    var found: [OpaquePointer] = []
    withBIO(pem) { bio in
      while let next = PEM_read_bio_X509(bio, nil, noPassword, nil) { found.append(next) }
    }
    // Only the end of the text is an end; anything else is a certificate that can't be read.
    let error = ERR_peek_last_error()
    ERR_clear_error()
    let isEnd = error == 0 || Int32(truncatingIfNeeded: error & 0x7F_FFFF) == PEM_R_NO_START_LINE
    guard isEnd else {
      for each in found { X509_free(each) }
      throw TLSError(message: "certificate \(found.count + 1) of the file is damaged")
    }
    return found
  }

  private static func privateKey(_ secret: Secret) -> OpaquePointer? {
    defer { ERR_clear_error() }
    return withBIO(secret.bytes) { PEM_read_bio_PrivateKey($0, nil, noPassword, nil) }
  }

  /// Without it OpenSSL would ask whoever sits at the terminal.
  private static let noPassword:
    @convention(c) (UnsafeMutablePointer<CChar>?, Int32, Int32, UnsafeMutableRawPointer?) -> Int32 = {
      _, _, _, _ in -1
    }

  private static func withBIO<Result>(_ bytes: [UInt8], _ body: (OpaquePointer?) -> Result) -> Result {
    bytes.withUnsafeBytes { raw in
      let bio = BIO_new_mem_buf(raw.baseAddress, Int32(clamping: raw.count))
      defer { BIO_free(bio) }
      return body(bio)
    }
  }

  /// When the first answer of an OCSP response ends; nil when it is no successful response (RFC 6960 §4.2).
  private static func expirySeconds(ofResponse der: [UInt8]) -> Int64? {
    defer { ERR_clear_error() }
    return der.withUnsafeBufferPointer { bytes in
      var position = bytes.baseAddress
      guard let response = d2i_OCSP_RESPONSE(nil, &position, bytes.count) else { return nil }
      defer { OCSP_RESPONSE_free(response) }
      guard OCSP_response_status(response) == OCSP_RESPONSE_STATUS_SUCCESSFUL,
        let basic = OCSP_response_get1_basic(response)
      else { return nil }
      defer { OCSP_BASICRESP_free(basic) }
      guard let single = OCSP_resp_get0(basic, 0) else { return nil }
      var next: UnsafeMutablePointer<ASN1_GENERALIZEDTIME>?
      _ = OCSP_single_get0_status(single, nil, nil, nil, &next)
      // Without a date newer information is always available: good for as long as the file is.
      guard let next else { return .max }
      var days: Int32 = 0
      var seconds: Int32 = 0
      guard let epoch = ASN1_TIME_set(nil, 0) else { return nil }
      defer { ASN1_STRING_free(epoch) }
      guard ASN1_TIME_diff(&days, &seconds, epoch, next) == 1 else { return nil }
      return Int64(days) * 86_400 + Int64(seconds)
    }
  }
}
