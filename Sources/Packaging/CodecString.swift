/// RFC 6381 codec strings, as HLS `CODECS` and DASH `codecs` carry them.
///
/// AVC and HEVC follow ISO/IEC 14496-15 Annex E, AAC ISO/IEC 14496-3 object types, AV1 and VP9 the bindings of each to
/// MP4. Codings whose string is the name of their sample entry alone are not here.
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

  /// The object type that ISO/IEC 14496-3 gives layer 3, at all of its rates: what HLS players know MP3 by.
  static let mp3 = "mp4a.40.34"

  /// `av01.P.LLT.DD`: profile, level and tier, bit depth. Where a player would expect wrong without it, also
  /// `.M.CCC.cp.tc.mc.F`: monochrome, chroma subsampling, colours and range. Where chroma samples lie is no reason
  /// for the long form.
  static func av1(_ configuration: AV1ConfigurationBox, _ colour: VideoColour) -> String {
    var text = "av01.\(configuration.profile)." + decimal(configuration.level)
    text += (configuration.isHighTier ? "H." : "M.") + decimal(configuration.bitDepth)
    let isUsual =
      !configuration.isMonochrome && configuration.isSubsampledHorizontally
      && configuration.isSubsampledVertically
    if isUsual, colour.isWhatPlayersExpect { return text }
    text += configuration.isMonochrome ? ".1." : ".0."
    text += configuration.isSubsampledHorizontally ? "1" : "0"
    text += configuration.isSubsampledVertically ? "1" : "0"
    let hasPosition = configuration.isSubsampledHorizontally && configuration.isSubsampledVertically
    text += String(hasPosition ? configuration.chromaPosition : 0)
    return text + "." + points(colour) + (colour.isFullRange ? ".1" : ".0")
  }

  /// `vp09.PP.LL.DD`: profile, level, bit depth. Where a player would expect wrong without it, also
  /// `.CC.cp.tc.mc.FF`: chroma subsampling, colours and range.
  static func vp9(_ configuration: VP9ConfigurationBox, _ colour: VideoColour) -> String {
    let numbers = [configuration.profile, configuration.level, configuration.bitDepth]
    let text = "vp09." + numbers.map { decimal($0) }.joined(separator: ".")
    if configuration.chromaSubsampling <= 1, colour.isWhatPlayersExpect { return text }
    return text + "." + decimal(configuration.chromaSubsampling) + "." + points(colour)
      + (colour.isFullRange ? ".01" : ".00")
  }

  private static func points(_ colour: VideoColour) -> String {
    [colour.primaries, colour.transfer, colour.matrix].map { decimal($0) }.joined(separator: ".")
  }

  /// At least two digits.
  private static func decimal(_ value: some UnsignedInteger) -> String {
    value < 10 ? "0\(value)" : "\(value)"
  }

  private static func hex(_ byte: UInt8) -> String {
    let digits = String(byte, radix: 16)
    return digits.count == 1 ? "0" + digits : digits
  }
}
