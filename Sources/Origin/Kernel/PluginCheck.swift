/// Lets `headwater check` ask plugins about their settings.
public enum PluginCheck {
  /// Decodes the settings of every enabled plugin and lets the instances go unprovisioned.
  ///
  /// - Throws: the first plugin's complaint.
  public static func decode(_ configuration: Configuration, _ registry: PluginRegistry) throws(PluginError) {
    _ = try PluginSet(configuration, registry)
  }
}
