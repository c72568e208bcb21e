/// Asks until it holds, again and again, for two minutes at most. Returns whether it did.
public func eventually(_ holds: () async throws -> Bool) async rethrows -> Bool {
  let deadline = ContinuousClock.now + .seconds(120)
  while ContinuousClock.now < deadline {
    if try await holds() { return true }
    try? await Task.sleep(for: .milliseconds(5))
  }
  return false
}
