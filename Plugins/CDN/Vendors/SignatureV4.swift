// AWS Signature Version 4, for a POST with a body and no query
//
//   canonical   POST, path, query (none), content-type, host, x-amz-date and x-amz-target (where there is one) each on a line, a blank
//               line, their names, SHA-256 of the body
//   to sign     AWS4-HMAC-SHA256, date, scope (day/region/service/aws4_request), SHA-256 of the canonical request
//   key         HMAC(HMAC(HMAC(HMAC("AWS4" secret, day), region), service), "aws4_request")

import Origin
import Store

enum SignatureV4 {
  struct Credentials: Equatable, Sendable {
    var keyID: String
    var secret: Secret
  }

  /// `20260101T000000Z`.
  static func timestamp(_ seconds: Int64) -> String {
    let time = UTCTime(seconds)
    return "\(time.date)T\(time.hour)\(time.minute)\(time.second)Z"
  }

  /// The value of `Authorization`.
  ///
  /// - Parameters:
  ///   - path: in canonical form: percent-encoded, without dot segments.
  ///   - date: of ``timestamp(_:)``, as it stands in `X-Amz-Date`.
  ///   - target: as it stands in `X-Amz-Target`; nil without that field.
  static func authorization(
    _ method: String, host: String, path: String, contentType: String, body: [UInt8], date: String,
    target: String? = nil, region: String, service: String, _ credentials: Credentials
  ) -> String {
    let names = "content-type;host;x-amz-date" + (target == nil ? "" : ";x-amz-target")
    var lines = [
      method, path, "", "content-type:\(contentType)", "host:\(host.lowercased())", "x-amz-date:\(date)",
    ]
    if let target { lines.append("x-amz-target:\(target)") }
    lines += ["", names, BlobID.digest(of: body).hex]
    let canonical = lines.joined(separator: "\n")
    let scope = "\(date.prefix(8))/\(region)/\(service)/aws4_request"
    let text = [
      "AWS4-HMAC-SHA256", date, scope, BlobID.digest(of: Array(canonical.utf8)).hex,
    ].joined(separator: "\n")
    let key = signingKey(String(date.prefix(8)), region, service, credentials.secret)
    let signature = MessageCode.sha256(of: Array(text.utf8), key: key)
    return "AWS4-HMAC-SHA256 Credential=\(credentials.keyID)/\(scope), SignedHeaders=\(names), "
      + "Signature=\(hex(signature))"
  }

  static func signingKey(_ day: String, _ region: String, _ service: String, _ secret: Secret) -> [UInt8] {
    var key = Array("AWS4".utf8) + secret.bytes
    for part in [day, region, service, "aws4_request"] {
      key = MessageCode.sha256(of: Array(part.utf8), key: key)
    }
    return key
  }

  static func hex(_ bytes: [UInt8]) -> String {
    let digits = Array("0123456789abcdef".utf8)
    return String(decoding: bytes.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }, as: UTF8.self)
  }
}
