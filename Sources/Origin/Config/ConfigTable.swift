/// The decoded value of one key.
public enum ConfigValue: Sendable, Equatable {
  case bool(Bool)
  case integer(Int)
  case string(String)
  case durationMilliseconds(Int)
  case sizeBytes(Int)
  case strings([String])
  case stringTable([String: String])
  case tables([ConfigTable])
  case table(ConfigTable)
  case secret(Secret?)
  case file([UInt8]?)
  /// A file's name, and what it says.
  case document(String, ConfigTable)

  /// As it would be written in a file. Secrets, and lists that are not empty, have no such form.
  var toml: String? {
    switch self {
    case .bool(let value): value ? "true" : "false"
    case .integer(let value): String(value)
    case .string(let value), .document(let value, _): TOMLText.quoted(value)
    case .durationMilliseconds(let value): TOMLText.quoted(ConfigDuration.render(milliseconds: value))
    case .sizeBytes(let value): TOMLText.quoted(ConfigSize.render(bytes: value))
    case .strings(let value): TOMLText.list(of: value)
    case .stringTable(let value): value.isEmpty ? "{}" : nil
    case .tables(let value): value.isEmpty ? "[]" : nil
    case .table, .secret, .file: nil
    }
  }
}

/// Validated settings, read by name and type.
///
/// A table that came out of decoding holds a value for every declared key, so reading never fails. Asking for
/// a key that was not declared, or as another type than declared, is a mistake in the program and stops it
/// with a sentence. Printing a table prints no secret.
public struct ConfigTable: Sendable, Equatable, CustomStringConvertible {
  var values: [String: ConfigValue]

  init(_ values: [String: ConfigValue] = [:]) { self.values = values }

  public func bool(_ name: String) -> Bool {
    guard case .bool(let value) = values[name] else { undeclared(name, "bool") }
    return value
  }

  public func integer(_ name: String) -> Int {
    guard case .integer(let value) = values[name] else { undeclared(name, "integer") }
    return value
  }

  public func string(_ name: String) -> String {
    guard case .string(let value) = values[name] else { undeclared(name, "string") }
    return value
  }

  public func durationMilliseconds(_ name: String) -> Int {
    guard case .durationMilliseconds(let value) = values[name] else { undeclared(name, "duration") }
    return value
  }

  public func sizeBytes(_ name: String) -> Int {
    guard case .sizeBytes(let value) = values[name] else { undeclared(name, "size") }
    return value
  }

  public func strings(_ name: String) -> [String] {
    guard case .strings(let value) = values[name] else { undeclared(name, "list of strings") }
    return value
  }

  /// Free names with a string each.
  public func stringTable(_ name: String) -> [String: String] {
    guard case .stringTable(let value) = values[name] else { undeclared(name, "table of strings") }
    return value
  }

  /// The entries of a list of tables, in the order of the file.
  public func tables(_ name: String) -> [ConfigTable] {
    guard case .tables(let value) = values[name] else { undeclared(name, "list of tables") }
    return value
  }

  /// An inner section.
  public func table(_ name: String) -> ConfigTable {
    guard case .table(let value) = values[name] else { undeclared(name, "section") }
    return value
  }

  /// The secret, or `nil` when an optional one is not given.
  public func secret(_ name: String) -> Secret? {
    guard case .secret(let value) = values[name] else { undeclared(name, "secret") }
    return value
  }

  /// The bytes of a file, or `nil` when none is given.
  public func file(_ name: String) -> [UInt8]? {
    guard case .file(let value) = values[name] else { undeclared(name, "file") }
    return value
  }

  /// The settings of a file of their own.
  public func document(_ name: String) -> ConfigTable {
    guard case .document(_, let value) = values[name] else { undeclared(name, "document") }
    return value
  }

  public var description: String {
    let entries = values.sorted { $0.key < $1.key }.map { name, value in
      switch value {
      case .table(let table): "\(name) = \(table)"
      case .tables(let tables): "\(name) = \(tables)"
      case .secret(let secret): "\(name) = \(secret?.description ?? "none")"
      case .file(let bytes): "\(name) = \(bytes.map { "<\($0.count) bytes>" } ?? "none")"
      case .stringTable(let table):
        "\(name) = {"
          + table.sorted { $0.key < $1.key }.map {
            "\(TOMLText.quoted($0.key)) = \(TOMLText.quoted($0.value))"
          }
          .joined(separator: ", ") + "}"
      default: "\(name) = \(value.toml ?? "")"
      }
    }
    return "{" + entries.joined(separator: ", ") + "}"
  }

  private func undeclared(_ name: String, _ kind: String) -> Never {
    preconditionFailure("the settings declare no \(kind) called \"\(name)\"")
  }
}
