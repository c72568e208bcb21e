// Where the plugin keeps what it counts: Redis, or the memory of this process
//
// Both do the same, and one suite holds both to it (Tests/EngagementPluginTests/StoreContractTests.swift). What differs is how
// long it lasts and who sees it: what is in Redis outlives this process and is shared by all nodes that ask the same Redis; what
// is in memory is this process's own and ends with it, but for the views that have been brought into the catalog.
//
//   - Every call is one step: it has happened as a whole or not at all, whatever else happens at the time.
//   - A call that throws may have happened. All of them bear being repeated: a view counts once for its viewer within the time for
//     that, a report once, and the others say how something stands.
//   - Times are milliseconds since 1970 by the store's own clock, which is one for all who share it.
//   - No call waits longer than the store's own limit; in memory none waits at all.

import Store

/// A view that has lasted long enough to count.
struct View: Sendable {
  var video: String
  var viewer: String
  /// What it counts for: 1, or more where only some are counted.
  var weight: UInt64 = 1
}

/// How far a viewer is.
struct ProgressReport: Sendable {
  var video: String
  var viewer: String
  var positionMilliseconds: Int64
  /// How much must have been watched for a view; nil where it never becomes one.
  var thresholdMilliseconds: Int64?
  /// What a view counts for; 0 for one that is not counted itself, since others stand for it.
  var weight: UInt64 = 1
}

struct ProgressOutcome: Sendable, Equatable {
  /// Since this playing of the video began, without what was skipped.
  var watchedMilliseconds: Int64
  /// Whether this report made it a view.
  var isCounted: Bool
}

/// Where a viewer has stopped in a video.
struct PlaySession: Sendable, Equatable {
  var positionMilliseconds: Int64
  var watchedMilliseconds: Int64
  var updatedMilliseconds: Int64
}

struct HistoryEntry: Sendable, Equatable {
  var video: String
  var atMilliseconds: Int64
}

/// What is known of a video now.
struct VideoFigures: Sendable, Equatable {
  /// Where the store is shared: all there ever were. Else: those that the catalog does not have yet.
  var views: UInt64
  /// Different viewers in the last `EngagementConfig.uniqueDays`, about.
  var uniqueViewers: Int
  var liveViewers: Int
}

/// Somebody objects to a video.
struct ViewerReport: Sendable {
  static let reasons = ["spam", "violence", "sexual", "hate", "copyright", "misleading", "other"]

  var video: String
  var viewer: String
  /// One of `reasons`.
  var reason: String
  var note: String
}

/// A video that somebody has to look at.
struct ModerationItem: Sendable, Equatable {
  var video: String
  var reports: Int
  /// How often each reason was given.
  var reasons: [String: Int]
  /// Of the last report that had one; may be empty.
  var note: String
  var firstMilliseconds: Int64
  var lastMilliseconds: Int64
}

/// What an address has used of a limit since it was told last.
struct RateSpending: Sendable {
  /// As it stands in a key.
  var address: String
  /// The number of the window; 0 for the cell rate algorithm.
  var window: UInt64
  var amount: UInt32
}

protocol EngagementStore: Sendable {
  /// Where it is, for the log.
  var place: String { get }
  /// Whether it outlives this process, and others see it too.
  var isShared: Bool { get }

  /// Counts a view, unless its viewer had one of the same video lately; returns whether it did.
  func count(_ view: View) async throws(EngagementError) -> Bool
  /// Takes note of viewers, by video, whose views others stand for.
  func note(viewers: [String: Set<String>]) async throws(EngagementError)
  /// Keeps where a viewer is, puts the video into his history, has him be alive, and counts a view when it is one.
  func progress(_ report: ProgressReport) async throws(EngagementError) -> ProgressOutcome
  func session(of viewer: String, video: String) async throws(EngagementError) -> PlaySession?
  /// The newest first; at most `EngagementConfig.historyLength`.
  func history(of viewer: String) async throws(EngagementError) -> [HistoryEntry]
  /// Forgets history, sessions and feed of a viewer.
  func erase(viewer: String) async throws(EngagementError)

  /// Says that viewers of some videos are there at this moment.
  func heartbeat(_ viewers: [String: Set<String>]) async throws(EngagementError)
  /// Viewers that were there lately, of each video; `LiveViewers.everywhere` are those of the site.
  func liveViewers(of videos: [String]) async throws(EngagementError) -> [Int]
  func figures(of video: String) async throws(EngagementError) -> VideoFigures
  /// Most viewed first, of the last day.
  func trending(limit: Int) async throws(EngagementError) -> [String]

  func feed(of viewer: String) async throws(EngagementError) -> [UInt8]?
  func setFeed(_ json: [UInt8], of viewer: String) async throws(EngagementError)

  /// Takes a report; a second one of the same viewer about the same video within a day changes nothing.
  func report(_ report: ViewerReport) async throws(EngagementError)
  /// Those with the most reports first.
  func moderationQueue(limit: Int) async throws(EngagementError) -> [ModerationItem]
  /// Takes a video out of the queue; false where it was not in it.
  func settle(video: String) async throws(EngagementError) -> Bool

  /// Keeps what was seen in an interval.
  func append(_ interval: RealtimeInterval) async throws(EngagementError)
  /// What was seen in the last `EngagementConfig.realtimeWindowMilliseconds`, by all who share the store.
  func intervals() async throws(EngagementError) -> [RealtimeInterval]

  /// Adds what addresses have used, and says what all have used together: requests of the window, or how many microseconds
  /// ahead of its time an address is.
  func spend(_ spendings: [RateSpending], _ rule: RateRule) async throws(EngagementError) -> [UInt64]

  /// Views that the catalog may not have, behind its cursor: of `mostViewCounts` videos where there are more. nil where there are
  /// none.
  func viewCounts(after cursor: ViewCursor?) async throws(EngagementError) -> ViewCounts?
  /// The catalog has them, or could not take them.
  func settled(_ counts: ViewCounts, isApplied: Bool)

  func close()
}

/// Videos whose views are brought into the catalog in one transaction.
let mostViewCounts = 1000

enum LiveViewers {
  /// Stands for all videos of the site: no asset has this id.
  static let everywhere = "*"
}

/// Why the store did not answer.
struct EngagementError: Error, Sendable, CustomStringConvertible {
  var message: String
  var description: String { message }
}
