/// What went wrong in the harness itself or was not answered in time; the message says what was awaited.
public struct SupportError: Error, CustomStringConvertible, Sendable {
  public let description: String

  public init(_ description: String) { self.description = description }
}
