internal import CLMDB

/// Whether a scan goes on.
public enum ScanStep: Sendable {
  case next
  case stop
}

/// In which order a scan or a listing goes through its keys.
public enum ScanOrder: Sendable {
  case ascending
  case descending
}

/// One state of the index, for reading; ends when dropped.
///
/// While one is open LMDB keeps every page it can see: end it soon, and never hold it across an `await` or a slow
/// client. One thread at a time.
public struct ReadTransaction: ~Copyable {
  let environment: Environment
  let handle: OpaquePointer

  init(environment: Environment, handle: OpaquePointer) {
    self.environment = environment
    self.handle = handle
  }

  deinit { mdb_txn_abort(handle) }

  var view: IndexView { IndexView(handle: handle, path: environment.path) }

  /// Grows by one with every commit of any process.
  public var id: UInt64 { UInt64(mdb_txn_id(handle)) }

  /// Gives `body` the value of a key, or returns `nil` where there is none. The bytes are the index's own memory:
  /// they end with `body`.
  public borrowing func withValue<Result>(
    _ table: Table, _ key: RawSpan,
    _ body: (UnsafeRawBufferPointer) throws(StoreError) -> Result
  ) throws(StoreError) -> Result? {
    try view.withValue(table, key, body)
  }

  /// Goes through a table from `start` (included; empty is the first or last key), in key order.
  public borrowing func scan(
    _ table: Table, from start: RawSpan, _ order: ScanOrder = .ascending,
    _ body: (_ key: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer) throws(StoreError) -> ScanStep
  ) throws(StoreError) {
    try view.scan(table, from: start, order, body)
  }

  /// Lets go of the state but keeps the reader slot, for a cheap `renew`.
  func reset() { mdb_txn_reset(handle) }

  /// After `reset`: takes up the state of the last commit.
  func renew() throws(StoreError) {
    let result = mdb_txn_renew(handle)
    guard result == 0 else { throw .index(result, operation: "renew read", path: environment.path) }
  }
}

/// A change of the index that happens as a whole at `commit`, or not at all.
///
/// Dropping it aborts. Use it on the thread that began it. After an error of `put` or `delete` it is dead: drop it.
public struct WriteTransaction: ~Copyable {
  let environment: Environment
  let handle: OpaquePointer
  private var isOpen = true

  init(environment: Environment, handle: OpaquePointer) {
    self.environment = environment
    self.handle = handle
  }

  deinit {
    if isOpen { mdb_txn_abort(handle) }
  }

  var view: IndexView { IndexView(handle: handle, path: environment.path) }

  /// As of `ReadTransaction`; the bytes also end with the next `put` or `delete`.
  public borrowing func withValue<Result>(
    _ table: Table, _ key: RawSpan,
    _ body: (UnsafeRawBufferPointer) throws(StoreError) -> Result
  ) throws(StoreError) -> Result? {
    try view.withValue(table, key, body)
  }

  /// As of `ReadTransaction`. `body` must not change the table: collect keys first, then change.
  public borrowing func scan(
    _ table: Table, from start: RawSpan, _ order: ScanOrder = .ascending,
    _ body: (_ key: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer) throws(StoreError) -> ScanStep
  ) throws(StoreError) {
    try view.scan(table, from: start, order, body)
  }

  /// Sets the value of a key of 1 to 511 bytes.
  ///
  /// Throws `.full` where map or disk have no room, `.invalid` for a key of the wrong length.
  public borrowing func put(
    _ table: Table, _ key: RawSpan, _ value: RawSpan
  ) throws(StoreError) {
    var key = MDB_val(key)
    var value = MDB_val(value)
    let result = mdb_put(handle, table.number, &key, &value, 0)
    guard result == 0 else { throw .index(result, operation: "put", path: environment.path) }
  }

  /// Sets the value of a key of 1 to 511 bytes.
  public borrowing func put(
    _ table: Table, _ key: RawSpan, _ value: [UInt8]
  ) throws(StoreError) {
    try put(table, key, value.span.bytes)
  }

  /// Removes a key; `false` where there was none.
  @discardableResult
  public borrowing func delete(_ table: Table, _ key: RawSpan) throws(StoreError) -> Bool {
    var key = MDB_val(key)
    let result = mdb_del(handle, table.number, &key, nil)
    if result == MDB_NOTFOUND { return false }
    guard result == 0 else { throw .index(result, operation: "delete", path: environment.path) }
    return true
  }

