// Response fields for HTTP/2, from the head that `ResponseWriter` has written for both versions
//
// The head lies in the loop's output buffer as the lines of HTTP/1.1. HTTP/2 wants the same names in lower case and the status
// as a field of its own (RFC 9113 §8.3.2): names are changed in place, and a table points at names and values. Nothing is
// copied here, and nothing is made anew that HTTP/1.1 does not make.

internal import CNGHTTP2

/// The table, which a loop keeps for all of its streams.
final class HTTP2FieldTable {
  private(set) var fields: [nghttp2_nv] = []

  /// - Parameter head: a whole head, with its status line and its empty line. Names become lower case.
  func read(_ head: UnsafeMutableRawBufferPointer) {
    fields.removeAll(keepingCapacity: true)
    guard let base = head.baseAddress?.assumingMemoryBound(to: UInt8.self), head.count > 12 else { return }
    // `HTTP/1.1 200 …`
    add(statusName, base + 9, valueCount: 3)
    var position = 12
    while position < head.count, head[position] != 0x0A { position += 1 }
    position += 1
    while position < head.count, head[position] != 0x0D {
      let start = position
      while position < head.count, head[position] != 0x3A {
        head[position] = lowerCased(head[position])
        position += 1
      }
      let nameCount = position - start
      // A colon and a space.
      let value = position + 2
      while position < head.count, head[position] != 0x0D { position += 1 }
      guard value <= position else { return }
      add(
        UnsafeBufferPointer(start: base + start, count: nameCount), base + value, valueCount: position - value
      )
      position += 2
    }
  }

  private let statusName: UnsafeBufferPointer<UInt8> = {
    let name: StaticString = ":status"
    return UnsafeBufferPointer(start: name.utf8Start, count: name.utf8CodeUnitCount)
  }()

  private func add(_ name: UnsafeBufferPointer<UInt8>, _ value: UnsafePointer<UInt8>, valueCount: Int) {
    fields.append(
      nghttp2_nv(
        name: UnsafeMutablePointer(mutating: name.baseAddress), value: UnsafeMutablePointer(mutating: value),
        namelen: name.count, valuelen: valueCount, flags: UInt8(NGHTTP2_NV_FLAG_NONE.rawValue)))
  }
}
