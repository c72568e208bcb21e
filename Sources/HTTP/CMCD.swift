// Common Media Client Data, versions 1 and 2 (CTA-5004, CTA-5004-B): what a player tells about its playback
//
//     query     one parameter `CMCD`, at the end as a rule: the whole dictionary, percent-encoded
//     fields    CMCD-Object, CMCD-Request, CMCD-Session, CMCD-Status: a dictionary each
//     events    the body of a POST, application/cmcd: a dictionary a line (version 2)
//
// A dictionary is that of RFC 9651: `key`, `key=value`, joined by commas. Values are whole numbers, decimals, tokens, strings,
// `?0` and `?1`, and in version 2 lists in parentheses whose members may say which kind of object they are of:
//
//     bl=21300,br=3200,bs,cid="faec5fc2",d=4004,ot=v,sid="6e2fb550-c457-11e9-bb97-0800200c9a66",su
//     bl=(21300;v),br=(3200;v 128;a),ot=v,sid="6e2fb550",sn=7,sta=p,v=2
//
// What comes is whatever a client likes to send. A text that is no dictionary says nothing as a whole; a key that is not known,
// a value of another type than its key has, and one that is too long are passed over. Everything is bounded: `mostBytes` of
// text, `mostValues` values, `mostListed` members of a list. Nothing here is believed: it is counted and logged, no more.

/// What one request or event of a player says.
public struct CMCD: Sendable, Equatable {
  /// Of a text, decoded.
  public static let mostBytes = 4096
  /// Keys of a dictionary, the unknown ones included.
  static let mostValues = 64
  static let mostListed = 16

  public enum Key: String, Sendable, CaseIterable {
    case ab, bg, bl, br, bs, bsa, bsd, bsda, cdn, cen, cid, cs, d, dfa, dl, e, ec, h, lab, lb, ltc, msd, mtp
    case nor, nr, nrr, ot, pb, pr, pt, rc, rtp, sf, sid, sn, st, sta, su, tab, tb, tbl, tpb, ts, ttfb, ttfbb
    case ttlb, url, v
  }

  public enum Value: Sendable, Equatable {
    case flag(Bool)
    case integer(Int64)
    /// Three digits behind the point.
    case thousandths(Int64)
    case token(String)
    case string(String)
    case list([Member])
  }

  /// A member of a list.
  public struct Member: Sendable, Equatable {
    public var value: Value
    /// The parameter behind it: `v`, `a`, …; nil where there is none.
    public var objectType: String?

    public init(value: Value, objectType: String? = nil) {
      self.value = value
      self.objectType = objectType
    }
  }

  /// In the order of the text; each key once, with its last value.
  public private(set) var values: [(key: Key, value: Value)] = []

  public static func == (left: CMCD, right: CMCD) -> Bool {
    left.values.elementsEqual(right.values) { $0.key == $1.key && $0.value == $1.value }
  }

  init() {}

  // MARK: Reading values

  public subscript(key: Key) -> Value? { values.first { $0.key == key }?.value }

  /// A whole number; of a list the member for `objectType`, else the first.
  public func integer(_ key: Key, objectType: String? = nil) -> Int64? {
    switch self[key] {
    case .integer(let number): return number
    case .thousandths(let number): return number / 1000
    case .list(let members):
      let member = members.first { objectType != nil && $0.objectType == objectType } ?? members.first
      if case .integer(let number) = member?.value { return number }
      return nil
    default: return nil
    }
  }

  /// A token or a string.
  public func text(_ key: Key) -> String? {
    switch self[key] {
    case .token(let text), .string(let text): text
    default: nil
    }
  }

  /// Whether the key is there and not `?0`.
  public func flag(_ key: Key) -> Bool { self[key] == .flag(true) }

  mutating func set(_ key: Key, _ value: Value) {
    if let place = values.firstIndex(where: { $0.key == key }) {
      values[place].value = value
    } else {
      values.append((key, value))
    }
  }

  mutating func merge(_ other: CMCD) {
    for (key, value) in other.values { set(key, value) }
  }
}

// MARK: Where it stands

extension CMCD {
  private static let fields: [KnownField] = [.cmcdObject, .cmcdRequest, .cmcdSession, .cmcdStatus]

