import Origin
import Store
import Testing

@testable import CDNPlugin

/// The signatures that vendors ask for, by published vectors.
@Suite struct SignatureTests {
  private static let grid = EdgeGrid.Credentials(
    clientToken: "akab-client-token-xxx", accessToken: "akab-access-token-xxx",
    clientSecret: Secret(bytes: Array("SOMESECRET".utf8)))

  private static func signature(_ body: String) -> String {
    let value = EdgeGrid.authorization(
      "POST", host: "akaa-baseurl-xxx.luna.akamaiapis.net", path: "/ccu/v3/invalidate/url/production",
      body: Array(body.utf8), grid, timestamp: "20140321T19:34:21+0000", nonce: "nonce-xx-xx-xx-xx")
    return String(value.split(separator: "signature=").last ?? "")
  }

  /// Of the call that `PurgeVendorTests` expects, by the function that the vector holds.
  static let mediaSignature = signature(#"{"objects":["https://media.example.com/v/abc/master.m3u8"]}"#)

  @Test func edgeGrid() {
    #expect(
      Self.signature(#"{"objects":["https://cdn.example.com/v/abc/master.m3u8"]}"#)
        == "/BupuhyZmBwLDFWx6tNt7aY0P4kIT/XwsOnDUn4KSPE=")
    #expect(EdgeGrid.timestamp(1_395_430_461) == "20140321T19:34:21+0000")
  }

  @Test func signatureV4() {
    let body = CloudFrontVendor.body(["/v/abc/*", "#asset:abc"], reference: "20260101T000000Z-1")
    #expect(
      BlobID.digest(of: body).hex == "c7bd6caa5290d8d922d7963f03308b1c57de3b23ae20e6f7ba6c6bc27f30c3ee")
    let credentials = SignatureV4.Credentials(
      keyID: "AKIDEXAMPLE", secret: Secret(bytes: Array("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY".utf8)))
    #expect(
      SignatureV4.hex(SignatureV4.signingKey("20260101", "us-east-1", "cloudfront", credentials.secret))
        == "3d70f2bfa13b1130565f1117e4334ed62f98958d8c76c822ab3565cb362d3b3c")
    #expect(
      SignatureV4.authorization(
        "POST", host: "cloudfront.amazonaws.com",
        path: "/2020-05-31/distribution/EDFDVBD6EXAMPLE/invalidation",
        contentType: "application/xml", body: body, date: "20260101T000000Z", region: "us-east-1",
        service: "cloudfront", credentials)
        == "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20260101/us-east-1/cloudfront/aws4_request, "
        + "SignedHeaders=content-type;host;x-amz-date, "
        + "Signature=98bc1f8c3984c4179cf30445e2efa8b1efd457626d06e8b2b63412cf189d216e")
  }

  @Test(
    arguments: [
      (0, "19700101 00:00:00"), (951_782_400, "20000229 00:00:00"), (951_868_799, "20000229 23:59:59"),
      (4_107_542_400, "21000301 00:00:00"), (253_402_300_799, "99991231 23:59:59"), (-5, "19700101 00:00:00"),
      (.max, "99991231 23:59:59"),
    ] as [(Int64, String)])
  func instants(seconds: Int64, text: String) {
    let time = UTCTime(seconds)
    #expect("\(time.date) \(time.hour):\(time.minute):\(time.second)" == text)
  }

  @Test func nonces() {
    let nonces = (0..<100).map { _ in PurgePass.uuid() }
    #expect(Set(nonces).count == 100)
    #expect(nonces.allSatisfy { $0.utf8.count == 36 && $0.dropFirst(14).first == "4" })
    #expect(nonces.allSatisfy { "89ab".contains($0.dropFirst(19).first ?? " ") })
  }
}
