// What a site's own systems say about its videos, beside the catalog
//
//     API      GET /api/v1/videos/{id} shows it as `metadata`
//     media    its rights decide: who gets the video, and which pictures manifests name
//     explain  tells it
//
// A provider answers from memory. What is not there yet is awaited once, then asked for again; what has grown old is answered all
// the same and fetched anew behind. So an answer waits for nobody but at the first request for a video.
//
// Answers stay pure functions: of site, path, catalog, and what the provider has said. Two things hold that together. The provider's
// `revision` is part of the name under which an answer is kept, so that one that was made of other rights is not found any more. And
// what names a video's renditions (multivariant playlists, MPDs) has their list in its entity tag, is kept no longer than the metadata
// are fresh, and is never immutable, under a pinned generation neither.
//
// A right that ends (`availableUntilSeconds`) ends everywhere: playlists and MPDs of such a video say so short a lifetime that no cache
// has them longer, and are made anew each second so that it stays true.

import Store

/// Knows of videos what is kept outside of the catalog. A plugin joins one into the pipeline; the first counts.
public protocol MetadataProvider: Sendable {
  /// Grows whenever the rights of some video are others than was said before.
  var revision: UInt64 { get }

  /// What is known of a video of the site. Called on loops: must not block.
  func metadata(ofVideo id: String) -> MetadataLookup

  /// Finds out about a video, and tells how, for `headwater explain`; afterwards ``metadata(ofVideo:)`` knows it. The plugin need not be
  /// provisioned.
  func explain(_ id: String, in host: PluginHost) async -> [(name: String, value: String)]
}

/// What a provider knows of a video.
public enum MetadataLookup: Sendable {
  /// - Parameters:
  ///   - metadata: nil where the site's systems do not know the video.
  ///   - freshSeconds: how long an answer that depends on it may be kept, at least 1.
  case known(VideoFacts?, freshSeconds: Int64)
  /// Nobody has asked yet: await the closure, then ask again.
  case unknown(@Sendable () async -> Void)
  /// There is no saying, for now.
  /// - Parameter refusal: what viewers get; nil where the catalog alone shall decide.
  case unavailable(refusal: Problem?)
}

/// What is said about a video.
public struct VideoFacts: Sendable, Equatable {
  /// An object, as it came.
  public var json: [UInt8]
  public var rights: VideoRights
  /// 64 bits of a digest of `json`, in hexadecimal digits.
  public let digest: String

  public init(json: [UInt8], rights: VideoRights) {
    self.json = json
    self.rights = rights
    digest = String(BlobID.digest(of: json).hex.prefix(16))
  }
}

/// Who may have a video, and what of it.
public struct VideoRights: Sendable, Hashable {
  /// Delivered to requests with a valid token alone, whatever the catalog says.
  public var isPrivate = false
  /// Which renditions with pictures may be had, sorted; nil: all. Sound and subtitles always may.
  public var renditions: [String]?
  /// Two capitals each (ISO 3166), sorted; nil: everywhere.
  public var countries: [String]?
  /// The same, where it may not be had.
  public var blockedCountries: [String] = []
  /// From when on it may be had, seconds since 1970; nil: it always may.
  public var availableFromSeconds: Int64?
  /// Until when, that second not included; nil: without an end.
  public var availableUntilSeconds: Int64?

  public init() {}

  /// Nothing beyond what the catalog decides.
  public static let unrestricted = VideoRights()

  public func allows(_ rendition: String) -> Bool { renditions?.contains(rendition) ?? true }

  /// - Parameter country: two capitals; nil: not known.
  public func allows(country: String?) -> Bool {
    guard let country else { return countries == nil }
    return !blockedCountries.contains(country) && (countries?.contains(country) ?? true)
  }
}

extension VideoRights {
  /// - Throws: what viewers get before and after the time.
  func requireTime(_ nowSeconds: Int64) throws(Problem) {
    if let from = availableFromSeconds, nowSeconds < from {
      throw Problem(
        status: 403, code: "not-yet-available", title: "Not yet available",
        detail: "This video may not be delivered before a time that has not come yet.")
    }
    if let until = availableUntilSeconds, nowSeconds >= until {
      throw Problem(
        status: 403, code: "no-longer-available", title: "No longer available",
        detail: "The time until which this video might be delivered is over.")
    }
  }
}

extension ContentContext {
  /// What the site's provider decides about a video.
  ///
  /// - Returns: nil for a site without a provider.
  /// - Throws: where the provider does not know and wants the viewer refused.
  func rights(ofVideo id: String) throws(Problem) -> (rights: VideoRights, freshUntilSeconds: Int64)? {
    guard let provider = site.pipeline.metadata else { return nil }
    switch provider.metadata(ofVideo: id) {
    case .known(let facts, let freshSeconds):
      return (facts?.rights ?? .unrestricted, nowSeconds + max(1, freshSeconds))
    case .unavailable(let refusal?): throw refusal
    // `.unknown` where the request has waited too often.
    case .unavailable, .unknown: return (.unrestricted, nowSeconds + 1)
    }
  }
}
