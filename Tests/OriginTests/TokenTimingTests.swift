import Glibc
import HTTP
import Testing

@testable import Origin

/// How long a refusal takes says nothing about how near the token was: first or last byte of a signature, a key that
/// exists or not.
///
/// What is compared is the least CPU time of this thread for the same number of verdicts, over rounds in which the variants
/// take turns. Whatever disturbs a round makes it longer and never shorter, so the minima only come nearer to the truth; rounds
/// are added until they agree, and a real difference never goes away.
@Suite struct TokenTimingTests {
  struct Scheme: Sendable, CustomStringConvertible {
    let description: String
    let verifier: any TokenVerifier
    let targets: [String]
  }

  private static let tolerance = 1.05
  private static let verdicts = 200
  private static let mostRounds = 4000

  private static func schemes() throws -> [Scheme] {
    let exact = SignedURLTests.exact
    let scoped = SignedURLTests.scoped
    return [
      Scheme(
        description: "headwater", verifier: SignedURLTests.verifier,
        targets: [
          exact.replacing("sig=9E", with: "sig=8E"), exact.replacing("PrDwU", with: "PrDwY"),
          exact.replacing("kid=k1", with: "kid=k9"),
        ]),
      Scheme(
        description: "headwater with a scope", verifier: SignedURLTests.verifier,
        targets: [
          scoped.replacing("sig=bX", with: "sig=cX"), scoped.replacing("PGVPc", with: "PGVPg"),
          scoped.replacing("kid=k1", with: "kid=k9"),
        ]),
      Scheme(
        description: "Common Access Token", verifier: try CommonAccessTests.verifier(),
        targets: [
          CommonAccessTests.token.replacing("YILv6", with: "YILr6"),
          CommonAccessTests.token.replacing("BDhO", with: "BDhP"),
          // The key id lies in the header that is not signed.
          CommonAccessTests.token.replacing("BEJrMVhT", with: "BEJrOVhT"),
        ].map { "/v/abc/master.m3u8?cat=\($0)" }),
      Scheme(
        description: "EdgeAuth", verifier: try AkamaiTests.verifier(),
        targets: ["0", "1"].map { "\(AkamaiTests.known.dropLast())\($0)" } + [
          AkamaiTests.known.replacing("hmac=a6", with: "hmac=b6")
        ]),
    ]
  }

  @Test func aRefusalTakesTheSameTime() throws {
    for scheme in try Self.schemes() {
      var least = scheme.targets.map { _ in Double.infinity }
      var rounds = 0
      while rounds < 10 || Self.spread(least) > Self.tolerance && rounds < Self.mostRounds {
        for (index, target) in scheme.targets.enumerated() {
          least[index] = min(least[index], try Self.time(scheme.verifier, target))
        }
        rounds += 1
      }
      #expect(Self.spread(least) <= Self.tolerance, "\(scheme): \(least) s after \(rounds) rounds")
    }
  }

  private static func spread(_ times: [Double]) -> Double { (times.max() ?? 0) / (times.min() ?? 1) }

  /// Seconds of this thread for a batch of verdicts.
  private static func time(_ verifier: any TokenVerifier, _ target: String) throws -> Double {
    try OriginFixture.withRequest("GET \(target) HTTP/1.1") { head in
      let made = TokenRequest(head, nowSeconds: SigningFixture.nowSeconds)
      let asked = try #require(made)
      let verdict = verifier.verify(asked, head, client: { nil })
      try #require(verdict.refusal == .invalid)
      let start = seconds()
      for _ in 0..<verdicts { _ = verifier.verify(asked, head, client: { nil }) }
      return seconds() - start
    }
  }

  private static func seconds() -> Double {
    var time = timespec()
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
    return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
  }
}
