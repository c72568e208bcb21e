/// Why a request cannot be taken: a stable code, the status to answer with, and a sentence.
///
/// Whatever the code, the boundary to a next request can no longer be trusted: answer, then close.
public struct RequestError: Error, Sendable, Equatable {
  /// What is wrong. The raw value is the stable name for logs, metrics and problem documents.
  public enum Code: String, Sendable, CaseIterable {
    case bareLineFeed = "bare-line-feed"
    case bareCarriageReturn = "bare-carriage-return"
    case controlCharacter = "control-character"
    case tooManyEmptyLines = "too-many-empty-lines"
    case malformedRequestLine = "malformed-request-line"
    case malformedMethod = "malformed-method"
    case malformedTarget = "malformed-target"
    case malformedEscape = "malformed-escape"
    case forbiddenEscape = "forbidden-escape"
    case backslashInPath = "backslash-in-path"
    case pathAboveRoot = "path-above-root"
    case malformedVersion = "malformed-version"
    case unsupportedVersion = "unsupported-version"
    case requestLineTooLong = "request-line-too-long"
    case headerBlockTooLarge = "header-block-too-large"
    case tooManyFields = "too-many-fields"
    case foldedField = "folded-field"
    case malformedFieldName = "malformed-field-name"
    case missingHost = "missing-host"
    case duplicateHost = "duplicate-host"
    case malformedHost = "malformed-host"
    case transferEncodingWithLength = "transfer-encoding-with-length"
    case transferEncodingInOldVersion = "transfer-encoding-in-old-version"
    case malformedTransferEncoding = "malformed-transfer-encoding"
    case unsupportedTransferCoding = "unsupported-transfer-coding"
    case duplicateContentLength = "duplicate-content-length"
    case malformedContentLength = "malformed-content-length"
    case unsupportedExpectation = "unsupported-expectation"
    case malformedChunk = "malformed-chunk"
    case chunkExtensionsTooLong = "chunk-extensions-too-long"
    case malformedTrailer = "malformed-trailer"
    case trailersTooLong = "trailers-too-long"
    /// Not found by a parser: the head or body did not arrive in time.
    case timeout = "request-timeout"
    /// Not found by a parser: the body is larger than its receiver takes.
    case contentTooLarge = "content-too-large"
  }

  public var code: Code

  public init(_ code: Code) { self.code = code }

  /// The status to answer with.
  public var status: UInt16 {
    switch code {
    case .timeout: 408
    case .contentTooLarge, .chunkExtensionsTooLong: 413
    case .requestLineTooLong: 414
    case .unsupportedExpectation: 417
    case .headerBlockTooLarge, .tooManyFields, .trailersTooLong: 431
    case .unsupportedTransferCoding: 501
    case .unsupportedVersion: 505
    default: 400
    }
  }

  /// One sentence for the client; it repeats nothing that the client sent.
  public var message: StaticString {
    switch code {
    case .bareLineFeed: "A line ends in LF alone; lines end in CRLF."
    case .bareCarriageReturn: "A CR is not followed by LF."
    case .controlCharacter: "The head holds a control character."
    case .tooManyEmptyLines: "More than two empty lines precede the request line."
    case .malformedRequestLine: "The request line is not method, target and version, one space apart."
    case .malformedMethod: "The method is not a token."
    case .malformedTarget: "The request target has no form that this method allows."
    case .malformedEscape: "The path holds a % that two hexadecimal digits do not follow."
    case .forbiddenEscape: "The path holds %00, %2F or %5C."
    case .backslashInPath: "The path holds a backslash."
    case .pathAboveRoot: "The path leads above the root."
    case .malformedVersion: "The version is not HTTP/1.0 or HTTP/1.1."
    case .unsupportedVersion: "Only HTTP/1 is spoken here."
    case .requestLineTooLong: "The request line is too long."
    case .headerBlockTooLarge: "The header fields are too long together."
    case .tooManyFields: "There are too many header fields."
    case .foldedField: "A field line begins with white space."
    case .malformedFieldName: "A field name is not a token followed by a colon."
    case .missingHost: "HTTP/1.1 needs a Host field."
    case .duplicateHost: "There is more than one Host field."
    case .malformedHost: "The host is not a name or address with an optional port."
    case .transferEncodingWithLength: "Transfer-Encoding and Content-Length exclude each other."
    case .transferEncodingInOldVersion: "HTTP/1.0 has no Transfer-Encoding."
    case .malformedTransferEncoding: "The transfer coding must be chunked, once and last."
    case .unsupportedTransferCoding: "The only transfer coding spoken here is chunked."
    case .duplicateContentLength: "There is more than one Content-Length."
    case .malformedContentLength: "Content-Length is not a decimal number below 2^64."
    case .unsupportedExpectation: "The only expectation met here is 100-continue."
    case .malformedChunk: "The chunked body is malformed."
    case .chunkExtensionsTooLong: "The chunk extensions are too long together."
    case .malformedTrailer: "A trailer field is malformed."
    case .trailersTooLong: "The trailer fields are too long together."
    case .timeout: "The request did not arrive in time."
    case .contentTooLarge: "The request body is too large."
    }
  }
}
