// `pssh`, the box that tells a content decryption module what it has to ask its license server for
// (ISO/IEC 23001-7 §8.1):
//
//     size, "pssh", version, flags    version 0 or 1
//     SystemID                        16 bytes, a UUID
//     KID_count, KIDs                 version 1 only: which keys, for anyone to read
//     DataSize, Data                  whatever the system put there
//
// Only the common system's box is made here: it is nothing but a list of KIDs, which players hand to Clear Key (W3C
// "Encrypted Media Extensions", Common PSSH box). Data of other systems comes from their license service and is copied.

/// One protection system's part in a presentation: a checked `pssh` box.
public struct ProtectionSystem: Sendable, Equatable {
  /// `SystemID`, 16 bytes.
  public let id: [UInt8]
  /// `Data`, of a form that the system alone knows; may be empty.
  public let data: [UInt8]
  /// The whole box.
  public let box: [UInt8]

  /// 1077efec-c0b2-4d02-ace3-3c1e52e2fb4b
  public static let commonID: [UInt8] = [
    0x10, 0x77, 0xEF, 0xEC, 0xC0, 0xB2, 0x4D, 0x02, 0xAC, 0xE3, 0x3C, 0x1E, 0x52, 0xE2, 0xFB, 0x4B,
  ]
  /// edef8ba9-79d6-4ace-a3c8-27dcd51d21ed
  public static let widevineID: [UInt8] = [
    0xED, 0xEF, 0x8B, 0xA9, 0x79, 0xD6, 0x4A, 0xCE, 0xA3, 0xC8, 0x27, 0xDC, 0xD5, 0x1D, 0x21, 0xED,
  ]
  /// 9a04f079-9840-4286-ab92-e65be0885f95
  public static let playReadyID: [UInt8] = [
    0x9A, 0x04, 0xF0, 0x79, 0x98, 0x40, 0x42, 0x86, 0xAB, 0x92, 0xE6, 0x5B, 0xE0, 0x88, 0x5F, 0x95,
  ]

  /// The common system with the KIDs of all keys; each has 16 bytes.
  public static func common(keyIDs: [[UInt8]]) -> ProtectionSystem {
    ProtectionSystem(id: commonID, keyIDs: keyIDs, data: [])
  }

  /// A box of version 0 around what a license service gave; `nil` where `id` is not 16 bytes long.
  public init?(id: [UInt8], data: [UInt8]) {
    guard id.count == 16 else { return nil }
    self.init(id: id, keyIDs: [], data: data)
  }

  /// A whole box in Base64, the form in which license services and `cenc:pssh` elements have it.
  ///
  /// - Throws: `MediaError.damaged` with code `pssh` where it is not exactly one readable box.
  public init(base64: String) throws(MediaError) {
    guard let box = Base64Text.decoded(base64) else {
      throw .damaged("pssh", "The pssh box is not Base64; copy it again from the license service.")
    }
    try self.init(box: box)
  }

  /// A whole box.
  ///
  /// - Throws: `MediaError.damaged` with code `pssh` where the bytes are not exactly one readable box.
  public init(box: [UInt8]) throws(MediaError) {
    guard let parsed = Self.parse(box) else {
      throw .damaged(
        "pssh",
        "The bytes are not one whole pssh box of version 0 or 1 (ISO/IEC 23001-7 §8.1); copy it again from the "
          + "license service.")
    }
    id = parsed.id
    data = parsed.data
    self.box = box
  }

  private init(id: [UInt8], keyIDs: [[UInt8]], data: [UInt8]) {
    var writer = BoxWriter(capacityBytes: 36 + 16 * keyIDs.count + data.count)
    let pssh = writer.begin("pssh", version: keyIDs.isEmpty ? 0 : 1, flags: 0)
    writer.raw(id)
    if !keyIDs.isEmpty {
      writer.u32(UInt32(truncatingIfNeeded: keyIDs.count))
      for keyID in keyIDs { writer.raw(keyID) }
    }
    writer.u32(UInt32(truncatingIfNeeded: data.count))
    writer.raw(data)
    writer.end(pssh)
    self.id = id
    self.data = data
    box = writer.bytes
  }

  private static func parse(_ bytes: [UInt8]) -> (id: [UInt8], data: [UInt8])? {
    var outer = BoxReader(bytes.span)
    guard let box = outer.box(), box.type == FourCC("pssh"), !box.isTruncated, outer.remaining == 0,
      let full = box.fullBox(), full.version <= 1
    else { return nil }
    var reader = BoxReader(full.body)
    guard let id = reader.take(16)?.copied() else { return nil }
    if full.version == 1 {
      guard let count = reader.u32(), Int(count) <= reader.remaining / 16, reader.skip(16 * Int(count)) != nil
      else { return nil }
    }
    guard let count = reader.u32(), let data = reader.take(Int(count))?.copied(), reader.remaining == 0 else {
      return nil
    }
    return (id, data)
  }
}
