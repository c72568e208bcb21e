// The header fields of an answer, rendered once per representation: validators, caching, tags, CORS.

import HTTP
import Packaging
import Store

extension ContentContext {
  /// Puts an answer together: the fields every answer of its kind carries, then the site's header filters.
  ///
  /// - Parameter etag: the entity tag without quotes; strong, so equal bytes under equal tags.
  public func representation(
    _ info: AnswerInfo, contentType: String, etag: [UInt8], lastModifiedMilliseconds: Int64,
    slices: [BodySlice], validUntilSeconds: Int64? = nil
  ) -> Representation {
    representation(
      info, contentType: contentType, etag: etag, lastModifiedMilliseconds: lastModifiedMilliseconds,
      slices: slices, template: nil, validUntilSeconds: validUntilSeconds)
  }

  func representation(
    _ info: AnswerInfo, contentType: String, etag: [UInt8], lastModifiedMilliseconds: Int64,
    slices: [BodySlice], template: ManifestTemplate?, validUntilSeconds: Int64?
  ) -> Representation {
    // Never in the future: the clock may have been set back since the ingest (RFC 9110 §8.8.2.1).
    let modified = min(lastModifiedMilliseconds / 1000, nowSeconds)
    var fields = HeaderFields()
    fields.set("Accept-Ranges", "bytes")
    fields.set("ETag", [0x22] + etag + [0x22])
    fields.set("Last-Modified", HTTPDate.bytes(modified))
    site.addFields(to: &fields, for: info)
    return Representation(
      info: info, fields: fields, contentType: Array(contentType.utf8), etag: etag,
      lastModifiedSeconds: modified, slices: slices, validUntilSeconds: validUntilSeconds,
      needsToken: needsToken, signed: template.map { SignedManifest($0, fields, info, site) })
  }
}

extension Site {
  /// Caching, tags, CORS, and whatever the site's plugins change.
  func addFields(to fields: inout HeaderFields, for info: AnswerInfo) {
    let cache = configuration.cache
    fields.set("Cache-Control", cacheControl(info))
    if info.status == 200, info.kind != .key, info.kind != .api, let cdn = cache.cdnCacheControl {
      fields.set("CDN-Cache-Control", info.mostAgeSeconds.map { "max-age=\($0)" } ?? cdn)
    }
    let tags = info.cacheTags
    // What nobody keeps, nobody purges.
    if let surrogateKey = configuration.tags.surrogateKey, info.kind != .api {
      fields.set(surrogateKey, tags.joined(separator: " "))
    }
    if let cacheTag = configuration.tags.cacheTag, info.kind != .api {
      fields.set(cacheTag, tags.joined(separator: ","))
    }
    if let origin = configuration.cors.allowOrigin {
      fields.set("Access-Control-Allow-Origin", origin)
      fields.set("Access-Control-Expose-Headers", configuration.cors.expose.joined(separator: ", "))
      fields.set("Timing-Allow-Origin", origin)
      fields.set("Cross-Origin-Resource-Policy", "cross-origin")
    }
    fields.set("X-Content-Type-Options", "nosniff")
    for filter in pipeline.headerFilters { filter.filter(&fields, of: info) }
  }
}
