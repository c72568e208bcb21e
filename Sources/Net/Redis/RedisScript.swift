internal import COpenSSL

/// A Lua script that runs on the server, as one atomic step.
///
/// The server is sent the digest; only where it does not know the script yet (`NOSCRIPT`: it was restarted, or another node
/// has become the primary) the text follows. In a cluster all keys must share a slot; give them a common `{tag}`.
public struct RedisScript: Sendable {
  public let source: String
  /// Hexadecimal SHA-1 of the source, by which Redis knows it; not a matter of security.
  let digest: String

  public init(_ source: String) {
    self.source = source
    var bytes = [UInt8](repeating: 0, count: Int(EVP_MAX_MD_SIZE))
    var count: UInt32 = 0
    let text = Array(source.utf8)
    EVP_Digest(text, text.count, &bytes, &count, EVP_sha1(), nil)
    let digits = Array("0123456789abcdef".utf8)
    digest = String(
      decoding: bytes.prefix(Int(count)).flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] },
      as: UTF8.self)
  }

  func command(
    byDigest: Bool, keys: [RedisArgument], arguments: [RedisArgument], timeoutMilliseconds: UInt64?
  ) -> RedisCommand {
    let words = [RedisArgument(byDigest ? digest : source), RedisArgument(keys.count)] + keys + arguments
    var command = RedisCommand(byDigest ? "EVALSHA" : "EVAL", words, keyAt: keys.isEmpty ? nil : 2)
    command.timeoutMilliseconds = timeoutMilliseconds
    return command
  }
}
