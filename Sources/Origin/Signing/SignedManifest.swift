// One viewer's copy of a manifest.
//
// The manifest of an asset is made once and shared (`Representation`); with a scoped token in the request, every child
// in it gets the token, and the answer is for that viewer alone:
//
//     shared   "9f2c…-51d0…"          Cache-Control: public, max-age=60, …
//     copy     "9f2c…-51d0…-7ab3…"    Cache-Control: private, max-age=60
//
// It is `private` because a CDN that leaves tokens out of its cache key would else hand one viewer's token to the next.
// Its entity tag holds a digest of the token, so ranges and conditions are those of this copy. Segments have no token in
// them: they stay shared, and a CDN keeps one copy for all viewers.

import HTTP
import Packaging
import Store

/// What turns a shared manifest into copies.
struct SignedManifest: Sendable {
  /// Tells a client the query that takes the place of one that ends soon.
  static let renewalField = "Signed-Query"

  private let template: ManifestTemplate
  /// All but Content-Type and what depends on the token.
  private let fields: HeaderFields

  /// - Parameter fields: of the shared answer, after the site's header filters.
  init(_ template: ManifestTemplate, _ fields: HeaderFields, _ info: AnswerInfo, _ site: Site) {
    self.template = template
    var fields = fields
    fields.set(
      "Cache-Control",
      CacheControl(
        visibility: .private,
        maxAgeSeconds: UInt32(
          clamping: min(Int64(site.configuration.cache.manifestMaxAgeSeconds), info.mostAgeSeconds ?? .max))
      ).bytes)
    for name in ["CDN-Cache-Control", "Surrogate-Control", "ETag"] { fields.remove(name) }
    self.fields = fields
  }

  var costBytes: Int { template.costBytes + 512 }

  /// The copy for a request with this token.
  ///
  /// - Complexity: one copy of the manifest, and of its fields.
  func copy(of shared: Representation, query: [UInt8], isRenewed: Bool) -> Representation {
    var fields = fields
    let digest = Array(BlobID.digest(of: query).hex.utf8.prefix(16))
    let etag = Array(shared.etag.dropFirst().dropLast()) + [UInt8(ascii: "-")] + digest
    fields.set("ETag", [0x22] + etag + [0x22])
    if isRenewed {
      fields.set(Self.renewalField, query)
      if let exposed = fields["Access-Control-Expose-Headers"] {
        fields.set(
          "Access-Control-Expose-Headers",
          exposed + Array("\(exposed.isEmpty ? "" : ", ")\(Self.renewalField)".utf8))
      }
    }
    return Representation(
      info: shared.info, fields: fields, contentType: shared.contentType, etag: etag,
      lastModifiedSeconds: shared.lastModifiedSeconds, slices: [.bytes(template.bytes(query: query))],
      validUntilSeconds: shared.validUntilSeconds, needsToken: shared.needsToken)
  }
}

extension Representation {
  /// The answer to a request with this token.
  func copy(for grant: AccessGrant?) -> Representation {
    guard let signed, let grant, let query = grant.childQuery else { return self }
    return signed.copy(of: self, query: query, isRenewed: grant.isRenewed)
  }
}
