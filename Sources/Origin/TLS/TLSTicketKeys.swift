// Keys of session tickets
//
// A ticket holds the state of a session, encrypted under a key that all loops share, so that a client that comes back is
// spared a handshake whichever loop it meets, and the server keeps nothing for it (RFC 5077 §4, RFC 8446 §4.6.1). Whoever
// learns a key can read the tickets that it sealed, so keys do not live long: a new one is made every half lifetime of a
// ticket, and one and a half lifetimes after it was made it opens nothing any more. They are random and live in memory alone. A
// reload keeps them, a rolling restart hands them over (`TLSTicketKeys+HandOver.swift`); otherwise they end with the process.

internal import COpenSSL
import Glibc
import Synchronization

final class TLSTicketKeys: Sendable {
  struct Key {
    var name: [UInt8]
    var cipherKey: [UInt8]
    var macKey: [UInt8]
    var madeSeconds: Int64
  }

  /// Newest first; never empty once one was asked for.
  private let keys = Mutex<[Key]>([])

  /// As they are now.
  var all: [Key] { keys.withLock { $0 } }

  func replace(with keys: [Key]) { self.keys.withLock { $0 = keys } }

  /// The key that seals, made anew when the newest is older than half a lifetime.
  func current(lifetimeSeconds: Int64, nowSeconds: Int64) -> Key? {
    keys.withLock { keys in
      if let newest = keys.first, nowSeconds - newest.madeSeconds < lifetimeSeconds / 2,
        nowSeconds >= newest.madeSeconds
      {
        return newest
      }
      guard let key = Self.make(nowSeconds) else { return nil }
      // What the key before it has sealed may be a lifetime old when it has been replaced that long ago.
      keys = [key] + keys.prefix(3).filter { nowSeconds - $0.madeSeconds < lifetimeSeconds * 3 / 2 }
      return key
    }
  }

  /// The key with this name, and whether a newer one has replaced it.
  func key(
    named name: UnsafeBufferPointer<UInt8>, lifetimeSeconds: Int64, nowSeconds: Int64
  ) -> (key: Key, isReplaced: Bool)? {
    keys.withLock { keys in
      guard let index = keys.firstIndex(where: { $0.name.elementsEqual(name) }),
        nowSeconds - keys[index].madeSeconds < lifetimeSeconds * 3 / 2
      else { return nil }
      return (keys[index], index > 0)
    }
  }

  private static func make(_ nowSeconds: Int64) -> Key? {
    var bytes = [UInt8](repeating: 0, count: 16 + 32 + 32)
    guard RAND_bytes(&bytes, Int32(bytes.count)) == 1 else { return nil }
    return Key(
      name: Array(bytes[..<16]), cipherKey: Array(bytes[16..<48]), macKey: Array(bytes[48...]),
      madeSeconds: nowSeconds)
  }

  // nonisolated(unsafe): OpenSSL's own, counted atomically, and never let go. Looked up once: doing so by name for each ticket
  // costs more than the encryption.
  private nonisolated(unsafe) static let cipher = EVP_CIPHER_fetch(nil, "AES-256-CBC", nil)

  /// What OpenSSL asks for each ticket: sets up the cipher and the code for one. 1: done, 2: done, and give the client a newer
  /// ticket, 0: no such key, -1: failed.
  func prepare(
    name: UnsafeMutablePointer<UInt8>, vector: UnsafeMutablePointer<UInt8>, _ cipher: OpaquePointer,
    _ code: OpaquePointer, isSealing: Bool, lifetimeSeconds: Int64, nowSeconds: Int64
  ) -> Int32 {
    let found: (key: Key, isReplaced: Bool)?
    if isSealing {
      found = current(lifetimeSeconds: lifetimeSeconds, nowSeconds: nowSeconds).map { ($0, false) }
      guard let found, RAND_bytes(vector, 16) == 1 else { return -1 }
      name.update(from: found.key.name, count: 16)
    } else {
      let asked = UnsafeBufferPointer(start: name, count: 16)
      found = key(named: asked, lifetimeSeconds: lifetimeSeconds, nowSeconds: nowSeconds)
    }
    guard let found else { return 0 }
    let isReady =
      EVP_CipherInit_ex(cipher, Self.cipher, nil, found.key.cipherKey, vector, isSealing ? 1 : 0) == 1
      && copenssl_hmac_sha256_set(code, found.key.macKey, found.key.macKey.count) == 1
    guard isReady else { return -1 }
    return found.isReplaced ? 2 : 1
  }
}
