import CDNPlugin
import EngagementPlugin
import HeadersPlugin
import Origin
import RedisCachePlugin
import ThumbnailsPlugin
import TranscodePlugin

/// Everything that is compiled in, in the order in which plugins join the phases of a request.
let builtinPlugins = PluginRegistry([
  HeadersPlugin.self,
  TranscodePlugin.self,
  ThumbnailsPlugin.self,
  CDNPlugin.self,
  EngagementPlugin.self,
  RedisCachePlugin.self,
])
