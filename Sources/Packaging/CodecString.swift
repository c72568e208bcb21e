/// RFC 6381 codec strings, as HLS `CODECS` and DASH `codecs` carry them.
///
/// AVC and HEVC follow ISO/IEC 14496-15 Annex E, AAC ISO/IEC 14496-3 object types.
enum CodecString {
  /// `avc1.PPCCLL`: profile, constraint flags and level in hexadecimal.
  static func avc(entry: FourCC, _ configuration: AVCConfigurationBox) -> String {
    "\(entry)." + hex(configuration.profile) + hex(configuration.compatibility) + hex(configuration.level)
  }

  /// `hvc1.` profile space and profile, compatibility flags in reverse bit order, tier and level, constraints.
  static func hevc(entry: FourCC, _ configuration: HEVCConfigurationBox) -> String {
    let space = ["", "A", "B", "C"][Int(configuration.profileSpace & 3)]
    var flags: UInt32 = 0
    for bit in 0..<32 where configuration.compatibilityFlags & (1 << UInt32(bit)) != 0 {
      flags |= 1 << UInt32(31 - bit)
    }
    var text = "\(entry).\(space)\(configuration.profile).\(String(flags, radix: 16, uppercase: true))"
    text += configuration.isHighTier ? ".H" : ".L"
    text += String(configuration.level)
    let constraints = configuration.constraintFlags
    let used = constraints.lastIndex { $0 != 0 }.map { $0 + 1 } ?? 0
    for byte in constraints.prefix(used) { text += "." + String(byte, radix: 16, uppercase: true) }
    return text
  }

  /// `mp4a.40.` and the object type that a player must be able to decode.
  static func aac(_ configuration: AudioSpecificConfig) -> String { "mp4a.40.\(configuration.objectType)" }

  private static func hex(_ byte: UInt8) -> String {
    let digits = String(byte, radix: 16)
    return digits.count == 1 ? "0" + digits : digits
  }
}
