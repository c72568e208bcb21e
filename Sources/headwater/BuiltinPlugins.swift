import HeadersPlugin
import Origin

/// Everything that is compiled in, in the order in which plugins join the phases of a request.
let builtinPlugins = PluginRegistry([
  HeadersPlugin.self
])
