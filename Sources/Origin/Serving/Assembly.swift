// Segments that are asked for again
//
// A segment made from a file whose picture and sound alternate is a list of a hundred and more parts. Sending the
// list costs twice what sending a file costs, and is the right thing to do once: nothing is copied that nobody asks
// for again. At the second request a worker puts the parts together in a sealed memory file, and from then on the
// segment leaves by one sendfile. So does a segment that is made when it is sent, such as MPEG-TS, and one that a worker makes
// whole, such as under Common Encryption. The copy lives in the
// loop's hot table, within a budget, and goes with its entry.

import Glibc
import Store

enum Assembly {
  /// Fewer parts than this are sent as they are.
  static let minimumSlices = 16
  /// Larger answers are sent as they are.
  static let maximumBytes: UInt64 = 16 << 20

  static func pays(_ representation: Representation) -> Bool {
    guard representation.lengthBytes <= maximumBytes else { return false }
    return representation.slices.count >= minimumSlices || representation.isDeferred
  }

  /// The same answer with its body in one piece; nil when it can't be had. Blocks: for workers.
  static func assemble(_ representation: Representation) -> Representation? {
    do throws(StoreError) {
      let slices = try made(representation.slices)
      let file = try BlobFile(sizeBytes: Int(representation.lengthBytes)) { (target) throws(StoreError) in
        var position = 0
        for slice in slices {
          let part = UnsafeMutableRawBufferPointer(rebasing: target[position..<(position + Int(slice.count))])
          try copy(slice, to: part)
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

  /// A body in one array. Blocks: for workers.
  ///
  /// - Precondition: the slices add up to what fits into memory.
  static func bytes(of slices: [BodySlice]) throws(StoreError) -> [UInt8] {
    let slices = try made(slices)
    // What was made in one piece is not copied.
    if slices.count == 1, case .bytes(let whole) = slices[0].source, slices[0].count == UInt64(whole.count) {
      return whole
    }
    var bytes = [UInt8](repeating: 0, count: slices.reduce(0) { $0 + Int($1.count) })
    // A typed error cannot leave the closure that lends the memory, so it leaves as a value.
    var failure: StoreError?
    bytes.withUnsafeMutableBytes { whole in
      var position = 0
      do throws(StoreError) {
        for slice in slices {
          let end = position + Int(slice.count)
          try copy(slice, to: UnsafeMutableRawBufferPointer(rebasing: whole[position..<end]))
          position = end
        }
      } catch {
        failure = error
      }
    }
    if let failure { throw failure }
    return bytes
  }

  /// The slices with the deferred ones made.
  private static func made(_ slices: [BodySlice]) throws(StoreError) -> [BodySlice] {
    var result: [BodySlice] = []
    for slice in slices {
      guard case .deferred(let body) = slice.source else {
        result.append(slice)
        continue
      }
      do throws(Problem) {
        result += try body.slices().cut(slice.offset, slice.offset + slice.count)
      } catch {
        throw StoreError(.damaged, operation: "assemble", message: error.detail)
      }
    }
    return result
  }

  private static func copy(_ slice: BodySlice, to part: UnsafeMutableRawBufferPointer) throws(StoreError) {
    switch slice.source {
    case .bytes(let bytes):
      bytes.withUnsafeBytes {
        part.copyMemory(
          from: UnsafeRawBufferPointer(rebasing: $0[Int(slice.offset)..<Int(slice.offset + slice.count)]))
      }
    case .blob(let blob):
      guard try blob.read(at: slice.offset, into: part) == part.count else {
        throw StoreError(.damaged, operation: "assemble", message: "the blob ends early: run scrub")
      }
    case .deferred:
      throw StoreError(.invalid, operation: "assemble", message: "a deferred body made a deferred one")
    }
  }
}
