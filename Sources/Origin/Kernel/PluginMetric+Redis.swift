public import Net
internal import Synchronization

extension PluginMetric {
  /// The figures of a Redis client, for a plugin's ``MetricsProvider/metrics``.
  ///
  /// - Parameters:
  ///   - prefix: with what the names begin: the plugin's own name, such as `redis` or `engagement_redis`.
  ///   - figures: nil where the plugin is not provisioned; all values are 0 then.
  public static func redis(_ prefix: String, _ figures: RedisFigures?) -> [PluginMetric] {
    func count(_ name: String, _ help: String, _ value: UInt64?) -> PluginMetric {
      PluginMetric("\(prefix)_\(name)_total", .counter, help, Double(value ?? 0))
    }
    func gauge(_ name: String, _ help: String, _ value: Int?) -> PluginMetric {
      PluginMetric("\(prefix)_\(name)", .gauge, help, Double(value ?? 0))
    }
    return [
      count("commands", "Commands for Redis.", figures?.commands.load(ordering: .relaxed)),
      count(
        "command_failures", "Commands that ended with an error.", figures?.failures.load(ordering: .relaxed)),
      count(
        "command_timeouts", "Commands whose time was over.", figures?.timeouts.load(ordering: .relaxed)),
      count(
        "commands_not_asked", "Commands that were not sent because the circuit breaker was open.",
        figures?.notAsked.load(ordering: .relaxed)),
      count(
        "commands_refused", "Commands that the client had no room for.",
        figures?.refused.load(ordering: .relaxed)),
      count("connections", "Connections to Redis.", figures?.connections.load(ordering: .relaxed)),
      count(
        "connection_failures", "Tries to connect that failed.",
        figures?.failedConnections.load(ordering: .relaxed)),
      count(
        "breaker_openings", "How often a circuit breaker opened.",
        figures?.breakerOpenings.load(ordering: .relaxed)),
      gauge(
        "breakers_open", "Circuit breakers that are open: 0 when all is well.",
        figures?.openBreakers.load(ordering: .relaxed)),
      gauge(
        "commands_held", "Commands that wait for their answer.",
        figures?.heldCommands.load(ordering: .relaxed)
      ),
    ]
  }
}
