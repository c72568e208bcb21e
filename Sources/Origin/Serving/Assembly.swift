// Segments that are asked for again
//
// A segment made from a file whose picture and sound alternate is a list of a hundred and more parts. Sending the
// list costs twice what sending a file costs, and is the right thing to do once: nothing is copied that nobody asks
// for again. At the second request a worker puts the parts together in a sealed memory file, and from then on the
// segment leaves by one sendfile. The copy lives in the loop's hot table, within a budget, and goes with its entry.

import Glibc
import Store

enum Assembly {
  /// Fewer parts than this are sent as they are.
  static let minimumSlices = 16
  /// Larger answers are sent as they are.
  static let maximumBytes: UInt64 = 16 << 20

  static func pays(_ representation: Representation) -> Bool {
    representation.slices.count >= minimumSlices && representation.lengthBytes <= maximumBytes
  }

  /// The same answer with its body in one piece; nil when it can't be had. Blocks: for workers.
  static func assemble(_ representation: Representation) -> Representation? {
    do throws(StoreError) {
      let file = try BlobFile(sizeBytes: Int(representation.lengthBytes)) { (target) throws(StoreError) in
        var position = 0
        for slice in representation.slices {
          let part = UnsafeMutableRawBufferPointer(rebasing: target[position..<(position + Int(slice.count))])
          switch slice.source {
          case .bytes(let bytes):
            bytes.withUnsafeBytes {
              part.copyMemory(
                from: UnsafeRawBufferPointer(
                  rebasing: $0[Int(slice.offset)..<Int(slice.offset + slice.count)]))
            }
          case .blob(let blob):
            guard try blob.read(at: slice.offset, into: part) == part.count else {
              throw StoreError(.damaged, operation: "assemble", message: "the blob ends early: run scrub")
            }
          }
          position += Int(slice.count)
        }
      }
      return Representation(
        representation, slices: [.blob(file, offset: 0, count: representation.lengthBytes)])
    } catch {
      // The parts go on being sent as they are, and whoever sends them meets the same trouble and tells of it.
      return nil
    }
  }
}
