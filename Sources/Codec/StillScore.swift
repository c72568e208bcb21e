/// How good a poster a picture would make, from 0 to 1.
///
///     score = light × (contrast + sharpness + colour / 4)
///
/// *light* falls from 1 at a middle grey to 0 at black and at white. *contrast* is the standard deviation of luma, full at
/// 56. *sharpness* is the mean of the Laplacian, |4·p − its four neighbours|, full at 24. *colour* is the mean distance of
/// chroma from grey, full at 32. What is black, white or of one colour, such as a fade or an empty card, gets a hundredth: it
/// is chosen only where all others are so, too.
enum StillScore {
  /// - Parameter frame: 4:2:0 with 8 bits in full range, and small: 160 pixels wide tell enough.
  static func score(_ frame: MediaFrame) -> Double {
    guard let luma = frame.plane(0), let blue = frame.plane(1), let red = frame.plane(2),
      frame.widthPixels > 4, frame.heightPixels > 4
    else { return 0 }
    let (width, height) = (frame.widthPixels, frame.heightPixels)
    var (sum, squares, edges) = (0, 0, 0)
    for row in 0..<height {
      let line = luma.bytes + row * luma.stride
      for column in 0..<width {
        let value = Int(line[column])
        sum += value
        squares += value * value
      }
    }
    for row in 1..<height - 1 {
      let line = luma.bytes + row * luma.stride
      for column in 1..<width - 1 {
        let around =
          Int(line[column - 1]) + Int(line[column + 1]) + Int(line[column - luma.stride])
          + Int(line[column + luma.stride])
        edges += abs(4 * Int(line[column]) - around)
      }
    }
    var chroma = 0
    for row in 0..<height / 2 {
      for column in 0..<width / 2 {
        chroma += abs(Int(blue.bytes[row * blue.stride + column]) - 128)
        chroma += abs(Int(red.bytes[row * red.stride + column]) - 128)
      }
    }
    let count = Double(width * height)
    let mean = Double(sum) / count
    let deviation = max(0, Double(squares) / count - mean * mean).squareRoot()
    let sharpness = Double(edges) / Double((width - 2) * (height - 2))
    let colour = Double(chroma) / Double(max(1, (width / 2) * (height / 2)))
    let light = 1 - abs(mean - 118) / 137
    let score =
      max(0, light) * (min(1, deviation / 56) + min(1, sharpness / 24) + min(1, colour / 32) / 4) / 2.25
    let isEmpty = mean < 24 || mean > 236 || deviation < 8
    return isEmpty ? score / 100 : score
  }
}
