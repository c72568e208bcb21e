// Where a list goes on: the place behind the last item of a page, bound to the list it belongs to
//
//     base64url( version 1 byte · binding 8 bytes · key )
//
// The binding is a digest of the site, the name of the list and all parameters that choose and order its items: a cursor of
// another list, or of the same one with another filter, is refused rather than answered with a page of something else. It is
// no secret and opens nothing: whoever makes one up gets a page that he could have had anyway.

import Store

struct ListCursor: Sendable, Equatable {
  private static let version: UInt8 = 1
  /// Of the text; keys are short.
  private static let mostBytes = 4096

  let binding: [UInt8]

  /// - Parameter parameters: in an order that does not depend on the request.
  init(list: String, site: String, parameters: [String]) {
    let text = ([list, site] + parameters).map { "\($0.utf8.count):\($0)" }.joined()
    binding = BlobID.digest(of: Array(text.utf8)).withUnsafeBytes { Array($0.prefix(8)) }
  }

  /// The text for a place.
  func text(after key: [UInt8]) -> String {
    String(decoding: StrictBase64.encodeURL([Self.version] + binding + key), as: UTF8.self)
  }

  /// The place that a text stands for.
  func key(of text: String) throws(Problem) -> [UInt8] {
    guard text.utf8.count <= Self.mostBytes, let bytes = StrictBase64.decodeURL(text.utf8),
      bytes.first == Self.version, bytes.dropFirst().starts(with: binding)
    else { throw .invalidCursor }
    return Array(bytes.dropFirst(1 + binding.count))
  }
}

extension APIRequest {
  /// The size of a page: `limit` of the query.
  static func pageLimit(_ text: String?, most: Int = 100, otherwise: Int = 20) throws(Problem) -> Int {
    guard let text else { return otherwise }
    guard text.utf8.allSatisfy({ $0 >= 0x30 && $0 <= 0x39 }), let limit = Int(text),
      (1...most).contains(limit)
    else { throw .invalidParameter("\"limit\" is a whole number from 1 to \(most).") }
    return limit
  }

  /// One of some words in the query.
  static func word(_ name: String, _ text: String?, of words: [String]) throws(Problem) -> String? {
    guard let text else { return nil }
    guard words.contains(text) else {
      throw .invalidParameter("\"\(name)\" is one of \(words.joined(separator: ", ")).")
    }
    return text
  }
}
