import Foundation
import HTTP
import Store
import Testing

@testable import Origin

@Suite struct ProblemTests {
  static let all: [Problem] = [
    .unknownSite, .notFound, .unauthorized, .methodNotAllowed, .methodUnknown, .preconditionFailed, .damaged,
    .internalError, .overloaded, .rangeNotSatisfiable(lengthBytes: 7), .unpackageable("Because."),
  ]

  @Test(arguments: all) func isADocument(problem: Problem) throws {
    let body = try #require(
      try JSONSerialization.jsonObject(with: Data(problem.body)) as? [String: Any])
    #expect(body["type"] as? String == "about:blank")
    #expect(body["status"] as? Int == Int(problem.status))
    #expect(body["code"] as? String == problem.code)
    #expect(body["title"] as? String == problem.title)
    #expect(body["detail"] as? String == problem.detail)
    #expect((400..<600).contains(problem.status))
    #expect(StatusLine.line(problem.status) != nil, "every status has a line of its own")
  }

  /// RFC 9110: what a status must bring with it.
  @Test func statusesBringTheirFields() {
    func names(_ problem: Problem) -> [String] { problem.fields.map(\.name) }
    #expect(names(.unauthorized) == ["WWW-Authenticate"])
    #expect(names(.methodNotAllowed) == ["Allow"])
    #expect(names(.rangeNotSatisfiable(lengthBytes: 1)) == ["Content-Range"])
    #expect(names(.overloaded) == ["Retry-After"])
  }

  @Test(
    arguments: [
      (StoreError.Code.full, 507, "storage-full"), (.notFound, 404, "not-found"),
      (.damaged, 500, "blob-damaged"), (.io, 500, "internal"), (.invalid, 500, "internal"),
      (.busy, 500, "internal"), (.locked, 500, "internal"), (.incompatible, 500, "internal"),
    ] as [(StoreError.Code, UInt16, String)])
  func ofTheStore(code: StoreError.Code, status: UInt16, name: String) {
    let problem = Problem(
      StoreError(code, operation: "read", underlying: 5, message: "it went wrong", context: "secret/place"))
    #expect(problem.status == status)
    #expect(problem.code == name)
    #expect(problem.cause?.contains("it went wrong") == true, "the log is told")
    let body = String(decoding: problem.body, as: UTF8.self)
    #expect(!body.contains("secret/place") && !body.contains("it went wrong"))
  }

  @Test(arguments: RequestError.Code.allCases) func ofTheParser(code: RequestError.Code) {
    let error = RequestError(code)
    let problem = Problem(error)
    #expect(problem.status == error.status)
    #expect(problem.code == code.rawValue)
    #expect(problem.closesConnection, "what follows a head that is none can't be told")
    #expect(!problem.title.isEmpty && !problem.detail.isEmpty)
  }
}
