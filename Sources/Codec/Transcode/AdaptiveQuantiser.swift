internal import CLibAV

#if canImport(Glibc)
internal import Glibc
#elseif canImport(Musl)
internal import Musl
#endif

/// By how much x264 makes the macroblocks of a picture coarser or finer by what is in each, its `aq-mode=1` at strength 1.
///
/// 1.0397 (log2 E - 14.427) steps of the quantiser, E being the energy of a macroblock: the sum of squares of its samples' differences
/// from their mean, of luma and of both kinds of chroma.
struct AdaptiveQuantiser {
  let grid: MacroblockGrid
  /// In steps, row by row.
  let changes: [Float]

  /// - Parameter frame: 8 bits, 4:2:0. Complexity: O(samples).
  init(_ frame: MediaFrame) {
    let grid = MacroblockGrid(widthPixels: frame.widthPixels, heightPixels: frame.heightPixels)
    self.grid = grid
    let planes = (0..<3).compactMap { number in
      frame.plane(number).map { plane in
        Plane(
          bytes: plane.bytes, stride: plane.stride,
          width: number == 0 ? grid.widthPixels : (grid.widthPixels + 1) / 2,
          height: number == 0 ? grid.heightPixels : (grid.heightPixels + 1) / 2)
      }
    }
    changes = (0..<grid.count).map { number in
      let (row, column) = (number / grid.columns, number % grid.columns)
      var energy: UInt32 = 0
      for (number, plane) in planes.enumerated() {
        energy &+= plane.energy(row, column, eights: number == 0 ? 2 : 1)
      }
      return 1.0397 * (log2f(Float(max(1, energy))) - 14.427)
    }
  }

  private struct Plane {
    let bytes: UnsafeMutablePointer<UInt8>
    let stride: Int
    let width: Int
    let height: Int

    /// Of a square of one or two times eight samples; behind the edges the last ones go on.
    func energy(_ row: Int, _ column: Int, eights: Int) -> UInt32 {
      let side = 8 * eights
      var sums = SIMD8<UInt32>()
      var squares = SIMD8<UInt32>()
      for line in row * side..<(row + 1) * side {
        let start = UnsafeRawPointer(bytes + min(line, height - 1) * stride)
        for left in Swift.stride(from: column * side, to: (column + 1) * side, by: 8) {
          var samples = SIMD8<UInt8>()
          if left + 8 <= width {
            samples = start.loadUnaligned(fromByteOffset: left, as: SIMD8<UInt8>.self)
          } else {
            for place in 0..<8 {
              samples[place] = start.load(fromByteOffset: min(left + place, width - 1), as: UInt8.self)
            }
          }
          let wide = SIMD8<UInt32>(truncatingIfNeeded: samples)
          sums &+= wide
          squares &+= wide &* wide
        }
      }
      let sum = UInt64(sums.wrappedSum())
      return squares.wrappedSum() &- UInt32(sum * sum / UInt64(side * side))
    }
  }
}
