internal import CLinux
internal import Glibc

/// Whether a folder can hold a store; makes what is missing in it.
///
/// The crash rules of `BlobStore` need hard links and renames between `incoming/`, `blobs/` and `quarantine/`, and the
/// index needs a local filesystem. Each is tried here rather than assumed, so that a wrong mount is a sentence at the
/// start and not a failed upload later.
public enum LayoutCheck {
  /// Folders below the storage folder.
  static let folders = ["blobs", "incoming", "quarantine", "index"]

  /// Makes the folders and tries what the store will do in them.
  ///
  /// Throws `.unsuitable` for folders on several filesystems, on a network filesystem, or without hard links; `.io`
  /// for what cannot be written; `.full` where there is no room for the folders themselves.
  public static func prepare(_ path: String) throws(StoreError) {
    do throws(StoreError) {
      if try Disk.makeDirectory(path) { try Disk.syncDirectory(parent(of: path)) }
    } catch {
      throw StoreError(
        error.code == .notFound ? .unsuitable : error.code, operation: "make storage folder",
        underlying: error.underlying,
        message: error.code == .notFound
          ? "the folder above the storage folder does not exist: make it or correct the setting"
          : error.message, context: path)
    }
    for folder in folders { try Disk.makeDirectory("\(path)/\(folder)") }
    try checkFilesystems(path)
    try tryLinking(path)
    try Disk.syncDirectory(path)
  }

  /// The folder that holds the name of a path.
  private static func parent(of path: String) -> String {
    let above = path.split(separator: "/").dropLast().joined(separator: "/")
    if !above.isEmpty { return path.hasPrefix("/") ? "/" + above : above }
    return path.hasPrefix("/") ? "/" : "."
  }

  private static func checkFilesystems(_ path: String) throws(StoreError) {
    let incoming = try Disk.status("\(path)/incoming")
    for folder in ["blobs", "quarantine"] {
      guard let status = try Disk.status("\(path)/\(folder)"), status.device == incoming?.device else {
        throw StoreError(
          .unsuitable, operation: "check storage",
          message:
            "incoming, blobs and quarantine must lie on one filesystem: mount the whole storage folder "
            + "instead of a part of it", context: "\(path)/\(folder)")
      }
    }
    // NFS, SMB, SMB2, CIFS, AFS: their memory maps and locks do not keep an index whole.
    let networks: Set<UInt32> = [0x6969, 0x517b, 0xfe53_4d42, 0xff53_4d42, 0x5346_414f]
    if networks.contains(clinux_filesystem_type("\(path)/index")) {
      throw StoreError(
        .unsuitable, operation: "check storage",
        message: "the index cannot lie on a network filesystem: use a local disk for storage/index",
        context: path)
    }
  }

  private static func tryLinking(_ path: String) throws(StoreError) {
    let linked = "\(path)/blobs/.check-\(getpid())-\(UInt32.random(in: .min ... .max))"
    do throws(StoreError) {
      let file = try IncomingFile(folder: "\(path)/incoming")
      guard try Disk.link(file.path, to: linked) else { return }
    } catch {
      // A full disk must not keep a store from opening: removing things is what it is opened for then.
      if error.code == .full { return }
      if [EPERM, EXDEV, EOPNOTSUPP, EMLINK].contains(error.underlying) {
        throw StoreError(
          .unsuitable, operation: "check storage", underlying: error.underlying,
          message: "the storage filesystem has no hard links: use ext4, XFS, Btrfs, ZFS or tmpfs",
          context: path
        )
      }
      throw error
    }
    try Disk.remove(linked)
  }
}
