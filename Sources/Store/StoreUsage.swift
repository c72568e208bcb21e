internal import CLMDB

/// How full a store is.
public struct StoreUsage: Sendable, Equatable {
  /// Bytes of the index in use, and most that it may ever hold.
  public var usedBytes: UInt64
  public var mapBytes: UInt64
  public var assets: UInt64
  public var files: UInt64
  public var blobs: UInt64
}

extension Store {
  /// Counts from the index's own bookkeeping; no scan. Throws `.io` where the index can't be read.
  public func usage() throws(StoreError) -> StoreUsage {
    var info = MDB_envinfo()
    var environment = MDB_stat()
    guard mdb_env_info(index.handle, &info) == 0, mdb_env_stat(index.handle, &environment) == 0 else {
      throw StoreError(.io, operation: "index usage", message: "the index does not tell how full it is")
    }
    let transaction = try index.beginRead()
    return StoreUsage(
      usedBytes: (UInt64(info.me_last_pgno) + 1) * UInt64(environment.ms_psize),
      mapBytes: UInt64(info.me_mapsize),
      assets: Store.entries(transaction.handle, tables.assets),
      files: Store.entries(transaction.handle, tables.files),
      blobs: Store.entries(transaction.handle, tables.blobs))
  }

  private static func entries(_ transaction: OpaquePointer, _ table: Table) -> UInt64 {
    var statistics = MDB_stat()
    return mdb_stat(transaction, table.number, &statistics) == 0 ? UInt64(statistics.ms_entries) : 0
  }
}
