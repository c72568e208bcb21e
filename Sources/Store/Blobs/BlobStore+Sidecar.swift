internal import Glibc

extension BlobStore {
  static let sidecarSuffix = ".index"

  /// The sidecar's file; it need not exist.
  public func sidecarPath(of id: BlobID) -> String { path(of: id) + BlobStore.sidecarSuffix }

  /// Puts derived data beside a blob, replacing what was there; readers see the old or the new, never a mix.
  ///
  /// Durable when this returns. The blob itself need not be stored yet; the collector removes sidecars of blobs
  /// that are gone.
  public func writeSidecar(_ id: BlobID, _ bytes: [UInt8]) throws(StoreError) {
    try write(bytes, beside: id, suffix: BlobStore.sidecarSuffix)
  }

  func writeSums(_ id: BlobID, _ sums: BlobSums) throws(StoreError) {
    try write(sums.encoded(), beside: id, suffix: BlobSums.suffix)
  }

  /// Nil where there are none, or none that are whole.
  func sums(of id: BlobID, sizeBytes: UInt64) throws(StoreError) -> BlobSums? {
    let file = try BlobFile(path: path(of: id) + BlobSums.suffix, operation: "open sums")
    return BlobSums(decoding: try file.readAll(), sizeBytes: sizeBytes)
  }

  private func write(_ bytes: [UInt8], beside id: BlobID, suffix: String) throws(StoreError) {
    let file = try IncomingFile(folder: incomingPath)
    let result = bytes.withUnsafeBytes { bytes in
      Result { () throws(StoreError) in try Disk.write(bytes, to: file.descriptor, path: file.path) }
    }
    try result.get()
    fchmod(file.descriptor.number, 0o444)
    try Disk.sync(file.descriptor, path: file.path)
    try makeFolderDurable(of: id)
    try Disk.rename(file.path, to: path(of: id) + suffix)
    try Disk.syncDirectory(folderPath(of: id))
  }

  /// Opens the sidecar of a blob, `nil` where there is none.
  public func openSidecar(_ id: BlobID) throws(StoreError) -> BlobFile? {
    do throws(StoreError) {
      return try BlobFile(path: sidecarPath(of: id), operation: "open sidecar")
    } catch {
      if error.code == .notFound { return nil }
      throw error
    }
  }
}
