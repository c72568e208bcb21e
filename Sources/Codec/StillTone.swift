internal import CLibAV

#if canImport(Glibc)
internal import Glibc
#elseif canImport(Musl)
internal import Musl
#endif

/// Brings pictures of high dynamic range to what a JPEG can show.
///
/// Without it they are grey and flat: their code values mean other light. For each pixel, in this order:
///
/// 1. code value to light, by the inverse curve of SMPTE ST 2084 (PQ) or ARIB STD-B67 (HLG with its gamma of 1.2, on a
///    screen of 1,000 cd/m²), in units of 203 cd/m², which is white by ITU-R BT.2408;
/// 2. the primaries of BT.2020 to those of BT.709; what lies outside is cut off;
/// 3. the largest of the three components is compressed by Reinhard's extended curve, which maps 1,000 cd/m² to 1 and leaves
///    dark light nearly alone; all three are scaled alike, so that hues stay;
/// 4. light to the code values of sRGB.
///
/// Pictures are small when they come here, so this costs less than scaling them.
final class StillTone {
  enum Curve {
    case pq
    case hlg

    init?(_ characteristic: AVColorTransferCharacteristic) {
      switch characteristic {
      case AVCOL_TRC_SMPTE2084: self = .pq
      case AVCOL_TRC_ARIB_STD_B67: self = .hlg
      default: return nil
      }
    }
  }

  private static let steps = 4096
  /// Light of 1,000 cd/m² in units of white.
  private static let peak: Float = 1000 / 203
  private var light: (curve: Curve, table: [Float])?
  private lazy var codes: [UInt8] = (0...Self.steps).map { step in
    let linear = Float(step) / Float(Self.steps)
    let code = linear <= 0.003_130_8 ? 12.92 * linear : 1.055 * pow(linear, 1 / 2.4) - 0.055
    return UInt8(max(0, min(255, (code * 255).rounded())))
  }

  /// - Parameter frame: `AV_PIX_FMT_RGB48LE`, code values of the curve.
  /// - Returns: a frame of the same size in `AV_PIX_FMT_RGB24`.
  func map(_ frame: MediaFrame, _ curve: Curve) throws(CodecError) -> MediaFrame {
    let table = table(of: curve)
    let result = try MediaFrame(
      widthPixels: frame.widthPixels, heightPixels: frame.heightPixels, format: AV_PIX_FMT_RGB24)
    guard let source = frame.plane(0), let target = result.plane(0) else { throw .noMemory }
    for row in 0..<frame.heightPixels {
      let input = UnsafeRawPointer(source.bytes + row * source.stride)
      let output = target.bytes + row * target.stride
      for column in 0..<frame.widthPixels {
        func component(_ number: Int) -> Float {
          let code = input.loadUnaligned(fromByteOffset: column * 6 + number * 2, as: UInt16.self)
          return table[Int(UInt16(littleEndian: code) >> 4)]
        }
        var (red, green, blue) = (component(0), component(1), component(2))
        if curve == .hlg {
          // The system gamma works on the luminance of the scene.
          let scene = 0.2627 * red + 0.6780 * green + 0.0593 * blue
          let gain = scene > 0 ? pow(scene, 0.2) * Self.peak : 0
          (red, green, blue) = (red * gain, green * gain, blue * gain)
        }
        let (r, g, b) = (
          max(0, 1.6605 * red - 0.5876 * green - 0.0728 * blue),
          max(0, -0.1246 * red + 1.1329 * green - 0.0083 * blue),
          max(0, -0.0182 * red - 0.1006 * green + 1.1187 * blue)
        )
        let largest = max(r, g, b)
        let scale = (1 + largest / (Self.peak * Self.peak)) / (1 + largest)
        for (number, value) in [r, g, b].enumerated() {
          output[column * 3 + number] = codes[Int(min(1, value * scale) * Float(Self.steps))]
        }
      }
    }
    return result
  }

  /// Light by the upper 12 bits of a code value: in units of white for PQ, of the scene from 0 to 1 for HLG.
  private func table(of curve: Curve) -> [Float] {
    if let light, light.curve == curve { return light.table }
    let table = (0..<Self.steps).map { step in
      let code = Float(step) / Float(Self.steps - 1)
      return curve == .pq ? Self.pq(code) : Self.hlg(code)
    }
    light = (curve, table)
    return table
  }

  /// SMPTE ST 2084 §5.1.
  private static func pq(_ code: Float) -> Float {
    let power = pow(code, 1 / 78.84375)
    let numerator = max(0, power - 0.835_937_5)
    let denominator = 18.851_562_5 - 18.6875 * power
    return pow(numerator / denominator, 1 / 0.159_301_757_812_5) * 10_000 / 203
  }

  /// ITU-R BT.2100, the inverse of the HLG OETF.
  private static func hlg(_ code: Float) -> Float {
    if code <= 0.5 { return code * code / 3 }
    return (exp((code - 0.559_910_73) / 0.178_832_77) + 0.284_668_92) / 12
  }
}
