// Roku's BIF, "base index frames": all pictures of a film in one file (Roku developer documentation, "Trick mode").
//
//     0   89 42 49 46 0D 0A 1A 0A      the magic
//     8   u32  version, 0              all numbers little-endian
//    12   u32  number of pictures
//    16   u32  milliseconds of one unit of time
//    20   44 reserved bytes, 0
//    64   a row of u32 time, u32 offset for each picture, and one of FF FF FF FF and the length of the file
//    …    the pictures, JPEG, one after the other

/// A file of pictures at equal distances.
enum TrickPlayFile {
  /// - Returns: nil where the file would be longer than its 32-bit offsets reach.
  static func bytes(_ pictures: [[UInt8]], intervalMilliseconds: UInt32) -> [UInt8]? {
    let head = 64 + 8 * (pictures.count + 1)
    let length = pictures.reduce(head) { $0 + $1.count }
    guard length <= Int(UInt32.max) else { return nil }
    var bytes: [UInt8] = [0x89, 0x42, 0x49, 0x46, 0x0D, 0x0A, 0x1A, 0x0A]
    bytes.reserveCapacity(length)
    func append(_ number: Int) {
      for shift in stride(from: 0, to: 32, by: 8) { bytes.append(UInt8(truncatingIfNeeded: number >> shift)) }
    }
    append(0)
    append(pictures.count)
    append(Int(intervalMilliseconds))
    bytes += [UInt8](repeating: 0, count: 44)
    var offset = head
    for (number, picture) in pictures.enumerated() {
      append(number)
      append(offset)
      offset += picture.count
    }
    append(Int(UInt32.max))
    append(offset)
    for picture in pictures { bytes += picture }
    return bytes
  }
}
