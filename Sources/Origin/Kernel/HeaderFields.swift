/// The header fields of an answer while they can still change: an ordered list of names and values.
///
/// Used when a head is rendered, not per request. Names compare without regard to case.
public struct HeaderFields: Sendable, Equatable {
  public private(set) var fields: [(name: String, value: [UInt8])] = []

  public init() {}

  public static func == (left: HeaderFields, right: HeaderFields) -> Bool {
    left.fields.count == right.fields.count
      && zip(left.fields, right.fields).allSatisfy { $0.name == $1.name && $0.value == $1.value }
  }

  /// The value of the first field of that name.
  public subscript(name: String) -> [UInt8]? {
    fields.first { Self.same($0.name, name) }?.value
  }

  /// Replaces every field of that name by one, at the place of the first, or appends it.
  public mutating func set(_ name: String, _ value: [UInt8]) {
    guard let first = fields.firstIndex(where: { Self.same($0.name, name) }) else {
      return add(name, value)
    }
    fields[first] = (name, value)
    var index = fields.count - 1
    while index > first {
      if Self.same(fields[index].name, name) { fields.remove(at: index) }
      index -= 1
    }
  }

  public mutating func set(_ name: String, _ value: String) { set(name, Array(value.utf8)) }

  /// Appends a field beside those of the same name.
  public mutating func add(_ name: String, _ value: [UInt8]) { fields.append((name, value)) }

  public mutating func add(_ name: String, _ value: String) { add(name, Array(value.utf8)) }

  public mutating func remove(_ name: String) { fields.removeAll { Self.same($0.name, name) } }

  /// The lines as they go on the wire, each ended by CRLF, without the empty line.
  func lines() -> [UInt8] {
    var bytes: [UInt8] = []
    bytes.reserveCapacity(fields.reduce(0) { $0 + $1.name.utf8.count + $1.value.count + 4 })
    for field in fields {
      bytes.append(contentsOf: field.name.utf8)
      bytes.append(contentsOf: [0x3A, 0x20])
      bytes.append(contentsOf: field.value)
      bytes.append(contentsOf: [0x0D, 0x0A])
    }
    return bytes
  }

  private static func same(_ left: String, _ right: String) -> Bool {
    left.utf8.count == right.utf8.count
      && zip(left.utf8, right.utf8).allSatisfy { lowerCased($0) == lowerCased($1) }
  }
}

/// ASCII lower case; other bytes as they are.
func lowerCased(_ byte: UInt8) -> UInt8 {
  byte >= 0x41 && byte <= 0x5A ? byte | 0x20 : byte
}