  /// Removes all keys of a table.
  borrowing func clear(_ table: Table) throws(StoreError) {
    let result = mdb_drop(handle, table.number, 0)
    guard result == 0 else { throw .index(result, operation: "clear", path: environment.path) }
  }

  /// Makes the change durable and visible. Whatever this throws, nothing of the transaction has happened.
  public consuming func commit() throws(StoreError) {
    isOpen = false
    let result = mdb_txn_commit(handle)
    guard result == 0 else { throw .index(result, operation: "commit", path: environment.path) }
  }

  borrowing func openTable(_ name: String) throws(StoreError) -> Table {
    var number: UInt32 = 0
    let result = mdb_dbi_open(handle, name, UInt32(MDB_CREATE), &number)
    guard result == 0 else { throw .index(result, operation: "open table", path: environment.path) }
    return Table(number: number)
  }
}

/// What reading and writing transactions share. Trivial and unowned: it lives as long as its transaction.
struct IndexView {
  let handle: OpaquePointer
  let path: String

  func withValue<Result>(
    _ table: Table, _ key: RawSpan,
    _ body: (UnsafeRawBufferPointer) throws(StoreError) -> Result
  ) throws(StoreError) -> Result? {
    var key = MDB_val(key)
    var value = MDB_val()
    let result = mdb_get(handle, table.number, &key, &value)
    if result == MDB_NOTFOUND { return nil }
    guard result == 0 else { throw .index(result, operation: "get", path: path) }
    return try body(UnsafeRawBufferPointer(value))
  }

  func scan(
    _ table: Table, from start: RawSpan, _ order: ScanOrder = .ascending,
    _ body: (_ key: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer) throws(StoreError) -> ScanStep
  ) throws(StoreError) {
    var opened: OpaquePointer?
    var result = mdb_cursor_open(handle, table.number, &opened)
    guard result == 0, let cursor = opened else { throw .index(result, operation: "scan", path: path) }
    defer { mdb_cursor_close(cursor) }

    var key = MDB_val(start)
    var value = MDB_val()
    switch (order, start.isEmpty) {
    case (.ascending, true): result = mdb_cursor_get(cursor, &key, &value, MDB_FIRST)
    case (.ascending, false): result = mdb_cursor_get(cursor, &key, &value, MDB_SET_RANGE)
    case (.descending, true): result = mdb_cursor_get(cursor, &key, &value, MDB_LAST)
    case (.descending, false):
      // The first key at or after `start`, which is one too far unless it is `start` itself.
      result = mdb_cursor_get(cursor, &key, &value, MDB_SET_RANGE)
      if result == MDB_NOTFOUND {
        result = mdb_cursor_get(cursor, &key, &value, MDB_LAST)
      } else if result == 0, !start.withUnsafeBytes({ UnsafeRawBufferPointer(key).elementsEqual($0) }) {
        result = mdb_cursor_get(cursor, &key, &value, MDB_PREV)
      }
    }
    let step = order == .ascending ? MDB_NEXT : MDB_PREV
    while result == 0 {
      if try body(UnsafeRawBufferPointer(key), UnsafeRawBufferPointer(value)) == .stop { return }
      result = mdb_cursor_get(cursor, &key, &value, step)
    }
    if result != MDB_NOTFOUND { throw .index(result, operation: "scan", path: path) }
  }

  func count(_ table: Table) throws(StoreError) -> Int {
    var statistics = MDB_stat()
    let result = mdb_stat(handle, table.number, &statistics)
    guard result == 0 else { throw .index(result, operation: "count", path: path) }
    return statistics.ms_entries
  }
}

extension MDB_val {
  /// Points at the span's bytes: to be used only while the span lives.
  init(_ span: RawSpan) {
    self = span.withUnsafeBytes { bytes in
      MDB_val(mv_size: bytes.count, mv_data: UnsafeMutableRawPointer(mutating: bytes.baseAddress))
    }
  }
}

extension UnsafeRawBufferPointer {
  init(_ value: MDB_val) {
    self.init(start: value.mv_data, count: value.mv_size)
  }
}
