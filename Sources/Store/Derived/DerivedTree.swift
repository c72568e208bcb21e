internal import Glibc

/// The whole of `derived/`, whoever owns what in it: for the collector.
enum DerivedTree {
  /// Removes what was derived from assets and generations that the catalog does not have. Files are removed by name and
  /// folders only when empty, so that what is not ours stays.
  ///
  /// - Parameter isKept: asked for each site, asset and generation with a folder.
  /// - Returns: how many files went, or would go.
  static func collect(
    _ storage: String, isDryRun: Bool,
    isKept: (_ site: String, _ asset: String, _ generation: Generation) throws(StoreError) -> Bool
  ) throws(StoreError) -> Int {
    var removed = 0
    let root = "\(storage)/\(DerivedFiles.folderName)"
    for owner in try folders(in: root) {
      for site in try folders(in: "\(root)/\(owner)") {
        for asset in try folders(in: "\(root)/\(owner)/\(site)") {
          let folder = "\(root)/\(owner)/\(site)/\(asset)"
          for name in try folders(in: folder) {
            guard let generation = Generation(hex: name), try !isKept(site, asset, generation) else {
              continue
            }
            removed += try removeFiles(in: "\(folder)/\(name)", isDryRun: isDryRun)
            if !isDryRun { rmdir("\(folder)/\(name)") }
          }
          if !isDryRun { rmdir(folder) }
        }
      }
    }
    return removed
  }

  /// Removes the folder of an asset.
  static func removeAsset(_ folder: String) throws(StoreError) {
    for name in try folders(in: folder) where Generation(hex: name) != nil {
      _ = try removeFiles(in: "\(folder)/\(name)", isDryRun: false)
      rmdir("\(folder)/\(name)")
    }
    rmdir(folder)
  }

  private static func folders(in path: String) throws(StoreError) -> [String] {
    try Disk.names(in: path).filter(DerivedFiles.isSound)
  }

  private static func removeFiles(in folder: String, isDryRun: Bool) throws(StoreError) -> Int {
    var count = 0
    for name in try Disk.names(in: folder) where DerivedFiles.isSound(name) {
      if isDryRun {
        count += 1
      } else if try Disk.remove("\(folder)/\(name)") {
        count += 1
      }
    }
    return count
  }
}
