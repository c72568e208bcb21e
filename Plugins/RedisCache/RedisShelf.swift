// What the cache keeps in Redis
//
//     video:meta:film          the JSON of the video, as its source gave it; `null` for a video that the source does not know.
//                              Its remaining time to live says how old it is: nobody's clock matters. Whoever has it without one
//                              (the site's own systems may write it) is believed until it is changed.
//     {video:meta:film}:lock   a random token: its owner is loading the value. Goes by itself after `lock`.
//
// A value is stored only while its lock still holds the owner's token, in one script that gives the lock back. A change deletes
// both: what was being loaded meanwhile may be of before the change, and is not stored by its loader then.

import Net
import Origin

/// The cache's part in Redis. Each call is one step on the server, bounded by the client's own time.
struct RedisShelf: Sendable {
  /// What stands under a key.
  enum Found: Sendable, Equatable {
    case nothing
    /// - Parameter remainingMilliseconds: nil where it has no end.
    case value([UInt8], remainingMilliseconds: UInt64?)
  }

  /// Stands for a video that the source does not know.
  static let missing = Array("null".utf8)

  let client: RedisClient
  let config: RedisCacheConfig

  nonisolated(nonsending) func read(_ id: String) async throws(RedisError) -> Found {
    let key = RedisArgument(config.key.value(of: id))
    let answers = await client.pipeline([RedisCommand("GET", key), RedisCommand("PTTL", key)])
    guard let bytes = try answers[0].get().bytes else { return .nothing }
    let remaining = try answers[1].get().integer ?? -1
    // -2: it has ended between the two.
    if remaining == -2 { return .nothing }
    return .value(bytes, remainingMilliseconds: remaining < 0 ? nil : UInt64(remaining))
  }

  /// - Returns: the token of the one that may load now; nil where another does.
  nonisolated(nonsending) func lock(_ id: String) async throws(RedisError) -> [UInt8]? {
    let token = Array(
      String(UInt128.random(in: .min ... .max), radix: 16).utf8)
    let answer = try await client.call(
      RedisCommand(
        "SET", RedisArgument(config.key.lock(of: id)), RedisArgument(token), "NX", "PX",
        RedisArgument(config.lockMilliseconds)))
    return answer.isNull ? nil : token
  }

  /// Stores what was loaded, if the lock is still the token's, and gives it back.
  ///
  /// - Parameter value: nil gives the lock back alone.
  nonisolated(nonsending) func finish(
    _ id: String, token: [UInt8], value: [UInt8]?, ttlMilliseconds: UInt64
  ) async throws(RedisError) {
    _ = try await client.run(
      Self.finishing,
      keys: [RedisArgument(config.key.value(of: id)), RedisArgument(config.key.lock(of: id))],
      arguments: [
        RedisArgument(token), RedisArgument(ttlMilliseconds), RedisArgument(value ?? []),
      ])
  }

  /// Takes the value away for everybody, and tells all nodes.
  nonisolated(nonsending) func remove(_ id: String) async throws(RedisError) {
    _ = try await client.run(
      Self.removing,
      keys: [RedisArgument(config.key.value(of: id)), RedisArgument(config.key.lock(of: id))],
      arguments: [RedisArgument(config.channel), RedisArgument(id)])
  }

  private static let finishing = RedisScript(
    """
    if redis.call('GET', KEYS[2]) ~= ARGV[1] then return 0 end
    if ARGV[3] ~= '' then redis.call('SET', KEYS[1], ARGV[3], 'PX', ARGV[2]) end
    return redis.call('DEL', KEYS[2])
    """)

  private static let removing = RedisScript(
    """
    redis.call('DEL', KEYS[1], KEYS[2])
    return redis.call('PUBLISH', ARGV[1], ARGV[2])
    """)
}
