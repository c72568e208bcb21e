// What a client may ask for besides answers
//
// Frames that cost the client nothing and the server work (SETTINGS, PING, WINDOW_UPDATE, PRIORITY, empty DATA, CONTINUATION)
// and streams that are reset as soon as they are opened are how HTTP/2 is abused (CVE-2019-9511 to 9518, CVE-2023-44487,
// CVE-2024-27316; CVE-2025-8671 has the server do the resetting). Each takes from a bucket that fills with time, and that of
// small frames with the data sent too, since a client that reads fast has reason to say so often. An empty bucket ends the
// connection with ENHANCE_YOUR_CALM.

struct HTTP2Allowance {
  private struct Bucket {
    var tokens: Double
    let capacity: Double
    let perSecond: Double

    init(capacity: Double, perSecond: Double) {
      tokens = capacity
      self.capacity = capacity
      self.perSecond = perSecond
    }

    mutating func add(_ count: Double) { tokens = min(capacity, tokens + count) }
  }

  private var frames = Bucket(capacity: 1000, perSecond: 100)
  private var resets = Bucket(capacity: 200, perSecond: 10)
  private var filledMilliseconds: UInt64

  init(nowMilliseconds: UInt64) { filledMilliseconds = nowMilliseconds }

  /// Takes for a small frame; false when there is nothing left.
  mutating func takeFrame(nowMilliseconds: UInt64) -> Bool {
    fill(nowMilliseconds)
    frames.tokens -= 1
    return frames.tokens >= 0
  }

  /// Takes for a stream that is reset, by the client or because of what it sent; false when there is nothing left.
  mutating func takeReset(nowMilliseconds: UInt64) -> Bool {
    fill(nowMilliseconds)
    resets.tokens -= 1
    return resets.tokens >= 0
  }

  /// A frame of data was sent: the client may answer with an update of each window.
  mutating func sentData() { frames.add(2) }

  private mutating func fill(_ nowMilliseconds: UInt64) {
    guard nowMilliseconds > filledMilliseconds else { return }
    let seconds = Double(nowMilliseconds - filledMilliseconds) / 1000
    filledMilliseconds = nowMilliseconds
    frames.add(seconds * frames.perSecond)
    resets.add(seconds * resets.perSecond)
  }
}
