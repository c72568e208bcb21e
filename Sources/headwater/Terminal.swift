import Foundation

/// Standard output for data, standard error for people.
enum Terminal {
  /// A line of what a command was asked for. Whoever reads may leave early (`headwater jobs list | head -1`): the command ends
  /// with 141, as shells tell of SIGPIPE, which is ignored here. Where it can't be written for another reason it says so, with 74.
  static func line(_ text: String) {
    do { try FileHandle.standardOutput.write(contentsOf: Data((text + "\n").utf8)) } catch {
      let reason = (error as NSError).userInfo[NSUnderlyingErrorKey] as? NSError
      if reason?.domain == NSPOSIXErrorDomain, reason?.code == Int(EPIPE) { exit(141) }
      self.error("standard output can't be written: \(reason ?? error as NSError)")
      exit(74)
    }
  }

  /// A line of a program that goes on whether anybody reads it or not.
  static func notice(_ text: String) {
    try? FileHandle.standardOutput.write(contentsOf: Data((text + "\n").utf8))
  }

  static func error(_ text: String) { errorText(text + "\n") }

  /// As it stands, without a line's end.
  static func errorText(_ text: String) {
    try? FileHandle.standardError.write(contentsOf: Data(text.utf8))
  }

  /// A value as one line of JSON with sorted keys.
  static func json(_ value: some Encodable) {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    do { line(String(decoding: try encoder.encode(value), as: UTF8.self)) } catch {
      self.error("this can't be written as JSON: \(error)")
    }
  }

  static var showsProgress: Bool { isatty(STDERR_FILENO) == 1 }

  static func time(_ milliseconds: Int64) -> String {
    Date(timeIntervalSince1970: Double(milliseconds) / 1000).formatted(.iso8601)
  }
}

/// A bar on standard error that shows how much of something is done; silent where that is no terminal.
struct ProgressBar {
  private let label: String
  private var shownPercent: UInt64?

  init(_ label: String) { self.label = label }

  mutating func show(_ done: UInt64, of total: UInt64) {
    guard Terminal.showsProgress, total > 0 else { return }
    let percent = min(100, done * 100 / total)
    guard percent != shownPercent else { return }
    shownPercent = percent
    Terminal.errorText("\r\(Self.text(permille: UInt16(percent * 10))) \(percent) % \(label)\u{1B}[K")
  }

  /// Thirty characters of bar.
  static func text(permille: UInt16) -> String {
    let filled = Int(min(1000, permille)) * 30 / 1000
    return String(repeating: "█", count: filled) + String(repeating: "░", count: 30 - filled)
  }

  func clear() {
    if shownPercent != nil { Terminal.errorText("\r\u{1B}[K") }
  }
}
