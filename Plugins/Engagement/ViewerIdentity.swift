// How viewers are told apart
//
// A page gives each viewer an opaque id and sends it along (`viewer=`): 8 to 64 letters, digits, `_` and `-`. What it stands for
// is the page's own matter. Who knows an id can read where that viewer has stopped, so it should hold 128 random bits.
//
// Who brings none is told apart by address and user agent, under a key and for a day:
//
//     d-…  SHA-256(key · SHA-256(key · day · address · user agent)), 15 bytes in hexadecimal
//
// Neither the address nor the user agent can be read out of it, and it is another one tomorrow. Without a key in the settings
// each process draws its own, so that other nodes, and this one after a restart, tell such viewers apart anew.

import Loop
import Origin
import Store

struct ViewerIdentity: Sendable {
  private let key: [UInt8]

  init(key: [UInt8]?) {
    self.key = key ?? (0..<32).map { _ in UInt8.random(in: .min ... .max) }
  }

  /// The viewer of a request.
  ///
  /// - Parameter given: what the page says; nil where it says nothing.
  /// - Throws: `invalid-parameter` where that is no id.
  func viewer(of request: APIRequest, given: String?) throws(Problem) -> String {
    guard let given else {
      return derived(
        address: request.client?.host ?? "", userAgent: request.field("user-agent") ?? [],
        day: CalendarStamp(milliseconds: Store.wallClockMilliseconds()).day)
    }
    return try Self.checked(given)
  }

  static func checked(_ id: String) throws(Problem) -> String {
    guard id.utf8.count >= 8, AssetID.isValid(id) else {
      throw .invalidParameter("A viewer's id has 8 to 64 letters, digits, \"_\" and \"-\".")
    }
    return id
  }

  func derived(address: String, userAgent: [UInt8], day: String) -> String {
    hashed(Array("\(day)\n\(address)\n".utf8) + userAgent)
  }

  /// The viewer that a session of CMCD stands for.
  func viewer(ofSession session: String) -> String { hashed(Array("session\n\(session)".utf8)) }

  private func hashed(_ text: [UInt8]) -> String {
    let inner = BlobID.digest(of: key + text).withUnsafeBytes { [UInt8]($0) }
    return "d-" + BlobID.digest(of: key + inner).hex.prefix(30)
  }
}
