// A request head, parsed in place.
//
// Nothing is copied: the head is a set of offsets into the bytes that the connection received, plus one
// scratch buffer that holds a path whose raw form was not already the normal one. A loop owns one value and
// parses every request of every connection into it, so that a request costs no allocation.
//
//     entries   one per field line, in order: name and value as offset and length, and which known field it is
//     known     for each `KnownField`, the index of its first entry and how many there are
//     scratch   the normalised path, when it differs from the raw one
//
// Parsing is strict (RFC 9112, every leniency refused), because a difference between what a CDN and an origin
// see in the same bytes is how requests are smuggled. The verdict depends only on the bytes, never on how they
// were cut into reads: `RequestHead+Parse.swift` says how that is kept.

/// The head of one HTTP/1 request: method, target, fields and what follows from them.
///
/// Allocated once and reused; noncopyable, so that its tables have one owner. All spans point into the bytes
/// that were given to `parse`, or into this value, and are meaningless once either is gone: the caller keeps
/// the bytes in place and unchanged until the next `parse`. Before a first `.complete`, and after
/// `.incomplete`, everything is empty. After `.failed` the method, the raw target and the fields read so far
/// remain, for the log.
///
/// Measured in release on one x86-64 server core: 0.23 µs for a CDN's request of 199 bytes and 6 fields, 0.44 µs
/// for a browser's of 582 bytes and 12; no allocation.
public struct RequestHead: ~Copyable {
  /// Offsets are from the first byte given to `parse`.
  struct Entry {
    var nameOffset: UInt32
    var nameCount: UInt32
    var valueOffset: UInt32
    var valueCount: UInt32
    /// Raw value of the `KnownField`, or `Entry.unknown`.
    var known: UInt8

    static let unknown: UInt8 = 0xFF
  }

  /// Where the lines of one known field are. A buffer of these rather than an `InlineArray`, which would make
  /// the whole value depend on its address and forbid the spans below.
  struct KnownLines {
    /// Index of the first entry; meaningless while `count` is 0.
    var first: UInt16 = 0
    var count: UInt16 = 0
  }

  /// A piece of the bytes given to `parse`.
  struct Slice {
    var offset = 0
    var count = 0
  }

  /// How the body that follows the head is delimited (RFC 9112 §6.3).
  public enum BodyFraming: Sendable, Equatable {
    /// No body: neither `Content-Length` nor `Transfer-Encoding`.
    case none
    /// Exactly this many bytes, which may be 0.
    case length(UInt64)
    /// Chunks; see `ChunkedDecoder`.
    case chunked
  }

  /// The limits that heads are held to.
  public let limits: HTTPLimits

  public internal(set) var method: Method = .other
  /// 1, or 2 for a head that came as a block of fields.
  public internal(set) var versionMajor: UInt8 = 1
  /// 0 or 1 for what is spoken today; a higher minor version is answered as 1.
  public internal(set) var versionMinor: UInt8 = 1
  /// Whether the client wants the connection kept after this request (RFC 9112 §9.3).
  public internal(set) var keepAlive = false
  /// How the body is delimited.
  public internal(set) var body: BodyFraming = .none
  /// Whether the client waits for `100 Continue` before it sends a body that is not empty. Never for HTTP/1.0.
  public internal(set) var expectsContinue = false
  /// Whether the target is `*`: `OPTIONS` about the server as a whole. `path` is then `*`.
  public internal(set) var isAsteriskForm = false
  /// The port named with the host, or `nil`.
  public internal(set) var hostPort: UInt16?

  var base: UnsafePointer<UInt8>?
  var entryCount = 0
  var entries: UnsafeMutableBufferPointer<Entry>
  var known: UnsafeMutableBufferPointer<KnownLines>
  var scratch: UnsafeMutableBufferPointer<UInt8>
  var target = Slice()
  var hostSlice = Slice()
  var querySlice: Slice?
  var pathSlice = Slice()
  var pathIsInScratch = false

  /// Allocates the tables: 20 bytes per field and three bytes per byte of the longest request line.
  public init(limits: HTTPLimits) {
    self.limits = limits.clamped
    entries = .allocate(capacity: self.limits.fieldCount)
    entries.initialize(
      repeating: Entry(
        nameOffset: 0, nameCount: 0, valueOffset: 0, valueCount: 0, known: Entry.unknown))
    scratch = .allocate(capacity: 3 * self.limits.requestLineBytes + 1)
    scratch.initialize(repeating: 0)
    known = .allocate(capacity: KnownField.count)
    known.initialize(repeating: KnownLines())
  }

  deinit {
    entries.deallocate()
    known.deallocate()
    scratch.deallocate()
  }

  // MARK: Target

