import Store

extension Metrics {
  /// The queue, which all processes share that work on it, and what the workers of this one have done.
  ///
  /// Kinds are of plugins' making, a few dozen at most, and hold nothing that needs escaping.
  static func jobs(_ figures: JobQueueFigures, _ measures: JobMeasures?) -> String {
    var text = family(
      "jobs", "gauge", "Jobs by kind and state.",
      figures.counts.map { ("kind=\"\($0.kind)\",state=\"\($0.state)\"", "\($0.jobs)") }.sorted {
        $0.0 < $1.0
      })
    let now = Store.wallClockMilliseconds()
    text += family(
      "jobs_next_age_seconds", "gauge", "Since when the job that is next has been waiting.",
      figures.nextMilliseconds.sorted { $0.key < $1.key }.map { kind, time in
        ("kind=\"\(kind)\"", "\(Double(max(0, now &- time)) / 1000)")
      })
    let sums = (measures?.all ?? [:]).sorted {
      ($0.key.kind, $0.key.result.rawValue) < ($1.key.kind, $1.key.result.rawValue)
    }
    func labels(_ key: JobMeasures.Key) -> String {
      "kind=\"\(key.kind)\",result=\"\(key.result.rawValue)\""
    }
    text += family(
      "job_attempts_total", "counter", "Attempts of jobs that this process has ended, by kind and result.",
      sums.map { (labels($0.key), "\($0.value.attempts)") })
    text += family(
      "job_seconds_total", "counter", "Wall clock of these attempts.",
      sums.map { (labels($0.key), "\($0.value.seconds)") })
    return text
  }
}
