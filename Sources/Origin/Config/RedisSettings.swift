// Where a plugin finds Redis, and who it is there: the keys that every section of such a plugin has, and what they come to.
//
//     [plugins.NAME]
//     url = "redis://cache.internal:6379/0"      also redis+unix://, redis-sentinel://, redis-cluster://
//     user = "origin"
//     password_file = "secrets/redis.password"
//
// A password never stands in the file itself, so a URL with one is refused, and what refuses it does not repeat it.

public import Net

/// The settings of one Redis, as part of a plugin's section.
///
/// ```swift
/// ConfigSection("redis", "…", keys: RedisSettings.keys() + […], validate: RedisSettings.complaints)
/// let client = RedisClient(loop: host.loop, workers: host.workers, configuration: RedisSettings.configuration(settings))
/// ```
public enum RedisSettings {
  /// - Parameters:
  ///   - url: the default; empty is accepted where it is the default, and then means that there is no Redis.
  ///   - commandTimeout: the default of `command_timeout`, a duration of at most 500 ms.
  public static func keys(
    url: String = "redis://127.0.0.1:6379/0", commandTimeout: String = "100ms"
  ) -> [ConfigKey] {
    [
      .string(
        "url", default: url, text(mayBeEmpty: url.isEmpty),
        "Where Redis is: `redis://host:6379/0`, `redis+unix:///path`, `redis-sentinel://host,host/primary` or `redis-cluster://host,host`. docs/REDIS.md tells more."
          + (url.isEmpty ? " Empty: there is none." : ""),
        example: "redis-sentinel://10.0.0.1,10.0.0.2/mymaster/0"),
      .string(
        "user", default: "", .any, "The user of Redis' access control list. Empty: the default user.",
        example: "origin"),
      .secret("password", isRequired: false, "The password of that user."),
      .string(
        "sentinel_user", default: "", .any, "The user at the sentinels. Empty: the default user.",
        example: "sentinel"),
      .secret(
        "sentinel_password", isRequired: false, "The password at the sentinels, where they ask for one."),
      .duration(
        "connect_timeout", default: "500ms", from: "10ms", to: "10s",
        "Until a connection stands and has signed in. A call that waits for it ends with its own time.",
        example: "1s"),
      .duration(
        "command_timeout", default: commandTimeout, from: "1ms", to: "500ms",
        "How long a call may take, the wait for a connection included. Then Redis counts as failed for that call.",
        example: "50ms"),
    ]
  }

  /// The rules over several keys: for `validate` of the section.
  @Sendable
  public static func complaints(_ table: ConfigTable) -> [ConfigComplaint] {
    var found: [ConfigComplaint] = []
    for (user, password) in [("user", "password"), ("sentinel_user", "sentinel_password")]
    where !table.string(user).isEmpty && table.secret(password) == nil {
      found.append(
        ConfigComplaint(
          at: [.key(user)], "a user needs a password: set \(password)_file or \(password)_env",
          code: .missingKey))
    }
    for name in ["password", "sentinel_password"] {
      guard let secret = table.secret(name) else { continue }
      if String(validating: secret.bytes, as: UTF8.self)?.isEmpty ?? true {
        found.append(
          ConfigComplaint(at: [.key(name)], "the password is empty or not UTF-8", code: .secret))
      }
    }
    return found
  }

  /// What the settings come to; nil where `url` is empty.
  public static func configuration(_ table: ConfigTable) -> RedisConfiguration? {
    // The key has been checked with the same reader.
    guard var configuration = try? RedisConfiguration(url: table.string("url")) else { return nil }
    func password(_ name: String) -> String? {
      table.secret(name).map { String(decoding: $0.bytes, as: UTF8.self) }
    }
    func user(_ name: String) -> String? {
      let text = table.string(name)
      return text.isEmpty ? nil : text
    }
    configuration.user = user("user")
    configuration.password = password("password")
    configuration.sentinelUser = user("sentinel_user")
    configuration.sentinelPassword = password("sentinel_password")
    configuration.connectTimeoutMilliseconds = UInt64(table.durationMilliseconds("connect_timeout"))
    configuration.commandTimeoutMilliseconds = UInt64(table.durationMilliseconds("command_timeout"))
    return configuration
  }

  private static func text(mayBeEmpty: Bool) -> ConfigText {
    ConfigText("a URL of Redis") { text in
      if text.isEmpty, mayBeEmpty { return .accepted(text) }
      let behindScheme = text.firstRange(of: "://").map { text[$0.upperBound...] } ?? text[...]
      if behindScheme.prefix(while: { $0 != "/" && $0 != "?" }).contains("@") {
        return .refused(
          reason: "user and password do not stand in the URL: set user, and password_file or password_env")
      }
      do throws(RedisError) {
        let configuration = try RedisConfiguration(url: text)
        guard configuration.sentinelPassword == nil else {
          return .refused(
            reason:
              "a password does not stand in the URL: set sentinel_password_file or sentinel_password_env")
        }
        return .accepted(text)
      } catch {
        return .refused(reason: error.detail)
      }
    }
  }
}
