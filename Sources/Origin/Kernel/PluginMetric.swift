// What plugins have on the metrics page
//
// Each enabled plugin that is a `MetricsProvider` is asked when the page is read. Samples of one family come together
// whatever site they are of, because the format has every family once; the label `site` is added.

/// One family of samples of a plugin, as Prometheus has it.
public struct PluginMetric: Sendable {
  public enum Kind: String, Sendable {
    /// Only grows while the process lives. Its name ends in `_total`.
    case counter
    case gauge
  }

  public struct Sample: Sendable {
    /// Names and values beside `site`. Values may be any text.
    public var labels: [(name: String, value: String)]
    public var value: Double

    public init(_ value: Double, labels: [(name: String, value: String)] = []) {
      self.labels = labels
      self.value = value
    }
  }

  /// After `headwater_`; begins with the plugin's name and ends in the unit, such as `cdn_purges_total`.
  public var name: String
  /// One sentence, without a line break.
  public var help: String
  public var kind: Kind
  public var samples: [Sample]

  public init(_ name: String, _ kind: Kind, _ help: String, _ samples: [Sample]) {
    self.name = name
    self.help = help
    self.kind = kind
    self.samples = samples
  }

  /// A family of one sample.
  public init(_ name: String, _ kind: Kind, _ help: String, _ value: Double) {
    self.init(name, kind, help, [Sample(value)])
  }
}

/// A plugin with figures of its own in `/metrics`.
public protocol MetricsProvider: Plugin {
  /// What is so now. Asked on a loop: must not block. The same names each time, a provisioned plugin or not.
  var metrics: [PluginMetric] { get }
}
