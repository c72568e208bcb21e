/// Asks until it holds, again and again, for two minutes at most and twenty times at least: on a busy machine two minutes may go
/// by between two turns of a task. Returns whether it did.
public func eventually(_ holds: () async throws -> Bool) async rethrows -> Bool {
  let deadline = ContinuousClock.now + .seconds(120)
  var turns = 0
  while turns < 20 || ContinuousClock.now < deadline {
    if try await holds() { return true }
    turns += 1
    try? await Task.sleep(for: .milliseconds(5))
  }
  return false
}
