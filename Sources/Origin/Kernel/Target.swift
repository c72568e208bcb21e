public import Store

/// What a path means, before it is known whether that exists.
public enum Target: Sendable, Equatable {
  case asset(AssetTarget)
  /// A static file of the site; the path below `/f/`, percent-decoded.
  case file(path: [UInt8])
  case blob(BlobID)
  /// Something that only the named plugin knows of: its own locate handler says so, its own content handler
  /// answers it. Names keep plugins apart; `path` is whatever the plugin needs.
  case plugin(String, path: [UInt8])
}

/// Something below `/v/{id}/`.
public struct AssetTarget: Sendable, Equatable {
  public var id: String
  /// The generation the path pins with `/g/{generation}/`; nil means the newest.
  public var generation: Generation?
  public var resource: AssetResource

  public init(id: String, generation: Generation?, resource: AssetResource) {
    self.id = id
    self.generation = generation
    self.resource = resource
  }
}

public enum AssetResource: Sendable, Equatable {
  case multivariantPlaylist
  case mpd
  case mediaPlaylist(rendition: String)
  case initSegment(rendition: String)
  case segment(rendition: String, number: Int)
  case progressive(rendition: String)
  case source
  /// Any other name below the asset: for plugins (`poster.jpg`, `storyboard.vtt`).
  case other(name: String)
}

extension AssetResource {
  /// The name below the asset, as entity tags are made from it: part of what is promised, so it never changes.
  var canonicalName: String {
    switch self {
    case .multivariantPlaylist: "master.m3u8"
    case .mpd: "manifest.mpd"
    case .mediaPlaylist(let rendition): "\(rendition)/playlist.m3u8"
    case .initSegment(let rendition): "\(rendition)/init.mp4"
    case .segment(let rendition, let number): "\(rendition)/segment/\(number)"
    case .progressive(let rendition): "\(rendition).mp4"
    case .source: "source"
    case .other(let name): name
    }
  }
}

/// The kind of an answer. It chooses the Cache-Control class, and is the `kind-K` surrogate key and
/// the `class` of a header rule.
public enum AnswerKind: String, Sendable, CaseIterable {
  case manifest
  case segment
  case progressive
  case file
  case blob
  case thumbnail
  case error
}

/// What a header filter knows about the answer it changes.
public struct AnswerInfo: Sendable, Equatable {
  public var site: String
  public var kind: AnswerKind
  /// True for what never changes under its URL (below `/g/{generation}/`, and blobs).
  public var isImmutable: Bool
  public var assetID: String?
  public var rendition: String?
  public var status: Int

  public init(
    site: String, kind: AnswerKind, isImmutable: Bool = false, assetID: String? = nil,
    rendition: String? = nil, status: Int = 200
  ) {
    self.site = site
    self.kind = kind
    self.isImmutable = isImmutable
    self.assetID = assetID
    self.rendition = rendition
    self.status = status
  }
}
