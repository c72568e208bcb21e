import FoundationEssentials
public import Store

/// Payloads and results of jobs as JSON.
public enum JobJSON {
  /// What goes into a payload or a result: at most 16 KiB, which the queue checks. Keys are sorted, so equal values are equal
  /// bytes.
  public static func bytes(of value: some Encodable) throws(JobFailure) -> [UInt8] {
    let encoder = JSONEncoder()
    encoder.outputFormatting = .sortedKeys
    do { return Array(try encoder.encode(value)) } catch {
      throw JobFailure(.permanent, code: "job-json", "A job can't be written down: \(error)")
    }
  }

  /// Throws a permanent failure where it is something else.
  public static func value<Value: Decodable>(
    of bytes: [UInt8], as type: Value.Type, _ what: String
  ) throws(JobFailure) -> Value {
    do { return try JSONDecoder().decode(type, from: Data(bytes)) } catch {
      throw JobFailure(
        .permanent, code: "job-json", "The \(what) is not what this version understands: \(error)")
    }
  }
}
