import Testing

@testable import HTTP

private let changed = "Sun, 06 Nov 1994 08:49:37 GMT"
private let before = "Sun, 06 Nov 1994 08:49:36 GMT"
private let after = "Sun, 06 Nov 1994 08:49:38 GMT"
private let changedSeconds: Int64 = 784_111_777

private func verdict(
  _ method: String, _ lines: [String], etag: String = "\"v1\"", lastModified: Int64 = changedSeconds,
  now: Int64 = 1_700_000_000
) -> Precondition.Verdict {
  var head = RequestHead(limits: HTTPLimits())
  var progress = ParseProgress()
  let input = Array("\(method) / HTTP/1.1\r\nHost: a\r\n\(lines.map { $0 + "\r\n" }.joined())\r\n".utf8)
  return input.withUnsafeBytes { buffer in
    let result = head.parse(buffer, resuming: &progress)
    precondition(result == .complete(headBytes: input.count), "the test's request does not parse")
    return Precondition.evaluate(
      head: head, etag: Array(etag.utf8).span, lastModifiedSeconds: lastModified, nowSeconds: now)
  }
}

@Suite struct PreconditionTests {
  private static let go = Precondition.Verdict.proceed(rangeAllowed: false)

  @Test(arguments: [
    ("\"v1\"", true), ("W/\"v1\"", true), ("\"v2\"", false), ("\"v2\", \"v1\"", true),
    ("\"v2\",\"v1\"", true),
    ("*", true), ("\"v2\" ,\tW/\"v1\"", true), (",\"v1\"", true), ("\"v1\",", true), ("\"V1\"", false),
    ("v1", false), ("\"v1", false), ("v1\"", false), ("w/\"v1\"", false), ("W\"v1\"", false), ("W/v1", false),
    ("\"v1\" \"v2\"", false), ("\"v2\"\"v1\"", false), ("\"v1\", junk", false), ("junk, \"v1\"", false),
    ("*, \"v1\"", false), ("\"v1\", *", false), ("", false), (",", false), ("\"\"", false),
    ("\"v1\"x", false),
    ("\"a,b\", \"v1\"", true), ("\"a,\"v1\"", false), ("\"a\\\", \"v1\"", true), ("\"v 1\"", false),
    ("\"*\"", false), ("W/*", false), ("W/ \"v1\"", false),
  ])
  func ifNoneMatch(value: String, matches: Bool) {
    let line = ["If-None-Match: \(value)"]
    #expect(verdict("GET", line) == (matches ? .notModified : Self.go))
    #expect(verdict("HEAD", line) == (matches ? .notModified : Self.go))
    #expect(verdict("PUT", line) == (matches ? .preconditionFailed : Self.go))
  }

  @Test(arguments: [
    ("\"v1\"", true), ("W/\"v1\"", false), ("\"v2\"", false), ("\"v2\", \"v1\"", true), ("*", true),
    ("W/\"v1\", \"v1\"", true), ("v1", false), ("\"v1\", junk", false), ("", false), ("\"v1", false),
  ])
  func ifMatch(value: String, matches: Bool) {
    for method in ["GET", "PUT", "DELETE"] {
      #expect(verdict(method, ["If-Match: \(value)"]) == (matches ? Self.go : .preconditionFailed))
    }
  }

  @Test func severalLinesAreOneList() {
    #expect(verdict("GET", ["If-None-Match: \"a\"", "If-None-Match: \"v1\""]) == .notModified)
    #expect(verdict("GET", ["If-None-Match: \"v1\"", "If-None-Match: junk"]) == Self.go)
    #expect(verdict("GET", ["If-None-Match: *", "If-None-Match: \"a\""]) == Self.go)
    #expect(verdict("PUT", ["If-Match: \"a\"", "If-Match: \"v1\""]) == Self.go)
  }

  @Test(arguments: [
    (changed, true), (after, true), (before, false), ("Sunday, 06-Nov-94 08:49:37 GMT", true),
    ("Sun Nov  6 08:49:37 1994", true), ("Tue, 14 Nov 2023 22:13:20 GMT", true),
    ("Tue, 14 Nov 2023 22:13:21 GMT", false), ("Fri, 31 Dec 9999 23:59:59 GMT", false), ("yesterday", false),
    ("", false), ("Sun, 06 Nov 1994 08:49:37", false), ("784111777", false),
  ])
  func ifModifiedSince(value: String, isNotModified: Bool) {
    let line = ["If-Modified-Since: \(value)"]
    #expect(verdict("GET", line) == (isNotModified ? .notModified : Self.go))
    #expect(verdict("HEAD", line) == (isNotModified ? .notModified : Self.go))
    #expect(verdict("PUT", line) == Self.go)
  }

