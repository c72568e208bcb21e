// Entity tags and lists of them (RFC 9110 §8.8.3, §13.1). A tag is a quoted string without escapes, so a comma
// or a backslash inside the quotes is an ordinary character and a list cannot be split at commas.

/// One entity tag as it stands in a request.
struct EntityTag: ~Escapable {
  /// The tag with its quotes, without `W/`.
  var opaque: Span<UInt8>
  var isWeak: Bool

  /// Reads the tag that begins at `position` and moves `position` behind it; `nil` if none does.
  @_lifetime(copy text)
  init?(_ text: Span<UInt8>, _ position: inout Int) {
    var start = position
    isWeak = false
    if text.count - start >= 2, text[start] == 0x57, text[start + 1] == ASCII.slash {  // "W/", case-sensitive
      isWeak = true
      start += 2
    }
    guard start < text.count, text[start] == ASCII.quote else { return nil }
    var end = start + 1
    while end < text.count, text[end] != ASCII.quote {
      // etagc = %x21 / %x23-7E / obs-text
      guard text[end] > ASCII.space, text[end] != ASCII.delete else { return nil }
      end += 1
    }
    guard end < text.count else { return nil }
    opaque = text.extracting(start..<end + 1)
    position = end + 1
  }

  /// Whether this is the strong or weak form of `current`, a quoted tag. Strong comparison (RFC 9110 §8.8.3.2)
  /// also asks that this one is not weak.
  func matches(_ current: Span<UInt8>, strongly: Bool) -> Bool {
    guard !(strongly && isWeak), opaque.count == current.count else { return false }
    for index in 0..<opaque.count where opaque[index] != current[index] { return false }
    return true
  }
}

/// What one line of `If-Match` or `If-None-Match` says about the current tag.
enum EntityTagMatch {
  case matches
  case differs
  /// The line is neither `*` nor a list of tags.
  case malformed

  /// - Parameter current: the representation's tag with its quotes; empty if it has none.
  init(_ line: Span<UInt8>, current: Span<UInt8>, strongly: Bool) {
    var found = false
    var count = 0
    var position = 0
    while true {
      // Holes in a list are legal (RFC 9110 §5.6.1.2).
      while position < line.count, Self.isSeparator(line[position]) || line[position] == ASCII.comma {
        position += 1
      }
      guard position < line.count else { break }
      guard let tag = EntityTag(line, &position) else {
        self = .malformed
        return
      }
      count += 1
      if tag.matches(current, strongly: strongly) { found = true }
      while position < line.count, Self.isSeparator(line[position]) { position += 1 }
      guard position == line.count || line[position] == ASCII.comma else {
        self = .malformed
        return
      }
    }
    self = count == 0 ? .malformed : found ? .matches : .differs
  }

  private static func isSeparator(_ byte: UInt8) -> Bool { byte == ASCII.space || byte == ASCII.tab }
}
