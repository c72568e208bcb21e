// How an asset is encrypted, as one site does it, and what of it its URLs name.
//
//     site encrypts   path            what it answers
//     no              in clear        everything
//     no              enc/…           404
//     yes             enc/…, current  everything that has an encrypted form; else 404, `no-encrypted-form`
//     yes             enc/…, other    404
//     yes             newest          playlists and MPDs, whose children are below enc/; media: 403, `encryption-required`
//     yes             g/…, in clear   403, since caches may keep what it says in clear for a year
//
// Subtitles are never encrypted and answer everywhere. Forms without encryption: progressive files, files of all
// fragments, playlists and MPDs by byte ranges; transport streams under Common Encryption; MPDs under `aes-128`; clips
// under `cenc` (below).
//
// Vectors. A key may outlive a generation and be shared by assets, so they come from a digest of what the bytes depend on:
//
//     SHA-256(purpose, PackagerVersion, segment length, generation, blob, track, rendition)
//
//   cenc      64 bits are the `vectorBase` of the rendition; its single pictures have another purpose and so another
//             base. A clip would need a base of its own, and anyone may ask for any number of clips until two bases
//             are near: they are refused. `ProtectedTrack` tells why that would matter.
//   aes-128   128 bits are the vector of every resource of the rendition, and stand in EXT-X-KEY. Under CBC, equal
//             vectors show how far two resources begin alike. Here they part before any media: every fragment has its
//             number in `mfhd`, every transport stream segment its time in the first PES header.
//   cbcs      has the constant vector of the key.

import Packaging
import Store

/// The encryption of one asset.
struct Protection {
  let name: ProtectionName
  /// With a vector.
  let key: ContentKey
  let settings: SiteConfiguration.Encryption
  /// The path names it; if not, the path is one in clear.
  let isNamed: Bool
  /// The path pins a generation and means it in clear.
  private let isPinnedInClear: Bool

  var method: EncryptionMethod { name.method }

  /// Nil where the site does not encrypt.
  ///
  /// - Throws: `.notFound` for a path that names another encryption than the site's; a problem where the asset has no key.
  init?(_ target: AssetTarget, in context: ContentContext) throws(Problem) {
    settings = context.site.configuration.encryption
    guard let method = settings.method else {
      guard target.protection == nil else { throw .notFound }
      return nil
    }
    guard let key = try context.contentKey(ofAsset: target.id) else { throw .withoutContentKey }
    self.key = key
    name = ProtectionName(method: method, fingerprint: Self.fingerprint(settings, key))
    guard target.protection == nil || target.protection == name else { throw .notFound }
    isNamed = target.protection != nil
    isPinnedInClear = target.generation != nil && !isNamed
  }

  /// Eight hex digits of a digest over all settings that bytes below `enc/` depend on.
  private static func fingerprint(_ settings: SiteConfiguration.Encryption, _ key: ContentKey) -> String {
    var bytes = Array("headwater protection".utf8) + [0] + key.id + key.key + (key.iv ?? [])
    func append(_ part: [UInt8]) {
      bytes += Array("\(part.count) ".utf8) + part
    }
    for text in [settings.licenseURL ?? "", settings.keyURI ?? "", settings.servesKey ? "1" : "0"] {
      append(Array(text.utf8))
    }
    for system in settings.systems { append(system.box) }
    return String(BlobID.digest(of: bytes).hex.prefix(8))
  }

  // MARK: What is answered

  /// Lets pass what may be answered under this path.
  func admit(_ resource: AssetResource, clip: ClipRange?) throws(Problem) {
    switch resource {
    case .multivariantPlaylist(let form), .rendition(_, .playlist(let form)),
      .rendition(_, .iFramePlaylist(let form)):
      try admitManifest(has(form), clip)
    case .mpd(let form):
      try admitManifest(method != .aes128 && form == .fragments, clip)
    case .rendition(_, .segment(_, let form)), .rendition(_, .iFrame(_, let form)):
      try admitMedia(has(form), clip)
    case .rendition(_, .initSegment):
      try admitMedia(true, clip)
    case .source, .rendition:
      try admitMedia(false, clip)
    case .contentKey, .other: return
    }
  }

  private func has(_ form: DeliveryForm) -> Bool {
    switch form {
    case .fragments: true
    case .transport: method == .aes128
    case .byteRanges: false
    }
  }

  private func admitManifest(_ hasForm: Bool, _ clip: ClipRange?) throws(Problem) {
    guard !isPinnedInClear else { throw .encryptionRequired }
    guard hasForm, clip == nil || method != .cenc else { throw .withoutEncryptedForm }
  }

