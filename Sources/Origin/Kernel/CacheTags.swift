// What an answer belongs to, so that a cache can be told to forget it by name
//
//   site-S              everything of a site
//   asset-ID            everything of an asset, whatever its generation
//   latest-ID           what an asset's URLs without a generation answered: all that a new generation makes false
//   rendition-ID-R      one rendition of it
//   kind-K              a class of answers
//
// Names below `/g/{generation}/` never change, so a replaced asset is purged by `latest-ID`, which spares them; a removed one
// by `asset-ID`. One list, in the order of importance: each CDN has its own field, separator and limits, and a limit cuts the end.

extension AnswerInfo {
  /// The tags of the answer. Site names, ids and names of renditions are letters, digits, `-` and `_`: fit for every CDN.
  public var cacheTags: [String] {
    var tags = ["site-\(site)"]
    if let id = assetID {
      tags.append("asset-\(id)")
      if !isImmutable { tags.append("latest-\(id)") }
      if let rendition { tags.append("rendition-\(id)-\(rendition)") }
    }
    tags.append("kind-\(kind.rawValue)")
    return tags
  }
}