  @Test(arguments: [(changed, true), (after, true), (before, false), ("junk", true), ("", true)])
  func ifUnmodifiedSince(value: String, holds: Bool) {
    for method in ["GET", "PUT"] {
      #expect(
        verdict(method, ["If-Unmodified-Since: \(value)"]) == (holds ? Self.go : .preconditionFailed))
    }
  }

  @Test func order() {
    // If-Match hides If-Unmodified-Since, and is judged before If-None-Match.
    #expect(verdict("GET", ["If-Match: \"v1\"", "If-Unmodified-Since: \(before)"]) == Self.go)
    #expect(verdict("GET", ["If-None-Match: \"v1\"", "If-Match: \"x\""]) == .preconditionFailed)
    #expect(verdict("GET", ["If-Match: \"v1\"", "If-None-Match: \"v1\""]) == .notModified)
    // If-None-Match hides If-Modified-Since, even when malformed.
    #expect(verdict("GET", ["If-None-Match: \"x\"", "If-Modified-Since: \(changed)"]) == Self.go)
    #expect(verdict("GET", ["If-None-Match: x", "If-Modified-Since: \(changed)"]) == Self.go)
    #expect(
      verdict("GET", ["If-Unmodified-Since: \(before)", "If-None-Match: \"v1\""]) == .preconditionFailed)
    // Preconditions come before the range.
    #expect(verdict("GET", ["Range: bytes=0-1", "If-None-Match: \"v1\""]) == .notModified)
    #expect(verdict("GET", ["Range: bytes=0-1", "If-Match: \"x\""]) == .preconditionFailed)
  }

  @Test(arguments: ["OPTIONS", "TRACE"])
  func methodsWithoutPreconditions(method: String) {
    #expect(verdict(method, ["If-Match: \"x\"", "If-None-Match: *", "Range: bytes=0-1"]) == Self.go)
  }

  @Test func datesThatAreUnknownOrRepeatedDoNotCount() {
    #expect(verdict("GET", ["If-Modified-Since: \(after)"], lastModified: .min) == Self.go)
    #expect(verdict("GET", ["If-Unmodified-Since: \(before)"], lastModified: .min) == Self.go)
    #expect(verdict("GET", ["If-Modified-Since: \(after)", "If-Modified-Since: \(after)"]) == Self.go)
    #expect(verdict("PUT", ["If-Unmodified-Since: \(before)", "If-Unmodified-Since: \(before)"]) == Self.go)
  }

  @Test func withoutATag() {
    #expect(verdict("GET", ["If-None-Match: \"\""], etag: "") == Self.go)
    #expect(verdict("GET", ["If-None-Match: *"], etag: "") == .notModified)
    #expect(verdict("PUT", ["If-Match: *"], etag: "") == Self.go)
  }

  // MARK: If-Range

  @Test(arguments: [
    ([], true), (["If-Range: \"v1\""], true), (["If-Range: \"v2\""], false), (["If-Range: W/\"v1\""], false),
    (["If-Range: \"v1\", \"v2\""], false), (["If-Range: *"], false), (["If-Range: v1"], false),
    (["If-Range: "], false), (["If-Range: \(changed)"], true), (["If-Range: \(before)"], false),
    (["If-Range: \(after)"], false), (["If-Range: Sunday, 06-Nov-94 08:49:37 GMT"], true),
    (["If-Range: \"v1\"x"], false), (["If-Range: \"v1"], false),
    (["If-Range: \"v1\"", "If-Range: \"v1\""], false),
    (["Range: bytes=2-3"], false), (["If-Match: \"v1\""], true), (["If-None-Match: \"v2\""], true),
  ])
  func ifRange(lines: [String], allowed: Bool) {
    #expect(verdict("GET", ["Range: bytes=0-1"] + lines) == .proceed(rangeAllowed: allowed))
  }

  @Test func rangesAreForGetAlone() {
    #expect(verdict("GET", ["If-Range: \"v1\""]) == Self.go)
    for method in ["HEAD", "POST", "PUT", "DELETE"] {
      #expect(verdict(method, ["Range: bytes=0-1"]) == Self.go)
    }
  }

  @Test func aDateWithinItsOwnSecondIsWeak() {
    let lines = ["Range: bytes=0-1", "If-Range: \(changed)"]
    #expect(verdict("GET", lines, now: changedSeconds) == .proceed(rangeAllowed: false))
    #expect(verdict("GET", lines, now: changedSeconds + 1) == .proceed(rangeAllowed: true))
  }
}
