// Ticket keys on their way to the process that takes over from this one (a rolling restart, Successor.swift)
//
// A sealed file in memory, which no disk ever sees. The new process inherits its descriptor, and HEADWATER_TICKET_KEYS says
// the number:
//
//     "HWTK1"       then for each key, the newest first, at most four:
//     name 16, cipher key 32, MAC key 32, made 8 (seconds since 1970, the highest byte first)
//
// A process that gets no such file, or something else in it, makes keys of its own: clients shake hands anew, and that is all.

internal import CLinux
import Glibc

extension TLSTicketKeys {
  static let variable = "HEADWATER_TICKET_KEYS"
  private static let magic = Array("HWTK1".utf8)
  private static let keyBytes = 16 + 32 + 32 + 8
  private static let mostKeys = 4

  /// Takes the keys that the process before has handed over. Before the first connection.
  func inherit(from environment: [String: String]) {
    guard let text = environment[Self.variable], let descriptor = Int32(text), descriptor > 2 else { return }
    // F_GET_SEALS: only a file that is sealed whole (clinux_seal) is what we look for.
    guard fcntl(descriptor, 1034) == 0x0F else { return }
    defer { close(descriptor) }
    // One byte more than there may be, so that what is longer is noticed.
    var bytes = [UInt8](repeating: 0, count: Self.magic.count + Self.mostKeys * Self.keyBytes + 1)
    let count = pread(descriptor, &bytes, bytes.count, 0)
    guard count > 0 else { return }
    replace(with: Self.decode(Array(bytes[..<count])) ?? [])
  }

  /// A descriptor of a file with the keys, which the caller closes; nil where there are none yet, or no such file can be made.
  func handOver() -> Int32? {
    let bytes = Self.encode(all)
    guard bytes.count > Self.magic.count else { return nil }
    let descriptor = clinux_memory_file("headwater tickets")
    guard descriptor >= 0 else { return nil }
    guard write(descriptor, bytes, bytes.count) == bytes.count, clinux_seal(descriptor) == 0 else {
      close(descriptor)
      return nil
    }
    return descriptor
  }

  static func encode(_ keys: [Key]) -> [UInt8] {
    magic
      + keys.prefix(mostKeys).flatMap { key in
        key.name + key.cipherKey + key.macKey
          + (0..<8).map { UInt8(truncatingIfNeeded: key.madeSeconds >> (56 - 8 * $0)) }
      }
  }

  /// Nil for anything that ``encode(_:)`` does not write.
  static func decode(_ bytes: [UInt8]) -> [Key]? {
    let body = bytes.dropFirst(magic.count)
    guard bytes.starts(with: magic), body.count % keyBytes == 0, body.count <= mostKeys * keyBytes else {
      return nil
    }
    return stride(from: body.startIndex, to: body.endIndex, by: keyBytes).map { start in
      let key = Array(body[start..<start + keyBytes])
      return Key(
        name: Array(key[..<16]), cipherKey: Array(key[16..<48]), macKey: Array(key[48..<80]),
        madeSeconds: key[80...].reduce(0) { $0 << 8 | Int64($1) })
    }
  }
}
