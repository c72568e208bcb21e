// A reader of the part of CBOR (RFC 8949) that tokens are made of: integers, byte and text strings, arrays, maps, tags,
// and the simple values. Strict, because a signature is over bytes that must mean one thing: lengths are definite and as
// short as they can be (§4.2.1), text is UTF-8, map keys are integers or text and stand once, nothing follows the item.
// Floating-point numbers and everything else are refused: no claim that is understood here has them.

/// One item.
indirect enum CBORItem: Sendable, Equatable {
  case integer(Int64)
  case bytes([UInt8])
  case text(String)
  case array([CBORItem])
  case map([(key: CBORItem, value: CBORItem)])
  case tag(UInt64, CBORItem)
  case simple(UInt8)

  static func == (left: CBORItem, right: CBORItem) -> Bool {
    switch (left, right) {
    case (.integer(let a), .integer(let b)): a == b
    case (.bytes(let a), .bytes(let b)): a == b
    case (.text(let a), .text(let b)): a == b
    case (.array(let a), .array(let b)): a == b
    case (.map(let a), .map(let b)): a.elementsEqual(b) { $0.key == $1.key && $0.value == $1.value }
    case (.tag(let a, let x), .tag(let b, let y)): a == b && x == y
    case (.simple(let a), .simple(let b)): a == b
    default: false
    }
  }

  /// Reads one item that fills `bytes`; nil for anything else.
  init?(_ bytes: [UInt8]) {
    var reader = CBORReader(bytes: bytes)
    guard let item = reader.item(depth: 0), reader.position == bytes.count else { return nil }
    self = item
  }

  /// The value under an integer key of a map.
  func value(_ label: Int64) -> CBORItem? {
    guard case .map(let entries) = self else { return nil }
    return entries.first { $0.key == .integer(label) }?.value
  }
}

private struct CBORReader {
  let bytes: [UInt8]
  var position = 0

  /// More than any token needs, and little enough for any stack.
  static let deepest = 8

  init(bytes: [UInt8]) { self.bytes = bytes }

  mutating func item(depth: Int) -> CBORItem? {
    guard depth <= Self.deepest, let (major, argument) = head() else { return nil }
    switch major {
    case 0: return Int64(exactly: argument).map { .integer($0) }
    case 1: return Int64(exactly: argument).map { .integer(-1 - $0) }
    case 2: return run(argument).map { .bytes(Array($0)) }
    case 3: return run(argument).flatMap { String(validating: $0, as: UTF8.self) }.map { .text($0) }
    case 4: return array(argument, depth)
    case 5: return map(argument, depth)
    case 6: return item(depth: depth + 1).map { .tag(argument, $0) }
    default: return argument < 24 ? .simple(UInt8(argument)) : nil
    }
  }

  private mutating func array(_ count: UInt64, _ depth: Int) -> CBORItem? {
    // Every item has a byte at least.
    guard count <= UInt64(bytes.count - position) else { return nil }
    var items: [CBORItem] = []
    for _ in 0..<count {
      guard let next = item(depth: depth + 1) else { return nil }
      items.append(next)
    }
    return .array(items)
  }

  private mutating func map(_ count: UInt64, _ depth: Int) -> CBORItem? {
    guard count <= UInt64(bytes.count - position) / 2, count <= 64 else { return nil }
    var entries: [(key: CBORItem, value: CBORItem)] = []
    for _ in 0..<count {
      guard let key = item(depth: depth + 1), let value = item(depth: depth + 1) else { return nil }
      switch key {
      case .integer, .text: break
      default: return nil
      }
      guard !entries.contains(where: { $0.key == key }) else { return nil }
      entries.append((key, value))
    }
    return .map(entries)
  }

  private mutating func run(_ count: UInt64) -> ArraySlice<UInt8>? {
    guard count <= UInt64(bytes.count - position) else { return nil }
    defer { position += Int(count) }
    return bytes[position..<position + Int(count)]
  }

  /// The first byte of an item with the number behind it, in its shortest form.
  private mutating func head() -> (major: UInt8, argument: UInt64)? {
    guard position < bytes.count else { return nil }
    let first = bytes[position]
    position += 1
    let (major, short) = (first >> 5, first & 31)
    guard short >= 24 else { return (major, UInt64(short)) }
    // Lengths that are not given, and numbers that are reserved. Of major type 7 these are floating-point.
    guard short <= 27, major != 7, let digits = run(1 << UInt64(short - 24)) else { return nil }
    let argument = digits.reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
    let least: [UInt64] = [24, 1 << 8, 1 << 16, 1 << 32]
    return argument >= least[Int(short - 24)] ? (major, argument) : nil
  }
}

/// The opposite, for the structures that are signed.
enum CBORText {
  static func bytes(_ bytes: [UInt8]) -> [UInt8] { head(2, bytes.count) + bytes }
  static func text(_ text: String) -> [UInt8] { head(3, text.utf8.count) + Array(text.utf8) }
  static func array(_ items: [[UInt8]]) -> [UInt8] { head(4, items.count) + items.joined() }

  private static func head(_ major: UInt8, _ count: Int) -> [UInt8] {
    switch count {
    case ..<24: [major << 5 | UInt8(count)]
    case ..<256: [major << 5 | 24, UInt8(count)]
    case ..<65536: [major << 5 | 25, UInt8(count >> 8), UInt8(count & 255)]
    default: [major << 5 | 26] + [24, 16, 8, 0].map { UInt8(truncatingIfNeeded: count >> $0) }
    }
  }
}
