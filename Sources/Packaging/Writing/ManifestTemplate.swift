// Manifests whose children get a query that is known only when somebody asks.
//
// A signed URL opens one viewer's way to an asset, and every child that a playlist or MPD names has to carry the token
// on. The manifest itself is the same for all viewers and is made once. So it is written with a mark in the place of the
// query, one byte that no manifest can hold otherwise: text from outside goes through `TextWriter.quoted`, `escaped` and
// `text`, or `URIText`, and all of them drop or encode control characters. The marks are then taken out and their places
// kept; for a viewer, the bytes between the places are copied with the query in each of them.
//
//     written   segment_0000.m4s␟⏎   media="…m4s␟"
//     kept      segment_0000.m4s⏎    + place 16      one copy for all, and what is sent without a token
//     filled    segment_0000.m4s?expires=…&kid=…⏎     in XML: ?expires=…&amp;kid=…

/// A manifest with the places at which its children's URIs end.
public struct ManifestTemplate: Sendable {
  /// Given as `uriSuffix` (and to keys of ours), it marks the places.
  public static let suffix = "\u{1F}"

  static let mark: UInt8 = 0x1F

  /// The manifest whose children carry nothing.
  public let bytes: [UInt8]
  /// Offsets in `bytes`, ascending.
  private let places: [Int]
  private let isXML: Bool

  /// - Parameters:
  ///   - marked: written with `suffix`.
  ///   - isXML: an MPD, in which an ampersand is escaped.
  public init(marked: [UInt8], isXML: Bool) {
    var bytes: [UInt8] = []
    var places: [Int] = []
    bytes.reserveCapacity(marked.count)
    var rest = marked[...]
    while let place = rest.firstIndex(of: Self.mark) {
      bytes += rest[..<place]
      places.append(bytes.count)
      rest = rest[(place + 1)...]
    }
    bytes += rest
    self.bytes = bytes
    self.places = places
    self.isXML = isXML
  }

  /// What this value keeps in memory besides `bytes`.
  public var costBytes: Int { places.count * MemoryLayout<Int>.stride }

  /// The manifest with `?` and `query` behind every child.
  ///
  /// - Parameter query: visible ASCII; see `canCarry`.
  /// - Complexity: one allocation, and a copy of what comes out.
  public func bytes(query: [UInt8]) -> [UInt8] {
    var suffix: [UInt8] = [0x3F]
    for byte in query {
      if byte == 0x26, isXML { suffix += Array("&amp;".utf8) } else { suffix.append(byte) }
    }
    var result: [UInt8] = []
    result.reserveCapacity(bytes.count + places.count * suffix.count)
    var start = 0
    for place in places {
      result += bytes[start..<place]
      result += suffix
      start = place
    }
    result += bytes[start...]
    return result
  }

  /// Whether a query may stand in every kind of manifest as it is. A dollar sign would begin an identifier in a template
  /// of DASH, and quotes and angle brackets would end an attribute.
  public static func canCarry(_ query: [UInt8]) -> Bool {
    query.allSatisfy { byte in
      switch byte {
      case 0x21, 0x25...0x26, 0x28...0x2F, 0x30...0x3B, 0x3D, 0x3F...0x5A, 0x5F, 0x61...0x7A, 0x7E: true
      default: false
      }
    }
  }
}
