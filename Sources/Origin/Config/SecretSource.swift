/// Where the secrets of one file come from.
struct SecretSource {
  /// The folder of the configuration file.
  let folder: String
  let environment: [String: String]

  init(folder: String, _ environment: [String: String]) {
    self.folder = folder
    self.environment = environment
  }

  func path(of file: String) -> String { ConfigPathText.join(folder, file) }

  /// The bytes of a secret file without the line end that editors leave.
  func read(file: String) throws(ConfigFile.Failure) -> (secret: Secret, isWorldReadable: Bool) {
    let content = try ConfigFile.read(path(of: file))
    var bytes = content.bytes
    if bytes.last == UInt8(ascii: "\n") { bytes.removeLast() }
    if bytes.last == UInt8(ascii: "\r") { bytes.removeLast() }
    return (Secret(bytes: bytes), content.isWorldReadable)
  }
}