  private func admitMedia(_ hasForm: Bool, _ clip: ClipRange?) throws(Problem) {
    guard isNamed else { throw .encryptionRequired }
    try admitManifest(hasForm, clip)
  }

  // MARK: What manifests say

  /// The protection systems, with the one that Clear Key knows.
  private var allSystems: [ProtectionSystem] {
    let hasCommon = settings.systems.contains { $0.id == ProtectionSystem.commonID }
    return hasCommon ? settings.systems : [.common(keyIDs: [key.id])] + settings.systems
  }

  /// Nil where resources are encrypted whole.
  var contentProtection: ContentProtection? {
    method.scheme.map {
      ContentProtection(
        scheme: $0, keyID: key.id, systems: allSystems, clearKeyLicenseURL: settings.licenseURL)
    }
  }

  /// For players that ask for a license before they have a media playlist.
  var sessionKeys: [HLSKey] {
    guard let scheme = method.scheme else { return [] }
    return settings.systems.map { HLSKey(scheme: scheme, system: $0) }
  }

  /// The keys of a media playlist.
  func playlistKeys(of track: IndexedTrack, _ edition: Edition, in context: ContentContext) -> [HLSKey] {
    var uri = edition.keyReference
    let suffix = settings.keyURI == nil ? context.childSuffix : ""
    if let template = settings.keyURI {
      uri = template.split(separator: "{id}", omittingEmptySubsequences: false)
        .joined(separator: edition.assetID)
    }
    guard let scheme = method.scheme else {
      return [
        HLSKey(method: .aes128, uri: uri, uriSuffix: suffix, iv: vector(of: track, edition, in: context))
      ]
    }
    // Nobody is sent to an address that answers 403, unless there is no other.
    let hasAddress = settings.servesKey || settings.keyURI != nil || settings.systems.isEmpty
    // FairPlay has no box: its address is known by its scheme.
    let isFairPlay = uri.hasPrefix("skd:")
    let own = HLSKey(
      method: HLSKey.Method(scheme), uri: uri, uriSuffix: suffix,
      keyFormat: isFairPlay ? "com.apple.streamingkeydelivery" : nil,
      keyFormatVersions: isFairPlay ? "1" : nil)
    return (hasAddress ? [own] : []) + sessionKeys
  }

  // MARK: Vectors

  /// `aes-128`: 16 bytes for every resource of the rendition.
  func vector(of track: IndexedTrack, _ edition: Edition, in context: ContentContext) -> [UInt8] {
    digest("aes-128", track, edition, context).withUnsafeBytes { Array($0.prefix(16)) }
  }

  /// A track of the edition under Common Encryption.
  ///
  /// - Parameters:
  ///   - described: `indexed.track`, or what single pictures are written for.
  ///   - isPicture: whether single pictures are made; they have vectors of their own.
  func track(
    _ described: Track, _ indexed: IndexedTrack, isPicture: Bool, _ scheme: ProtectionScheme,
    _ edition: Edition, in context: ContentContext
  ) throws(Problem) -> ProtectedTrack {
    let digest = digest(isPicture ? "cenc picture" : "cenc", indexed, edition, context)
    let base = digest.withUnsafeBytes { UInt64(bigEndian: $0.loadUnaligned(as: UInt64.self)) }
    do throws(MediaError) {
      return try ProtectedTrack(
        track: described, scheme: scheme, key: key, systems: allSystems, vectorBase: base)
    } catch {
      throw .unpackageable(error.message)
    }
  }

  private func digest(
    _ purpose: String, _ track: IndexedTrack, _ edition: Edition, _ context: ContentContext
  ) -> BlobID {
    let milliseconds = context.site.configuration.packaging.segmentMilliseconds
    let text =
      "headwater vector \(purpose) \(PackagerVersion.number) \(milliseconds) \(edition.generation.hex) "
      + "\(track.blob.hex) \(track.number) \(track.rendition)"
    return BlobID.digest(of: Array(text.utf8))
  }
}

extension Problem {
  fileprivate static let withoutContentKey = Problem(
    status: 403, code: "content-key-missing", title: "No content key",
    detail:
      "This site encrypts its media and has no key for this asset; the operator adds one to the key file or the key service."
  )

  static let encryptionRequired = Problem(
    status: 403, code: "encryption-required", title: "Encrypted only",
    detail: "This site delivers its media encrypted; begin with the playlist or MPD of the asset.")

  fileprivate static let withoutEncryptedForm = Problem(
    status: 404, code: "no-encrypted-form", title: "No encrypted form",
    detail: "What this path names is not available under the encryption of this site.")

  static let keyNotServed = Problem(
    status: 403, code: "key-not-served", title: "Key not served",
    detail: "This site does not hand out its content keys here.")
}
