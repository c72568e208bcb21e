// The fuzzer's entry for everything that reads tokens: queries, CBOR, COSE, the policies of CloudFront, the fields of
// EdgeAuth. The first byte says which. Run by scripts/fuzz.sh.

@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzSigning(_ data: UnsafePointer<UInt8>?, _ size: Int) -> CInt {
  guard let data, size > 0 else { return 0 }
  let input = Array(UnsafeBufferPointer(start: data + 1, count: size - 1))
  switch data[0] {
  case UInt8(ascii: "q"): SigningFuzz.query(input)
  case UInt8(ascii: "c"):
    _ = CBORItem(input)
    _ = try? AccessClaims(input)
  case UInt8(ascii: "t"): _ = CommonAccessToken(input)
  case UInt8(ascii: "p"): _ = CloudFrontPolicy(input)
  case UInt8(ascii: "a"): SigningFuzz.edgeAuth(input)
  case UInt8(ascii: "b"): SigningFuzz.base64(input)
  case UInt8(ascii: "g"):
    let half = input.count / 2
    _ = Glob.matches(input[..<half], Array(input[half...]))
  default: break
  }
  return 0
}

private enum SigningFuzz {
  /// A token that is read has one spelling, but for its scope.
  static func query(_ input: [UInt8]) {
    let query = QueryParameters(input)
    guard case .token(let token) = HeadwaterToken.parse(query) else { return }
    precondition(HeadwaterToken.parse(QueryParameters(token.query)) == .token(token), "another token")
    if token.scope == nil {
      precondition(input.count >= token.query.count && Array(input.suffix(token.query.count)) == token.query)
    }
    precondition(query.without(Set(query.parameters.indices)).isEmpty)
  }

  static func edgeAuth(_ input: [UInt8]) {
    guard let token = AkamaiToken(input) else { return }
    precondition(input.starts(with: token.signed + Array("~hmac=".utf8)))
    for pattern in token.patterns ?? [] { _ = Glob.matches(pattern, input) }
  }

  /// What is decoded is encoded as it was.
  static func base64(_ input: [UInt8]) {
    if let bytes = StrictBase64.decodeURL(input) { precondition(StrictBase64.encodeURL(bytes) == input) }
    _ = CloudFrontPolicy.decode(input)
    let encoded = StrictBase64.encodeURL(input)
    precondition(StrictBase64.decodeURL(encoded) == input)
  }
}
