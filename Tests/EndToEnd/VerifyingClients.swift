import Foundation
import Support
import Synchronization
import Testing

/// Keep-alive clients that compare every body, while something happens to the server.
///
/// A connection that an answer said would close may close. Any other failure is a violation: there is no second try.
final class VerifyingClients: Sendable {
  private let server: ServerUnderTest
  private let path: String
  private let body: [UInt8]
  private let state = Mutex((events: 0, violations: [String]()))

  /// - Parameter path: what all clients ask for; it is fetched once to know what is right.
  init(_ server: ServerUnderTest, path: String) throws {
    self.server = server
    self.path = path
    let answer = try server.request("GET", path)
    try #require(answer.status == 200)
    body = answer.body
  }

  /// Runs `count` clients beside `events`, until that returns.
  func run(_ count: Int, while events: () async throws -> Void) async throws {
    try await withThrowingTaskGroup(of: Void.self) { clients in
      for _ in 0..<count { clients.addTask { self.ask() } }
      defer { clients.cancelAll() }
      try await events()
      clients.cancelAll()
      try await clients.waitForAll()
    }
  }

  private func ask() {
    var connection: RawConnection?
    while !Task.isCancelled {
      do {
        let open = try connection ?? server.connect(timeout: .seconds(20))
        connection = open
        try open.send("GET \(path) HTTP/1.1\r\nHost: localhost\r\n\r\n")
        let answer = try open.response()
        if answer["Connection"]?.lowercased() == "close" { connection = nil }
        let isRight = answer.status == 200 && answer.body == body
        count(violation: isRight ? nil : "status \(answer.status), \(answer.body.count) bytes")
      } catch {
        connection = nil
        count(violation: "\(error)")
      }
    }
  }

  private func count(violation: String?) {
    state.withLock {
      $0.events += 1
      if let violation { $0.violations.append(violation) }
    }
  }

  /// Waits until that many more requests were answered; false when ten seconds do not suffice.
  func grow(by count: Int) -> Bool {
    let wanted = result.events + count
    let deadline = ContinuousClock.now + .seconds(10)
    while ContinuousClock.now < deadline {
      if result.events >= wanted { return true }
      sched_yield()
    }
    return false
  }

  var result: (events: Int, violations: [String]) { state.withLock { $0 } }
}
