import HTTP

/// Parses `text` in one go; nothing after it.
func parse(_ text: String, limits: HTTPLimits = HTTPLimits()) -> HeadSnapshot {
  parse(Array(text.utf8), limits: limits)
}

func parse(_ bytes: [UInt8], limits: HTTPLimits = HTTPLimits()) -> HeadSnapshot {
  var head = RequestHead(limits: limits)
  return bytes.withUnsafeBytes { HTTPInvariants.parse($0, &head) }
}

/// Parses `text` byte by byte, each prefix in memory of its own.
func parseByteByByte(_ bytes: [UInt8], limits: HTTPLimits = HTTPLimits()) -> HeadSnapshot {
  var head = RequestHead(limits: limits)
  var progress = ParseProgress()
  for count in 1...max(1, bytes.count) {
    let prefix = [UInt8](bytes.prefix(count))
    let seen = prefix.withUnsafeBytes { buffer in
      let result = head.parse(buffer, resuming: &progress)
      return HeadSnapshot(head, result)
    }
    if seen.result != .incomplete { return seen }
  }
  return HeadSnapshot(head, .incomplete)
}

/// The error's code, or `nil` if the head is complete or incomplete.
func failure(_ seen: HeadSnapshot) -> RequestError.Code? {
  if case .failed(let error) = seen.result { error.code } else { nil }
}

func isComplete(_ seen: HeadSnapshot) -> Bool {
  if case .complete = seen.result { true } else { false }
}

/// A head with `line` as request line and these field lines.
func request(_ line: String, _ fields: String...) -> String {
  ([line] + fields).map { $0 + "\r\n" }.joined() + "\r\n"
}

/// A head of `GET TARGET` for some host.
func get(_ target: String) -> String { request("GET \(target) HTTP/1.1", "Host: a") }

func text(_ bytes: [UInt8]) -> String { String(decoding: bytes, as: Unicode.UTF8.self) }

func string(_ span: Span<UInt8>?) -> String? {
  guard let span else { return nil }
  return text(bytes(span))
}
