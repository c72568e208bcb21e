/// What lies below `blobs/`.
enum BlobEntry {
  case blob(BlobID)
  /// What is derived from a blob and lies beside it.
  case sidecar(BlobID, path: String)
  /// Something the store did not put there.
  case stranger(path: String)
}

extension BlobStore {
  /// Visits everything below `blobs/` in the order of its names; a file that goes meanwhile may be visited or not.
  func forEachEntry(
    from start: BlobID? = nil, _ body: (BlobEntry) throws(StoreError) -> ScanStep
  ) throws(StoreError) {
    let startHex = start?.hex ?? ""
    for first in try Disk.names(in: blobsPath) where first >= startHex.prefix(2) {
      guard isFolderName(first) else {
        if try body(.stranger(path: "\(blobsPath)/\(first)")) == .stop { return }
        continue
      }
      for second in try Disk.names(in: "\(blobsPath)/\(first)") where first + second >= startHex.prefix(4) {
        guard isFolderName(second) else {
          if try body(.stranger(path: "\(blobsPath)/\(first)/\(second)")) == .stop { return }
          continue
        }
        for name in try Disk.names(in: "\(blobsPath)/\(first)/\(second)") {
          let path = "\(blobsPath)/\(first)/\(second)/\(name)"
          let suffix = [BlobStore.sidecarSuffix, BlobSums.suffix].first { name.hasSuffix($0) }
          let stem = name.dropLast(suffix?.count ?? 0)
          var entry = BlobEntry.stranger(path: path)
          if let id = BlobID(hex: stem), stem.hasPrefix(first + second) {
            if let start, id < start { continue }
            entry = suffix == nil ? .blob(id) : .sidecar(id, path: path)
          }
          if try body(entry) == .stop { return }
        }
      }
    }
  }

  private func isFolderName(_ name: String) -> Bool {
    name.utf8.count == 2 && name.utf8.allSatisfy { Hex.value($0) != nil }
  }
}