  /// Whether a request brings any. Looks at no value: for every request.
  public static func isPresent(in head: borrowing RequestHead) -> Bool {
    if head.fieldCount(of: .cmcdRequest) > 0 || head.fieldCount(of: .cmcdObject) > 0
      || head.fieldCount(of: .cmcdSession) > 0 || head.fieldCount(of: .cmcdStatus) > 0
    {
      return true
    }
    guard let query = head.query else { return false }
    return place(in: query) != nil
  }

  /// What a request says: by its fields where there are any, else by its query. nil where it says nothing that can be read.
  public init?(_ head: borrowing RequestHead) {
    var found: CMCD?
    for field in Self.fields {
      guard let value = head.field(field), let part = CMCD(dictionary: Self.copied(value)) else { continue }
      if found == nil { found = CMCD() }
      found?.merge(part)
    }
    if found == nil, let query = head.query { found = CMCD(query: Self.copied(query)) }
    guard let found, !found.values.isEmpty else { return nil }
    self = found
  }

  /// What the parameter `CMCD` of a query says; nil without one, with several, and where it can't be read.
  public init?(query: [UInt8]) {
    let places = Self.places(in: query)
    guard places.count == 1,
      let text = Self.unescaped(query[(places[0].lowerBound + 5)..<places[0].upperBound])
    else { return nil }
    self.init(dictionary: text)
  }

  /// A query without its CMCD, all else byte for byte: what chooses an answer, and what a signature is of.
  public static func strip(from query: [UInt8]) -> [UInt8] {
    let places = places(in: query)
    guard !places.isEmpty else { return query }
    var rest: [UInt8] = []
    var start = 0
    for place in places {
      // With the ampersand behind it, or else the one before.
      let isLast = place.upperBound == query.count
      let lower = isLast && place.lowerBound > start ? place.lowerBound - 1 : place.lowerBound
      rest += query[start..<lower]
      // Its neighbour went with the ampersand between them.
      if isLast, place.lowerBound == start, !rest.isEmpty { rest.removeLast() }
      start = isLast ? place.upperBound : place.upperBound + 1
    }
    rest += query[start...]
    return rest
  }

  /// The reports of an event body, at most `limit`: lines that say nothing are passed over.
  public static func events(_ body: [UInt8], limit: Int = 256) -> [CMCD] {
    var found: [CMCD] = []
    for line in body.split(separator: 0x0A) {
      if found.count == limit { break }
      let text = line.last == 0x0D ? line.dropLast() : line
      if let event = CMCD(dictionary: Array(text)), !event.values.isEmpty { found.append(event) }
    }
    return found
  }

  /// Where the first parameter begins, at its name.
  private static func place(in query: Span<UInt8>) -> Int? {
    var start = 0
    while start + 5 <= query.count {
      if query[start] == UInt8(ascii: "C"), query[start + 1] == UInt8(ascii: "M"),
        query[start + 2] == UInt8(ascii: "C"), query[start + 3] == UInt8(ascii: "D"),
        query[start + 4] == UInt8(ascii: "=")
      {
        return start
      }
      while start < query.count, query[start] != UInt8(ascii: "&") { start += 1 }
      start += 1
    }
    return nil
  }

  /// All parameters of that name, from the name to the end of the value.
  private static func places(in query: [UInt8]) -> [Range<Int>] {
    var found: [Range<Int>] = []
    var start = 0
    while start < query.count {
      let end = query[start...].firstIndex(of: UInt8(ascii: "&")) ?? query.count
      if query[start..<end].starts(with: "CMCD=".utf8) { found.append(start..<end) }
      start = end + 1
    }
    return found
  }

  /// Undoes the escapes of a value; nil where one is malformed or the text too long. A plus is a plus.
  private static func unescaped(_ text: ArraySlice<UInt8>) -> [UInt8]? {
    guard text.count <= 3 * mostBytes else { return nil }
    var bytes: [UInt8] = []
    bytes.reserveCapacity(text.count)
    var index = text.startIndex
    while index < text.endIndex {
      guard text[index] == ASCII.percent else {
        bytes.append(text[index])
        index += 1
        continue
      }
      guard index + 2 < text.endIndex, let high = ASCII.hexValue(text[index + 1]),
        let low = ASCII.hexValue(text[index + 2])
      else { return nil }
      bytes.append(high &<< 4 | low)
      index += 3
    }
    return bytes
  }

  private static func copied(_ span: Span<UInt8>) -> [UInt8] { span.withUnsafeBufferPointer { [UInt8]($0) } }
}
