import HTTP

/// What a token has to open.
struct TokenRequest: Sendable {
  /// Where players ask, as far as schemes that sign whole URLs need to know.
  struct Origin: Sendable, Equatable {
    var scheme: String
    /// Lower case, without a port.
    var host: String
    var port: UInt16
  }

  /// `GET` or `HEAD`, or what else got as far as here.
  let method: String
  /// Normalised, escapes and all, as routing has it.
  let path: [UInt8]
  /// The same with its escapes undone.
  let decodedPath: [UInt8]
  let query: QueryParameters
  /// Of the Host field: lower case, without a port.
  let host: String
  private let port: UInt16?
  let nowSeconds: Int64

  /// Nil for a path that no token can open: its escapes stand for what is not UTF-8, or for control characters.
  init?(_ request: borrowing RequestHead, nowSeconds: Int64) {
    let path = [UInt8](copying: request.path)
    var decoded = path
    if path.contains(UInt8(ascii: "%")) {
      guard let undone = PercentDecoding.decode(path.span),
        !undone.contains(where: { $0 < 0x20 || $0 == 0x7F })
      else { return nil }
      decoded = undone
    }
    self.path = path
    decodedPath = decoded
    var sent: [UInt8] = []
    // Players put their own data behind whatever URL they are given: no part of what was signed.
    if let query = request.query { sent = CMCD.strip(from: [UInt8](copying: query)) }
    query = QueryParameters(sent)
    method = "\(request.method.name)"
    host = String(decoding: [UInt8](copying: request.host).map { lowerCased($0) }, as: UTF8.self)
    port = request.hostPort
    self.nowSeconds = nowSeconds
  }

  /// `/v/{id}/` for what lies below an asset.
  var assetPath: [UInt8]? {
    guard path.starts(with: "/v/".utf8), let end = path[3...].firstIndex(of: 0x2F), end > 3 else {
      return nil
    }
    return Array(path[...end])
  }

  /// The places at which this request may have been meant to arrive: those that are configured, else the request's own
  /// host under both schemes, since whoever ends TLS in front of us does not say which it was.
  func origins(_ publicURLs: [String]) -> [Origin] {
    guard publicURLs.isEmpty else { return publicURLs.compactMap { Origin($0) } }
    return ["https", "http"].map { scheme in
      Origin(scheme: scheme, host: host, port: port ?? Origin.defaultPort(scheme))
    }
  }
}

extension TokenRequest.Origin {
  static func defaultPort(_ scheme: String) -> UInt16 { scheme == "https" ? 443 : 80 }

  /// `https://cdn.example.com:8443`, without a path; nil for anything else.
  init?(_ text: String) {
    guard let colon = text.firstRange(of: "://"), ["http", "https"].contains(text[..<colon.lowerBound]) else {
      return nil
    }
    scheme = String(text[..<colon.lowerBound])
    var authority = text[colon.upperBound...]
    port = Self.defaultPort(scheme)
    if let colon = authority.lastIndex(of: ":"), !authority.hasSuffix("]") {
      guard let number = UInt16(authority[authority.index(after: colon)...]) else { return nil }
      port = number
      authority = authority[..<colon]
    }
    guard authority != "*", let normal = HostName.normal(String(authority)) else { return nil }
    host = normal
  }
}
