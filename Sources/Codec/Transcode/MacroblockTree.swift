internal import CLibAV

#if canImport(Glibc)
internal import Glibc
#elseif canImport(Musl)
internal import Musl
#endif

/// How a picture is divided into macroblocks, 16 pixels wide and high; the last ones may reach over its edge.
struct MacroblockGrid {
  let widthPixels: Int
  let heightPixels: Int

  var columns: Int { (widthPixels + 15) / 16 }
  var rows: Int { (heightPixels + 15) / 16 }
  var count: Int { columns * rows }
}

/// By how much the macroblocks of a picture are to be finer, since other pictures are predicted from them.
struct MacroblockTree {
  private let grid: MacroblockGrid
  /// Changes of the quantiser in 1/256, row by row; finer is less.
  private let changes: [Int16]

  /// - Parameters:
  ///   - record: of x264's file: a byte for its type, and two for each macroblock.
  ///   - quantiser: what is in them besides.
  init(record: [UInt8], without quantiser: AdaptiveQuantiser) {
    grid = quantiser.grid
    changes = record.withUnsafeBytes { bytes in
      quantiser.changes.enumerated().map { number, own in
        let both = Int16(bigEndian: bytes.loadUnaligned(fromByteOffset: 1 + 2 * number, as: Int16.self))
        return Int16(clamping: Int((Float(both) - 256 * own).rounded()))
      }
    }
  }

  /// By how much changes grow for a picture of another size, as a power of how much larger one of the two is. Grain and edges that only one of
  /// them has weaken what carries over; 0.2 is best for rates and similarity alike (docs/decisions/0064).
  private static let growth = 0.2

  /// Gives a picture of any size the changes, as regions of interest of libavutil. Between the middles of the macroblocks
  /// of this one the changes pass evenly into each other.
  ///
  /// Complexity: O(macroblocks of the picture).
  func give(to frame: MediaFrame) throws(CodecError) {
    let other = MacroblockGrid(widthPixels: frame.widthPixels, heightPixels: frame.heightPixels)
    let across = Self.places(
      other.columns, by: Double(grid.widthPixels) / Double(other.widthPixels), most: grid.columns)
    let down = Self.places(
      other.rows, by: Double(grid.heightPixels) / Double(other.heightPixels), most: grid.rows)
    let ratio = Double(grid.heightPixels) / Double(other.heightPixels)
    let strength = Int(256 * pow(max(ratio, 1 / ratio), Self.growth))
    var regions: [AVRegionOfInterest] = []
    regions.reserveCapacity(other.count)
    changes.withUnsafeBufferPointer { changes in
      for (row, y) in down.enumerated() {
        var last: Int32?
        for (column, x) in across.enumerated() {
          func mixed(_ row: Int) -> Int {
            let start = row * grid.columns
            return Int(changes[start + x.first]) * (256 - x.part) + Int(changes[start + x.second]) * x.part
          }
          // Eighths of a step of the quantiser: finer than an encoder can follow. Equal neighbours are one region.
          let middle = mixed(y.first) * (256 - y.part) + mixed(y.second) * y.part
          let change = Int32(((middle >> 16) * strength + (16 << 8)) >> 13)
          if change == last {
            regions[regions.count - 1].right = Int32(16 * (column + 1))
          } else {
            regions.append(Self.region(row, column, change))
            last = change
          }
        }
      }
    }
    let size = regions.count * MemoryLayout<AVRegionOfInterest>.stride
    guard let side = av_frame_new_side_data(frame.pointer, AV_FRAME_DATA_REGIONS_OF_INTEREST, size) else {
      throw .noMemory
    }
    let target = UnsafeMutableRawBufferPointer(start: side.pointee.data, count: size)
    regions.withUnsafeBytes { target.copyMemory(from: $0) }
  }

  /// - Parameter change: in 1/8 of a step.
  private static func region(_ row: Int, _ column: Int, _ change: Int32) -> AVRegionOfInterest {
    AVRegionOfInterest(
      self_size: UInt32(MemoryLayout<AVRegionOfInterest>.stride), top: Int32(16 * row),
      bottom: Int32(16 * (row + 1)),
      left: Int32(16 * column), right: Int32(16 * (column + 1)),
      // Of the whole range of the quantiser, which has 51 steps.
      qoffset: AVRational(num: change, den: 8 * 51))
  }

  /// Between which two macroblocks the middle of one lies, and how far from the first, in 1/256.
  private struct Place {
    var first: Int
    var second: Int
    var part: Int
  }

  private static func places(_ count: Int, by scale: Double, most: Int) -> [Place] {
    (0..<count).map { number in
      let place = min(max(0, (Double(number) + 0.5) * scale - 0.5), Double(most - 1))
      let first = Int(place)
      return Place(first: first, second: min(first + 1, most - 1), part: Int((place - Double(first)) * 256))
    }
  }
}
