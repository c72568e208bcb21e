import Net
import Origin

/// A CDN, or one server of a cache of one's own, as a site's settings describe it.
struct Edge: Sendable {
  /// How a change of an asset is told.
  enum Method: String, Sendable, CaseIterable {
    /// By one tag.
    case tag
    /// By the URLs that it makes false.
    case url
    /// By one prefix, which takes what never changes along.
    case tree
  }

  enum Prefetch: String, Sendable, CaseIterable {
    case off
    /// GETs as a viewer would make them.
    case requests
    /// The playlists by GETs, and what they name by the service's own call.
    case api
  }

  /// What the vendor is asked about its traffic.
  struct Analytics: Sendable {
    let vendor: any AnalyticsVendor
    let periodSeconds: Int64
    let intervalMilliseconds: UInt64
  }

  /// The field that carries tags for this edge, and what it takes.
  struct TagField: Equatable, Sendable {
    var name: String
    var separator: String
    var mostTags = 1000
    var mostTagBytes = 1024
    var mostBytes = 16_384
  }

  /// As in the settings; with the server's address behind `@` where there are several.
  let name: String
  let vendorName: String
  let vendor: any PurgeVendor
  let site: SiteURLs
  /// The cache server itself; nil where viewers' names lead to the edge.
  let server: String?
  let method: Method
  let limits: VendorLimits
  let concurrency: Int
  let timeoutMilliseconds: UInt64
  let addresses: AddressPolicy
  let tagField: TagField?
  /// The field with which this edge alone is told how long to keep, and its value; nil for none.
  let cacheRule: HTTPField?
  let prefetch: Prefetch
  let verifies: Bool
  /// Of the generic vendor: its own call for prefetching.
  let prefetchCall: GenericVendor.Template?
  /// Of the generic vendor: what is told once at the start.
  let rulesCall: HTTPRequest?
  /// nil where nobody asks, or the vendor does not tell.
  let analytics: Analytics?

  /// Whether it is told by URLs and knows no trees: what it is not told by name, it keeps.
  var isToldNameByName: Bool { method == .url && !vendor.kinds.contains(.tree) }

  /// A GET of a path of the site by way of this edge.
  func viewerRequest(_ path: String) -> HTTPRequest {
    var request: HTTPRequest
    if let server {
      request = HTTPRequest("GET", server + path, fields: [HTTPField("Host", site.hosts.first ?? "")])
    } else {
      request = HTTPRequest("GET", (site.bases.first ?? "") + path)
    }
    request.timeoutMilliseconds = timeoutMilliseconds
    return request
  }
}
