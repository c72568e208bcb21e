public import Packaging
public import Store

/// What a path means, before it is known whether that exists.
public enum Target: Sendable, Equatable {
  case asset(AssetTarget)
  /// A static file of the site; the path below `/f/`, percent-decoded.
  case file(path: [UInt8])
  case blob(BlobID)
  /// A video as a resource of the API: only calls with a token come here.
  case video(id: String)
  /// Something that only the named plugin knows of: its own locate handler says so, its own content handler
  /// answers it. Names keep plugins apart; `path` is whatever the plugin needs.
  case plugin(String, path: [UInt8])
}

/// Something below `/v/{id}/`.
public struct AssetTarget: Sendable, Equatable {
  public var id: String
  /// The generation the path pins with `/g/{generation}/`; nil means the newest.
  public var generation: Generation?
  /// How the path wants what it names encrypted, with `/enc/{method}-{fingerprint}/` behind a generation; nil: in clear.
  public var protection: ProtectionName?
  /// The part of the asset that the path names with `/clip/{start}-{end}/`; nil means all of it.
  public var clip: ClipRange?
  public var resource: AssetResource

  public init(
    id: String, generation: Generation?, protection: ProtectionName? = nil, clip: ClipRange? = nil,
    resource: AssetResource
  ) {
    self.id = id
    self.generation = generation
    self.protection = protection
    self.clip = clip
    self.resource = resource
  }
}

/// What a path below an asset asks for.
public enum AssetResource: Sendable, Equatable {
  case multivariantPlaylist(DeliveryForm)
  /// `.fragments` or `.byteRanges`: a transport stream has no MPD.
  case mpd(DeliveryForm)
  case rendition(String, RenditionResource)
  case source
  /// The content key itself; only where things are encrypted.
  case contentKey
  /// Any other name below the asset: for plugins (`poster.jpg`, `storyboard.vtt`).
  case other(name: String)
}

extension AssetResource {
  /// Whether the answer lists renditions.
  var namesRenditions: Bool {
    switch self {
    case .multivariantPlaylist, .mpd: true
    case .rendition, .source, .contentKey, .other: false
    }
  }
}

extension AssetResource {
  /// Whether the answer leads players to media.
  var isManifest: Bool {
    switch self {
    case .multivariantPlaylist, .mpd, .rendition(_, .playlist), .rendition(_, .iFramePlaylist): true
    case .rendition, .source, .contentKey, .other: false
    }
  }
}

/// What a path asks of one rendition.
public enum RenditionResource: Sendable, Equatable {
  case playlist(DeliveryForm)
  /// `.fragments` or `.transport`, as all below.
  case iFramePlaylist(DeliveryForm)
  case initSegment
  case segment(Int, DeliveryForm)
  case iFrame(Int, DeliveryForm)
  /// A piece of a subtitle rendition; its times fit the segments of that form.
  case subtitleSegment(Int, DeliveryForm)
  /// The rendition as one file: a progressive one, one of all fragments, or the whole text of subtitles.
  case progressive
  case fragmentedFile
  case subtitleFile
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
  /// A content key: never stored by anyone.
  case key
  /// What a call of the API answers: never stored by anyone.
  case api
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
  /// No cache may keep the answer longer, whatever the settings say; nil for no such bound.
  public var mostAgeSeconds: Int64?

  public init(
    site: String, kind: AnswerKind, isImmutable: Bool = false, assetID: String? = nil,
    rendition: String? = nil, status: Int = 200, mostAgeSeconds: Int64? = nil
  ) {
    self.site = site
    self.kind = kind
    self.isImmutable = isImmutable
    self.assetID = assetID
    self.rendition = rendition
    self.status = status
    self.mostAgeSeconds = mostAgeSeconds
  }
}
