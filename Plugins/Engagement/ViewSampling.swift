import Store
import Synchronization

/// Counts one view in ten for all ten while there are very many, so that the store is asked less.
///
/// Which ones follows from viewer and video, not from chance: a viewer whose views are counted is counted again later, and one
/// whose views are not is never counted twice either.
final class ViewSampling: Sendable {
  static let share: UInt64 = 10

  private struct State {
    var second: Int64 = 0
    var beacons = 0
    var before = 0
  }

  /// Beacons a second; 0: never.
  private let limit: Int
  private let state = Mutex(State())

  init(above limit: Int) { self.limit = limit }

  /// What a view counts for at this moment: 1; or `share` or 0 in a second with too many, or behind one.
  func weight(video: String, viewer: String, nowMilliseconds: Int64 = Store.wallClockMilliseconds()) -> UInt64
  {
    guard limit > 0 else { return 1 }
    let isBusy = state.withLock { state in
      let second = nowMilliseconds / 1000
      if second != state.second {
        state.before = second == state.second + 1 ? state.beacons : 0
        state.second = second
        state.beacons = 0
      }
      state.beacons += 1
      return max(state.beacons, state.before) > limit
    }
    guard isBusy else { return 1 }
    let hash = BlobID.digest(of: Array("\(video)\n\(viewer)".utf8)).withUnsafeBytes {
      $0.loadUnaligned(as: UInt64.self)
    }
    return hash % Self.share == 0 ? Self.share : 0
  }
}
