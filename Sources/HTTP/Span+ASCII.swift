extension Span where Element == UInt8 {
  /// Whether the bytes are those of `text`.
  public func equals(_ text: StaticString) -> Bool {
    guard count == text.utf8CodeUnitCount else { return false }
    return text.withUTF8Buffer { other in
      for index in 0..<count where self[index] != other[index] { return false }
      return true
    }
  }

  /// Whether the bytes are those of `text`, which must be in lower case, in any mixture of ASCII cases.
  public func equalsIgnoringCase(_ text: StaticString) -> Bool {
    guard count == text.utf8CodeUnitCount else { return false }
    return text.withUTF8Buffer { other in
      for index in 0..<count where ASCII.lowercase(self[index]) != other[index] { return false }
      return true
    }
  }

  /// Whether the bytes are those of `other`, which must be in lower case, in any mixture of ASCII cases.
  public func equalsIgnoringCase(_ other: Span<UInt8>) -> Bool {
    guard count == other.count else { return false }
    for index in 0..<count where ASCII.lowercase(self[index]) != other[index] { return false }
    return true
  }

  /// The bytes without the spaces and tabs at both ends (`OWS`, RFC 9110 §5.6.3).
  var trimmed: Span<UInt8> {
    @_lifetime(copy self)
    get {
      var start = 0
      var end = count
      while start < end, self[start] == ASCII.space || self[start] == ASCII.tab { start &+= 1 }
      while end > start, self[end &- 1] == ASCII.space || self[end &- 1] == ASCII.tab { end &-= 1 }
      return extracting(start..<end)
    }
  }

  /// Takes the text before the next comma, trimmed, and moves `position` behind that comma; `nil` at the end.
  ///
  /// For lists whose elements hold no quoted strings: `Connection`, `Transfer-Encoding`, `Range`.
  @_lifetime(copy self)
  func nextListElement(_ position: inout Int) -> Span<UInt8>? {
    guard position <= count else { return nil }
    var end = position
    while end < count, self[end] != ASCII.comma { end &+= 1 }
    let element = extracting(position..<end).trimmed
    position = end &+ 1
    return element
  }

  /// The eight bytes at `offset`, the first one least significant.
  @inline(__always)
  func word(at offset: Int) -> UInt64 {
    UInt64(littleEndian: unsafe bytes.unsafeLoadUnaligned(fromByteOffset: offset, as: UInt64.self))
  }

  /// The index of the first byte in `range` that is a control character other than a tab, or the end of
  /// `range`. With `onlyVisible`, tabs and bytes above 0x7E stop it too.
  ///
  /// Eight bytes at a time: subtracting 0x20 from each sets the top bit of those below it. A borrow can only
  /// come from a lower byte that is itself such a hit, so the lowest hit is always exact.
  @inline(__always)
  func indexOfControl(in range: Range<Int>, onlyVisible: Bool) -> Int {
    let tops: UInt64 = 0x8080_8080_8080_8080
    let ones: UInt64 = 0x0101_0101_0101_0101
    var index = range.lowerBound
    let end = range.upperBound
    while index &+ 8 <= end {
      let word = word(at: index)
      let delete = word ^ (ones &* 0x7F)
      var hits = (word &- (ones &* 0x20)) & ~word | (delete &- ones) & ~delete
      if onlyVisible { hits |= word }
      hits &= tops
      if hits == 0 {
        index &+= 8
        continue
      }
      index &+= hits.trailingZeroBitCount &>> 3
      if onlyVisible || self[index] != ASCII.tab { return index }
      index &+= 1
    }
    while index < end {
      let byte = self[index]
      if byte < 0x20 ? (onlyVisible || byte != ASCII.tab) : byte == 0x7F || (onlyVisible && byte > 0x7F) {
        return index
      }
      index &+= 1
    }
    return end
  }

  /// The index of the first occurrence of `byte` in `range`, or the end of `range`.
  @inline(__always)
  func index(of byte: UInt8, in range: Range<Int>) -> Int {
    let tops: UInt64 = 0x8080_8080_8080_8080
    let ones: UInt64 = 0x0101_0101_0101_0101
    var index = range.lowerBound
    while index &+ 8 <= range.upperBound {
      let difference = word(at: index) ^ (ones &* UInt64(byte))
      let hits = (difference &- ones) & ~difference & tops
      if hits != 0 { return index &+ hits.trailingZeroBitCount &>> 3 }
      index &+= 8
    }
    while index < range.upperBound, self[index] != byte { index &+= 1 }
    return index
  }
}
