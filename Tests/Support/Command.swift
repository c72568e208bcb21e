internal import Glibc

/// A program run to its end.
public struct Command: Sendable {
  /// Exit code, or minus the number of the signal that ended it.
  public let status: Int32
  public let output: [UInt8]
  public let errors: String

  /// Standard output as text.
  public var text: String { String(decoding: output, as: UTF8.self) }
  public var lines: [Substring] { text.split(whereSeparator: \.isNewline) }

  /// Runs `executable` (a path, or a name on `PATH`) and waits for its end.
  ///
  /// - Parameters:
  ///   - environment: variables added to our own.
  ///   - folder: working folder; `nil` keeps ours.
  ///   - ownGroup: end what the program started itself too, when time is up.
  /// - Throws: `SupportError` when it cannot start, or when `timeout` has passed; it is ended then.
  public static func run(
    _ executable: String, _ arguments: [String] = [], stdin: [UInt8] = [],
    environment: [String: String] = [:],
    folder: String? = nil, timeout: Duration = .seconds(60), ownGroup: Bool = false
  ) throws -> Command {
    let child = try ChildProcess(
      executable, arguments, environment: environment, folder: folder, input: stdin, ownGroup: ownGroup)
    guard let end = child.waitForEnd(.now + timeout), let status = end.status else {
      child.signal(SIGKILL)
      let errors = String(decoding: child.written.errors.suffix(2000), as: UTF8.self)
      throw SupportError(
        "\(executable) \(arguments.joined(separator: " ")): not done after \(timeout)\n\(errors)")
    }
    return Command(
      status: status, output: end.output, errors: String(decoding: end.errors, as: UTF8.self))
  }
}

/// A program that runs beside the test until `kill` or until the last reference goes.
public final class BackgroundCommand: Sendable {
  private let child: ChildProcess

  public init(_ executable: String, _ arguments: [String] = [], environment: [String: String] = [:]) throws {
    child = try ChildProcess(executable, arguments, environment: environment, ownGroup: true)
  }

  public var id: Int32 { child.id }

  /// The first line so far of either output that starts with `prefix`, without it; waits for one until the deadline or the
  /// program's end.
  public func line(startingWith prefix: String, _ timeout: Duration = .seconds(10)) -> String? {
    let found: String?? = child.wait(until: .now + timeout) { state in
      if let line = Self.lines(state.output, state.errors, prefix).first {
        return .some(String(decoding: line.dropFirst(prefix.utf8.count), as: UTF8.self))
      }
      return state.status != nil && state.openPipes == 0 ? .some(nil) : nil
    }
    return found ?? nil
  }

  /// The first whole line so far of either output that has a text in it; waits like ``line(startingWith:_:)``.
  public func line(containing text: String, _ timeout: Duration = .seconds(10)) -> String? {
    let found: String?? = child.wait(until: .now + timeout) { state in
      let lines = Self.lines(state.output, state.errors, "").map { String(decoding: $0, as: UTF8.self) }
      if let line = lines.first(where: { $0.contains(text) }) { return .some(line) }
      return state.status != nil && state.openPipes == 0 ? .some(nil) : nil
    }
    return found ?? nil
  }

  /// Lines so far of either output that start with `prefix`.
  public func lines(startingWith prefix: String) -> [String] {
    let written = child.written
    return Self.lines(written.output, written.errors, prefix).map { String(decoding: $0, as: UTF8.self) }
  }

  /// Whole lines only: one that is still being written may lack its end.
  private static func lines(_ output: [UInt8], _ errors: [UInt8], _ prefix: String) -> [ArraySlice<UInt8>] {
    [output, errors].flatMap { bytes in
      bytes[..<(bytes.lastIndex(of: 10) ?? 0)].split(separator: 10).filter { $0.starts(with: prefix.utf8) }
    }
  }

  /// SIGKILL to the program and to what it started; harmless when it has ended.
  public func kill() { child.signal(SIGKILL) }

  /// The ended program, or `nil` at the deadline.
  public func wait(_ timeout: Duration) -> Command? {
    child.waitForEnd(.now + timeout).map {
      Command(
        status: $0.status ?? 0, output: $0.output, errors: String(decoding: $0.errors, as: UTF8.self))
    }
  }
}
