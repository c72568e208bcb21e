/// Which open files a media process is given: 3 the first input, 4 the first output, 5 the report, from 6 on further inputs
/// and then further outputs. 0 to 2 are as everywhere.
public struct MediaDescriptors: Sendable, Equatable {
  public static let report: Int32 = 5
  /// Most inputs, and most outputs: the process has few descriptors and no need of more.
  public static let most = 4096

  public let inputs: [Int32]
  public let outputs: [Int32]
  /// How many more the process has opened itself before the sandbox, behind all of these.
  public var further: Int32 = 0

  public init(inputs: Int = 1, outputs: Int = 1) {
    let inputs = min(Self.most, max(0, inputs))
    let outputs = min(Self.most, max(0, outputs))
    let furtherInputs = max(0, inputs - 1)
    self.inputs = (inputs > 0 ? [3] : []) + (0..<furtherInputs).map { Int32(6 + $0) }
    self.outputs = (outputs > 0 ? [4] : []) + (0..<max(0, outputs - 1)).map { Int32(6 + furtherInputs + $0) }
  }

  /// The first descriptor that is none of these.
  public var end: Int32 { 1 + max(Self.report, inputs.last ?? 0, outputs.last ?? 0) + further }
}
