// `ContentProtection` (ISO/IEC 23009-1 §5.8.4.1, ISO/IEC 23001-7 §11, DASH-IF IOP "Content protection and security").
//
// The first element says that the media are under Common Encryption, by which scheme, and the KID. Each further one
// names a system by its UUID and repeats its `pssh` box, so that a player can ask for a license before it has an init
// segment. Clear Key has no box of its own: players use the common system's, which is in the same element, and
// `dashif:Laurl` says where keys are asked for. Name spaces are declared where they are used, so that the elements
// stand in any MPD.

/// The elements of an AdaptationSet whose media are protected with one key.
public struct ContentProtection: Sendable, Equatable {
  public var scheme: ProtectionScheme
  /// KID, 16 bytes.
  public var keyID: [UInt8]
  public var systems: [ProtectionSystem]
  /// Where a player with Clear Key asks for keys, per W3C "Encrypted Media Extensions" §9.1. Its element is written
  /// where this is not `nil`.
  public var clearKeyLicenseURL: String?

  public init(
    scheme: ProtectionScheme, keyID: [UInt8], systems: [ProtectionSystem], clearKeyLicenseURL: String? = nil
  ) {
    self.scheme = scheme
    self.keyID = keyID
    self.systems = systems
    self.clearKeyLicenseURL = clearKeyLicenseURL
  }

  /// The elements as UTF-8, to be put first into an AdaptationSet.
  public var bytes: [UInt8] {
    var writer = TextWriter(capacityBytes: 512 + systems.reduce(0) { $0 + 256 + 2 * $1.box.count })
    writer.literal("<ContentProtection schemeIdUri=\"urn:mpeg:dash:mp4protection:2011\" value=\"")
    writer.literal(scheme.name)
    writer.literal("\" xmlns:cenc=\"urn:mpeg:cenc:2013\" cenc:default_KID=\"")
    writer.raw(HexText.uuid(keyID))
    writer.literal("\"/>\n")
    for system in systems {
      writer.literal("<ContentProtection schemeIdUri=\"urn:uuid:")
      writer.raw(HexText.uuid(system.id))
      writer.literal("\" xmlns:cenc=\"urn:mpeg:cenc:2013\">")
      header(system, into: &writer)
      writer.literal("</ContentProtection>\n")
    }
    if let clearKeyLicenseURL {
      writer.literal(
        """
        <ContentProtection schemeIdUri="urn:uuid:e2719d58-a985-b3c9-781a-b030af78d30e" value="ClearKey1.0" \
        xmlns:cenc="urn:mpeg:cenc:2013" xmlns:dashif="https://dashif.org/CPS">
        """)
      header(.common(keyIDs: [keyID]), into: &writer)
      writer.literal("<dashif:Laurl licenseType=\"EME-1.0\">")
      writer.escaped(URIText.reference(clearKeyLicenseURL))
      writer.literal("</dashif:Laurl></ContentProtection>\n")
    }
    return writer.bytes
  }

  private func header(_ system: ProtectionSystem, into writer: inout TextWriter) {
    writer.literal("<cenc:pssh>")
    writer.raw(Base64Text.encoded(system.box))
    writer.literal("</cenc:pssh>")
  }
}
