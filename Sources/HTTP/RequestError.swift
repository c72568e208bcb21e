/// Why a request cannot be taken: a stable code, the status to answer with, and a sentence.
///
/// Whatever the code, the boundary to a next request can no longer be trusted: answer, then close.
public struct RequestError: Error, Sendable, Equatable {
  /// What is wrong. The raw value is the stable name for logs, metrics and problem documents.
  public enum Code: String, Sendable, CaseIterable {
    case bareLineFeed = "bare_line_feed"
    case bareCarriageReturn = "bare_carriage_return"
    case controlCharacter = "control_character"
    case tooManyEmptyLines = "too_many_empty_lines"
    case malformedRequestLine = "malformed_request_line"
    case malformedMethod = "malformed_method"
    case malformedTarget = "malformed_target"
    case malformedEscape = "malformed_escape"
    case forbiddenEscape = "forbidden_escape"
    case backslashInPath = "backslash_in_path"
    case pathAboveRoot = "path_above_root"
    case malformedVersion = "malformed_version"
    case unsupportedVersion = "unsupported_version"
    case requestLineTooLong = "request_line_too_long"
    case headerBlockTooLarge = "header_block_too_large"
    case tooManyFields = "too_many_fields"
    case foldedField = "folded_field"
    case malformedFieldName = "malformed_field_name"
    case missingHost = "missing_host"
    case duplicateHost = "duplicate_host"
    case malformedHost = "malformed_host"
    case transferEncodingWithLength = "transfer_encoding_with_length"
    case transferEncodingInOldVersion = "transfer_encoding_in_old_version"
    case malformedTransferEncoding = "malformed_transfer_encoding"
    case unsupportedTransferCoding = "unsupported_transfer_coding"
    case duplicateContentLength = "duplicate_content_length"
    case malformedContentLength = "malformed_content_length"
    case unsupportedExpectation = "unsupported_expectation"
    case malformedChunk = "malformed_chunk"
    case chunkExtensionsTooLong = "chunk_extensions_too_long"
    case malformedTrailer = "malformed_trailer"
    case trailersTooLong = "trailers_too_long"
    /// Not found by a parser: the head or body did not arrive in time.
    case timeout = "request_timeout"
    /// Not found by a parser: the body is larger than its receiver takes.
    case contentTooLarge = "content_too_large"
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
