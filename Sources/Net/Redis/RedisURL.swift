// The URLs that say where Redis is
//
//     redis://[user[:password]@]host[:6379][/database]
//     redis+unix://[user[:password]@]/path/of/socket[?db=database]
//     redis-sentinel://[user[:password]@]host[:26379],host[:26379],…/primary[/database][?sentinel_user=…&sentinel_password=…]
//     redis-cluster://[user[:password]@]host[:6379],host[:6379],…
//
// `redis://:password@host` is the password of the default user. User, password and the values of options are
// percent-decoded; anything unexpected is an error that names the part and never repeats it, since it may be a secret.
// `rediss://` (TLS) is understood and refused: hiredis 0.14, which Debian 12 has, can't speak it.

extension RedisConfiguration {
  /// - Throws: ``RedisError/Code/configurationInvalid``, saying what to write.
  public init(url: String) throws(RedisError) {
    guard let colon = url.firstRange(of: "://") else { throw Self.invalid("write redis://host:6379") }
    let scheme = url[..<colon.lowerBound].lowercased()
    var rest = url[colon.upperBound...]
    guard rest.utf8.allSatisfy({ (0x21...0x7E).contains($0) }) else {
      throw Self.invalid("it has characters that must be percent-encoded")
    }
    let options = try Self.options(of: rest.firstIndex(of: "?").map { rest[rest.index(after: $0)...] } ?? "")
    rest = rest[..<(rest.firstIndex(of: "?") ?? rest.endIndex)]
    guard !rest.contains("#") else { throw Self.invalid("it has a fragment") }
    // In front of the path only: a path may hold any character.
    let authorityEnd = rest.firstIndex(of: "/") ?? rest.endIndex
    var authority = rest[..<authorityEnd]
    let path = rest[authorityEnd...]
    var user: String?
    var password: String?
    if let at = authority.lastIndex(of: "@") {
      let sign = authority[..<at]
      authority = authority[authority.index(after: at)...]
      let parts = sign.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
      let name = try Self.decoded(parts[0], "the user")
      user = name.isEmpty ? nil : name
      password = parts.count > 1 ? try Self.decoded(parts[1], "the password") : nil
      guard user == nil || password != nil else {
        throw Self.invalid("a user needs a password: write user:password@")
      }
    }
    let segments = path.dropFirst().split(separator: "/", omittingEmptySubsequences: false)
    var allowed: Set<String> = []
    switch scheme {
    case "redis":
      let hosts = try Self.hosts(authority, port: 6379)
      guard hosts.count == 1 else {
        throw Self.invalid("redis:// has one host; for several write redis-sentinel:// or redis-cluster://")
      }
      guard segments.count <= 1 else { throw Self.invalid("after the host comes the number of the database") }
      self.init(place: .server(hosts[0]))
      database = try Self.database(segments.first ?? "")
    case "redis+unix":
      guard authority.isEmpty, path.utf8.count > 1 else {
        throw Self.invalid("write redis+unix:///path/of/socket")
      }
      self.init(place: .socket(path: try Self.decoded(path, "the path")))
      allowed = ["db"]
      database = try Self.database(options["db"].map { $0[...] } ?? "")
    case "redis-sentinel":
      let hosts = try Self.hosts(authority, port: 26379)
      guard (1...2).contains(segments.count), let primary = segments.first, !primary.isEmpty else {
        throw Self.invalid(
          "after the sentinels comes the primary's name: redis-sentinel://host:26379/mymaster")
      }
      self.init(place: .sentinels(hosts, primary: try Self.decoded(primary, "the primary's name")))
      allowed = ["sentinel_user", "sentinel_password"]
      database = try Self.database(segments.count > 1 ? segments[1] : "")
      sentinelUser = options["sentinel_user"]
      sentinelPassword = options["sentinel_password"]
      guard sentinelUser == nil || sentinelPassword != nil else {
        throw Self.invalid("sentinel_user needs sentinel_password")
      }
    case "redis-cluster":
      guard segments.allSatisfy({ $0.isEmpty || $0 == "0" }) else {
        throw Self.invalid("a cluster has database 0 only")
      }
      self.init(place: .cluster(try Self.hosts(authority, port: 6379)))
    case "rediss":
      throw Self.invalid(
        "rediss:// needs TLS, which the hiredis library here (0.14) can't do; reach Redis by a private network, a unix "
          + "socket, or a TLS tunnel such as stunnel on this machine")
    default: throw Self.invalid("write redis://, redis+unix://, redis-sentinel:// or redis-cluster://")
    }
    if let unknown = options.keys.sorted().first(where: { !allowed.contains($0) }) {
      throw Self.invalid("\(scheme):// has no option \(unknown)")
    }
    self.user = user
    self.password = password
  }

  private static func invalid(_ detail: String) -> RedisError {
    RedisError(.configurationInvalid, detail: detail)
  }

  private static func hosts(_ text: Substring, port: UInt16) throws(RedisError) -> [Host] {
    var hosts: [Host] = []
    for part in text.split(separator: ",", omittingEmptySubsequences: false) {
      hosts.append(try host(part, port: port))
    }
    return hosts
  }

  static func host(_ text: Substring, port defaultPort: UInt16) throws(RedisError) -> Host {
    var name = text
    var port = defaultPort
    let afterBracket = text.lastIndex(of: "]").map { text[$0...] } ?? text
    if let colon = afterBracket.lastIndex(of: ":") {
      let digits = text[text.index(after: colon)...]
      guard let number = UInt16(digits), number > 0, digits.utf8.allSatisfy({ (0x30...0x39).contains($0) })
      else { throw invalid("a port is a number from 1 to 65535") }
      port = number
      name = text[..<colon]
    }
    if name.first == "[", name.last == "]" {
      name = name.dropFirst().dropLast()
    } else if name.contains(":") {
      throw invalid("an IPv6 address stands in brackets")
    }
    guard !name.isEmpty, name.utf8.count <= 253, !name.utf8.contains(where: { "[]@/%".utf8.contains($0) })
    else { throw invalid("a host is missing or is no host") }
    return Host(name: String(name), port: port)
  }

  private static func database(_ text: Substring) throws(RedisError) -> Int {
    guard !text.isEmpty else { return 0 }
    guard let number = Int(text), (0...65535).contains(number), text.first != "+" else {
      throw invalid("the database is a number")
    }
    return number
  }

  private static func options(of query: Substring) throws(RedisError) -> [String: String] {
    var options: [String: String] = [:]
    for part in query.split(separator: "&") {
      let sides = part.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
      let name = String(sides[0])
      guard sides.count == 2, options[name] == nil else {
        throw invalid("an option is written name=value, once")
      }
      options[name] = try decoded(sides[1], "an option")
    }
    return options
  }

  /// RFC 3986 §2.1.
  private static func decoded(_ text: Substring, _ part: String) throws(RedisError) -> String {
    var bytes: [UInt8] = []
    var rest = text.utf8[...]
    while let byte = rest.popFirst() {
      guard byte == UInt8(ascii: "%") else {
        bytes.append(byte)
        continue
      }
      let digits = rest.prefix(2)
      rest = rest.dropFirst(2)
      guard digits.count == 2, let value = UInt8(Substring(digits), radix: 16), digits.first != 0x2B else {
        throw invalid("\(part) has a percent sign that two hexadecimal digits must follow")
      }
      bytes.append(value)
    }
    guard let decoded = String(validating: bytes, as: UTF8.self) else {
      throw invalid("\(part) is not UTF-8")
    }
    return decoded
  }
}