  /// The path in normal form: absolute, dot segments gone, needless escapes undone, the other escapes in upper
  /// case, bytes that must be escaped escaped. `//` is kept. Empty for `CONNECT`, `*` for the asterisk form.
  public var path: Span<UInt8> {
    @_lifetime(borrow self)
    get {
      guard pathIsInScratch else { return span(pathSlice) }
      let start = UnsafePointer<UInt8>(scratch.baseAddress)
      guard let start else { return _overrideLifetime(Span(), borrowing: self) }
      return unsafe _overrideLifetime(
        Span(_unsafeStart: start, count: pathSlice.count), borrowing: self)
    }
  }

  /// The target as it was sent.
  public var rawTarget: Span<UInt8> {
    @_lifetime(borrow self)
    get { span(target) }
  }

  /// What follows the first `?` of the target, untouched; `nil` where there is no `?`.
  public var query: Span<UInt8>? {
    @_lifetime(borrow self)
    get {
      guard let querySlice else { return nil }
      return span(querySlice)
    }
  }

  /// The host that is asked, without port, in the case it was sent: from an absolute-form target, else from
  /// `Host`. A name of letters, digits, `-`, `.`, `_`, `~`, or an IPv6 address in brackets. Empty only for
  /// HTTP/1.0 without `Host`.
  public var host: Span<UInt8> {
    @_lifetime(borrow self)
    get { span(hostSlice) }
  }

  // MARK: Fields

  /// Field lines in the head.
  public var fieldCount: Int { entryCount }

  /// How many lines of this field there are. O(1).
  public func fieldCount(of field: KnownField) -> Int { Int(known[Int(field.rawValue)].count) }

  /// The value of the first line of this field without surrounding white space; `nil` where there is none. O(1).
  @_lifetime(borrow self)
  public func field(_ field: KnownField) -> Span<UInt8>? {
    let lines = known[Int(field.rawValue)]
    guard lines.count > 0 else { return nil }
    return fieldValue(at: Int(lines.first))
  }

  /// The value of the first line with this name, in lower case as given here; `nil` where there is none. O(fields).
  @_lifetime(borrow self)
  public func field(named name: StaticString) -> Span<UInt8>? {
    var index = 0
    while index < entryCount, !fieldName(at: index).equalsIgnoringCase(name) { index += 1 }
    guard index < entryCount else { return nil }
    return fieldValue(at: index)
  }

  /// The value of the first line with this name, in lower case as given here; `nil` where there is none. O(fields).
  @_lifetime(borrow self)
  public func field(named name: [UInt8]) -> Span<UInt8>? {
    var index = 0
    while index < entryCount, !fieldName(at: index).equalsIgnoringCase(name.span) { index += 1 }
    guard index < entryCount else { return nil }
    return fieldValue(at: index)
  }

  /// The name of a field line, in the case it was sent.
  /// - Parameter index: below `fieldCount`.
  @_lifetime(borrow self)
  public func fieldName(at index: Int) -> Span<UInt8> {
    precondition(index >= 0 && index < entryCount, "field index out of range")
    let entry = entries[index]
    return span(Slice(offset: Int(entry.nameOffset), count: Int(entry.nameCount)))
  }

  /// The value of a field line without surrounding white space.
  /// - Parameter index: below `fieldCount`.
  @_lifetime(borrow self)
  public func fieldValue(at index: Int) -> Span<UInt8> {
    precondition(index >= 0 && index < entryCount, "field index out of range")
    let entry = entries[index]
    return span(Slice(offset: Int(entry.valueOffset), count: Int(entry.valueCount)))
  }

  /// The index of the next line of a known field, beginning the search at `index`; `nil` behind the last.
  func nextIndex(of field: KnownField, from index: Int) -> Int? {
    let lines = known[Int(field.rawValue)]
    guard lines.count > 0 else { return nil }
    var index = max(index, Int(lines.first))
    while index < entryCount {
      if entries[index].known == field.rawValue { return index }
      index += 1
    }
    return nil
  }

  @_lifetime(borrow self)
  private func span(_ slice: Slice) -> Span<UInt8> {
    guard let base, slice.count > 0 else { return _overrideLifetime(Span(), borrowing: self) }
    return unsafe _overrideLifetime(
      Span(_unsafeStart: base + slice.offset, count: slice.count), borrowing: self)
  }

  // MARK: State

  mutating func clear() {
    method = .other
    versionMajor = 1
    versionMinor = 1
    keepAlive = false
    body = .none
    expectsContinue = false
    isAsteriskForm = false
    hostPort = nil
    base = nil
    entryCount = 0
    known.update(repeating: KnownLines())
    target = Slice()
    hostSlice = Slice()
    querySlice = nil
    pathSlice = Slice()
    pathIsInScratch = false
  }
}
