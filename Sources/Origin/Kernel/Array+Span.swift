extension [UInt8] {
  /// A copy of borrowed bytes, for what must outlive the request head they lie in.
  init(copying span: Span<UInt8>) {
    self = span.withUnsafeBytes { [UInt8]($0) }
  }
}
