/// A plugin that knows what is watched most: others ask for it by `PluginHost.trending`.
public protocol TrendingSource: Plugin {
  /// Ids of assets, most viewed first; at most `limit`.
  func trending(limit: Int) async throws -> [String]
}
