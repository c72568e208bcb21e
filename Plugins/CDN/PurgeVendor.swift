// What a CDN, or a cache, is told, and how its answer is understood
//
// A vendor is a value without state: entries in, requests out; an answer in, a verdict out. Everything that waits, repeats, or is
// written down is `EdgeSender`'s. So each vendor is tested byte by byte without a network, and a new one is one file.

import Net

/// How a vendor is spoken to.
protocol PurgeVendor: Sendable {
  /// What it can forget by. Tasks of other kinds are refused.
  var kinds: Set<EdgeTask.Kind> { get }
  var limits: VendorLimits { get }
  /// Whether a purge by URL of what the origin has no more makes the edge forget it.
  var forgetsRemoved: Bool { get }

  /// The requests for entries whose kinds it knows, within its limits for one call. The same entry may be in several calls.
  func calls(for entries: [EdgeQueue.Entry], at moment: CallMoment) -> [PurgeCall]

  func verdict(on response: HTTPResponse, to call: PurgeCall) -> PurgeVerdict
}

/// What a vendor documents; the settings of an edge may say otherwise.
struct VendorLimits: Equatable, Sendable {
  /// Most items in one call.
  var items = 1
  /// Most bytes of a body.
  var bodyBytes = 1 << 20
  /// Calls a minute that it takes for good, and how many at once.
  var callsPerMinute = 60_000
  var callBurst = 1000
  /// The same of the items in them; 0 where only calls count.
  var itemsPerMinute = 0
  var itemBurst = 0
}

/// When a call is made, and what makes it unlike others: for signatures.
struct CallMoment: Equatable, Sendable {
  /// Since 1970.
  var seconds: Int64
  /// A UUID, in lower case.
  var nonce: String
}

/// One request, and the entries that it settles.
struct PurgeCall: Sendable, Equatable {
  var request: HTTPRequest
  var entries: [EdgeQueue.Entry]
}

/// What an answer says about the entries of its call.
enum PurgeVerdict: Equatable, Sendable {
  case done
  /// These will never do; of several in one call perhaps only one.
  case refused(String)
  /// Try again, and nothing else at this edge before that. 0 is by our own choice.
  case later(String, afterMilliseconds: UInt64)
}

extension PurgeVerdict {
  /// What is wrong with the settings heals by a person's hand: until then there is no hurry.
  static let mistakeMilliseconds: UInt64 = 30_000

  /// By status alone, after RFC 9110 §15.
  static func of(_ response: HTTPResponse, done: Set<Int> = []) -> PurgeVerdict {
    let status = response.status
    if (200..<300).contains(status) || done.contains(status) { return .done }
    let wait = response.retryAfterMilliseconds ?? 0
    switch status {
    case 401, 403, 407:
      return .later(
        "it answers \(status): the credentials, or the addresses it admits, are wrong",
        afterMilliseconds: max(wait, mistakeMilliseconds))
    case 300..<400:
      return .later(
        "it answers \(status), a redirection, which is not followed: set the address it leads to",
        afterMilliseconds: max(wait, mistakeMilliseconds))
    case 408, 425, 429, 500...: return .later("it answers \(status)", afterMilliseconds: wait)
    default: return .refused("it answers \(status)")
    }
  }
}

extension PurgeVendor {
  var forgetsRemoved: Bool { true }

  func verdict(on response: HTTPResponse, to call: PurgeCall) -> PurgeVerdict { .of(response) }
}

extension Collection where Element == EdgeQueue.Entry {
  /// Those of one kind.
  func of(_ kind: EdgeTask.Kind) -> [EdgeQueue.Entry] { filter { $0.task.kind == kind } }

  /// In runs of at most `most`.
  func batches(_ most: Int) -> [[EdgeQueue.Entry]] {
    let all = Array(self)
    return stride(from: 0, to: all.count, by: Swift.max(1, most)).map {
      Array(all[$0..<Swift.min($0 + Swift.max(1, most), all.count)])
    }
  }
}
