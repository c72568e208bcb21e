internal import CLMDB
internal import CLinux
internal import Glibc

// What LMDB believes of its file, and what is therefore checked
// --------------------------------------------------------------
// LMDB follows numbers of pages and offsets in pages without looking whether they make sense. A page that a disk or a
// stray write has spoilt is thus a crash at the first lookup that meets it, or wrong records. This reads the whole tree
// before anything else does, with `pread` and bounds, and says which page is wrong.
//
// The layout of version 1 of the format (LMDB 0.9, 64-bit, little-endian):
//
//   page         8 own number   2 -   2 kind   2 lower   2 upper   2 × n offsets of nodes, up to lower; nodes from upper
//                overflow pages have their number of pages, 4 bytes, in the place of lower and upper
//   node         4 size of the data   2 kind   2 size of the key   key   data
//                in a branch the first 6 bytes are the number of the child
//                kind 1: the data is the number of a run of overflow pages; kind 2: it is a tree
//   tree         4 -   2 kind   2 depth   8 branch pages   8 leaf pages   8 overflow pages   8 entries   8 root
//   meta page    pages 0 and 1; behind the head 4 magic   4 version   8 -   8 size of the map
//                tree of free pages, whose first 4 bytes are the page size   tree of tables   8 last page   8 transaction
//
// Every page must carry its own number, be of its level's kind, be met once only, and hold nodes inside its bounds in the
// order of their keys; entries and pages must be as many as the tree says; the pages listed as free must not be in use.
// A page overwritten at random fails the first of these. What this cannot see is a changed byte inside a key or value:
// scrub decodes all records and compares blobs with their names, and a value that does not decode is an error, not a crash.
//
// The state that is checked is that of a read transaction, held meanwhile, so that writers take none of its pages.

/// Reads the structure of an index file.
struct IndexCheck: ~Copyable {
  /// What is wrong with a page.
  struct Defect: Error, Equatable {
    var page: UInt64
    var reason: String
  }

  /// Keys of a table that a defective page hides: from `lower` on, up to and without `upper`.
  struct Loss: Error, Equatable {
    var lower: [UInt8]
    var upper: [UInt8]?
    var defect: Defect

    func contains(_ key: [UInt8]) -> Bool {
      !key.lexicographicallyPrecedes(lower) && upper.map { key.lexicographicallyPrecedes($0) } ?? true
    }
  }

  /// One of the trees: that of free pages, that of tables, or a table.
  struct Tree {
    static let sizeBytes = 48
    var hasNumbersAsKeys: Bool
    var depth: Int
    var branchPages, leafPages, overflowPages, entries, root: UInt64

    init(_ bytes: UnsafeRawBufferPointer) {
      hasNumbersAsKeys = bytes.loadUnaligned(fromByteOffset: 4, as: UInt16.self) & 0x08 != 0
      depth = Int(bytes.loadUnaligned(fromByteOffset: 6, as: UInt16.self))
      branchPages = bytes.loadUnaligned(fromByteOffset: 8, as: UInt64.self)
      leafPages = bytes.loadUnaligned(fromByteOffset: 16, as: UInt64.self)
      overflowPages = bytes.loadUnaligned(fromByteOffset: 24, as: UInt64.self)
      entries = bytes.loadUnaligned(fromByteOffset: 32, as: UInt64.self)
      root = bytes.loadUnaligned(fromByteOffset: 40, as: UInt64.self)
    }
  }

  struct Meta {
    var free: Tree
    var tables: Tree
    var lastPage: UInt64
    var transaction: UInt64
  }

  private enum Kind {
    static let branch: UInt16 = 1
    static let leaf: UInt16 = 2
    static let overflow: UInt16 = 4
    static let meta: UInt16 = 8
  }

  static let metaPages: UInt64 = 2
  /// 16 TiB in the smallest pages: the largest map that the configuration takes.
  private static let mostPages: UInt64 = 1 << 32
  private static let headBytes = 16
  private static let magic: UInt32 = 0xbeef_c0de
  private static let version: UInt32 = 1
  private static let noPage = UInt64.max
  private static let deepest = 32

  private let file: BlobFile
  private let pageBytes = Int(sysconf(Int32(_SC_PAGESIZE)))
  /// One bit for each page that was met.
  private var met: [UInt64] = []
  private var lastPage: UInt64 = 0

  /// - Parameter path: the file itself. Throws `.notFound` or `.io`.
  init(path: String) throws(StoreError) { file = try BlobFile(path: path, operation: "check index") }

  /// One of the two first pages, which LMDB reads before anything else.
  func meta(_ number: UInt64) throws(Defect) -> Meta {
    let page = try bytes(of: number)
    func word<Value: FixedWidthInteger>(_ offset: Int, as type: Value.Type) -> Value {
      page.withUnsafeBytes { $0.loadUnaligned(fromByteOffset: offset, as: type) }
    }
    guard word(10, as: UInt16.self) & 0x0f == Kind.meta, word(16, as: UInt32.self) == Self.magic else {
      throw Defect(page: number, reason: "is no meta page")
    }
    guard word(20, as: UInt32.self) == Self.version, word(40, as: UInt32.self) == UInt32(pageBytes) else {
      throw Defect(page: number, reason: "has another format or page size")
    }
    // LMDB maps as much as it takes to reach it, before anybody can look whether the file does.
    guard word(136, as: UInt64.self) < Self.mostPages else {
      throw Defect(page: number, reason: "names a last page that no index has")
    }
    func tree(_ offset: Int) -> Tree {
      page.withUnsafeBytes { Tree(UnsafeRawBufferPointer(rebasing: $0[offset..<(offset + Tree.sizeBytes)])) }
    }
    return Meta(
      free: tree(40), tables: tree(88), lastPage: word(136, as: UInt64.self),
      transaction: word(144, as: UInt64.self))
  }

  /// Checks all that a meta page leads to; throws the first defect.
  mutating func run(_ meta: Meta) throws(Defect) {
    try begin(meta)
    for (_, table) in try tables(meta) { try check(table) { _, _ in } }
    var free: [UInt64] = []
    try check(meta.free) { (_, value) in
      // How many pages, then their numbers.
      value.withUnsafeBytes { bytes in
        let numbers = (0..<(bytes.count / 8)).map {
          bytes.loadUnaligned(fromByteOffset: $0 * 8, as: UInt64.self)
        }
        if let count = numbers.first { free += numbers.dropFirst().prefix(Int(clamping: count)) }
      }
    }
    for page in free { try meet(page) }
  }

  /// Prepares for reading what a meta page leads to.
  mutating func begin(_ meta: Meta) throws(Defect) {
    lastPage = max(meta.lastPage, Self.metaPages - 1)
    guard lastPage < 1 << 40, (lastPage + 1) * UInt64(pageBytes) <= file.sizeBytes else {
      throw Defect(page: meta.lastPage, reason: "lies behind the end of the file")
    }
    met = Array(repeating: 0, count: Int(lastPage / 64) + 1)
  }

  /// The tables by name.
  mutating func tables(_ meta: Meta) throws(Defect) -> [(name: [UInt8], tree: Tree)] {
    var tables: [(name: [UInt8], tree: Tree)] = []
    try check(meta.tables) { (name, value) in
      guard value.count == Tree.sizeBytes else { return }
      tables.append((name, value.withUnsafeBytes { Tree($0) }))
    }
    return tables
  }

  private mutating func check(_ tree: Tree, _ entry: ([UInt8], [UInt8]) -> Void) throws(Defect) {
    if let loss = read(tree, entry).first { throw loss.defect }
  }

  /// Hands over every entry of a tree that can be reached, in the order of keys; returns what cannot.
  ///
  /// - Parameter isSound: whether key and value can be what was written. Of a page that holds others the sound entries are
  ///   handed over, and its keys count as lost, since a key that was overwritten is not known any more.
  mutating func read(
    _ tree: Tree, isSound: (([UInt8], [UInt8]) -> Bool)? = nil, _ entry: ([UInt8], [UInt8]) -> Void
  ) -> [Loss] {
    if tree.root == Self.noPage && tree.entries == 0 { return [] }
    var walk = Walk()
    let whole = Loss(
      lower: [], upper: nil, defect: Defect(page: tree.root, reason: "is the root of too deep a tree"))
    guard (1...Self.deepest).contains(tree.depth) else { return [whole] }
    visit(tree.root, 1, tree, whole, &walk, isSound, entry)
    if walk.losses.isEmpty,
      walk.entries != tree.entries || walk.branches != tree.branchPages || walk.leaves != tree.leafPages
        || walk.overflows != tree.overflowPages
    {
      walk.losses = [whole]
      walk.losses[0].defect.reason = "is the root of a tree with another number of pages or entries"
    }
    return walk.losses
  }

  private struct Walk {
    var entries: UInt64 = 0
    var branches: UInt64 = 0
    var leaves: UInt64 = 0
    var overflows: UInt64 = 0
    var lastKey: [UInt8]?
    var losses: [Loss] = []
  }

  /// - Parameter bounds: which keys the page may hold.
  private mutating func visit(
    _ number: UInt64, _ level: Int, _ tree: Tree, _ bounds: Loss, _ walk: inout Walk,
    _ isSound: (([UInt8], [UInt8]) -> Bool)?, _ entry: ([UInt8], [UInt8]) -> Void
  ) {
    do throws(Defect) {
      try meet(number)
      let page = try bytes(of: number)
      let isLeaf = level == tree.depth
      let nodes = try nodes(of: page, number, isLeaf: isLeaf)
      if isLeaf {
        var entries: [([UInt8], [UInt8])] = []
        for node in nodes {
          let key = Array(page[node.key])
          if let last = walk.lastKey, !tree.hasNumbersAsKeys, !last.lexicographicallyPrecedes(key) {
            throw Defect(page: number, reason: "holds keys out of order")
          }
          walk.lastKey = key
          let value = node.isOverflowing ? try overflow(node, page, &walk) : Array(page[node.data])
          entries.append((key, value))
        }
        walk.leaves += 1
        walk.entries += UInt64(nodes.count)
        let sound = isSound.map { isSound in entries.filter { isSound($0.0, $0.1) } } ?? entries
        for (key, value) in sound { entry(key, value) }
        if sound.count < entries.count {
          throw Defect(page: number, reason: "holds a record that cannot be read")
        }
        return
      }
      walk.branches += 1
      for (index, node) in nodes.enumerated() {
        var inner = bounds
        // The first node of a branch has no key of its own.
        if index > 0 { inner.lower = Array(page[node.key]) }
        if index + 1 < nodes.count { inner.upper = Array(page[nodes[index + 1].key]) }
        visit(node.child, level + 1, tree, inner, &walk, isSound, entry)
      }
    } catch {
      var loss = bounds
      loss.defect = error
      walk.losses.append(loss)
    }
  }

  // MARK: Pages

  private struct Node {
    var child: UInt64
    var sizeBytes: Int
    var isOverflowing: Bool
    var key: Range<Int>
    var data: Range<Int>
  }

  private func nodes(of page: [UInt8], _ number: UInt64, isLeaf: Bool) throws(Defect) -> [Node] {
    func word(_ offset: Int) -> Int { Int(page[offset]) | Int(page[offset + 1]) << 8 }
    guard word(10) & 0x7f == Int(isLeaf ? Kind.leaf : Kind.branch) else {
      throw Defect(page: number, reason: "is not the \(isLeaf ? "leaf" : "branch") that it should be")
    }
    let (lower, upper) = (word(12), word(14))
    guard lower > Self.headBytes, lower % 2 == 0, lower <= upper, upper <= pageBytes else {
      throw Defect(page: number, reason: "has no sound bounds")
    }
    var nodes: [Node] = []
    for index in 0..<((lower - Self.headBytes) / 2) {
      let at = word(Self.headBytes + 2 * index)
      guard at >= upper, at + 8 <= pageBytes else {
        throw Defect(page: number, reason: "points outside of itself")
      }
      let (low, kind, keyBytes) = (word(at) | word(at + 2) << 16, word(at + 4), word(at + 6))
      let isOverflowing = isLeaf && kind & 1 != 0
      let start = at + 8 + keyBytes
      let end = start + (isLeaf ? (isOverflowing ? 8 : low) : 0)
      guard end <= pageBytes, keyBytes <= Environment.maximumKeyBytes else {
        throw Defect(page: number, reason: "holds an entry longer than itself")
      }
      nodes.append(
        Node(
          child: UInt64(low) | UInt64(kind) << 32, sizeBytes: low, isOverflowing: isOverflowing,
          key: (at + 8)..<start, data: start..<end))
    }
    return nodes
  }

  /// A value that lies in pages of its own.
  private mutating func overflow(_ node: Node, _ page: [UInt8], _ walk: inout Walk) throws(Defect) -> [UInt8]
  {
    let first = page.withUnsafeBytes {
      $0.loadUnaligned(fromByteOffset: node.data.lowerBound, as: UInt64.self)
    }
    let count = UInt64((Self.headBytes + node.sizeBytes + pageBytes - 1) / pageBytes)
    guard first < lastPage, count <= lastPage - first + 1 else {
      throw Defect(page: first, reason: "begins a value that is longer than the file")
    }
    for number in first..<(first + count) { try meet(number) }
    let bytes = try bytes(of: first, count: Int(count))
    let (kind, pages) = bytes.withUnsafeBytes {
      (
        $0.loadUnaligned(fromByteOffset: 10, as: UInt16.self),
        $0.loadUnaligned(fromByteOffset: 12, as: UInt32.self)
      )
    }
    guard kind & 0x7f == Kind.overflow, UInt64(pages) == count else {
      throw Defect(page: first, reason: "does not hold the value that it should")
    }
    walk.overflows += count
    return Array(bytes[Self.headBytes..<(Self.headBytes + node.sizeBytes)])
  }

  /// Notes that a page is in use; one that was met before belongs to two.
  private mutating func meet(_ page: UInt64) throws(Defect) {
    guard page >= Self.metaPages, page <= lastPage else {
      throw Defect(page: page, reason: "lies outside of the file")
    }
    let (word, bit) = (Int(page / 64), UInt64(1) << (page % 64))
    guard met[word] & bit == 0 else { throw Defect(page: page, reason: "is in use twice") }
    met[word] |= bit
  }

  private func bytes(of number: UInt64, count: Int = 1) throws(Defect) -> [UInt8] {
    let bytes: [UInt8]
    do throws(StoreError) {
      bytes = try file.read(offset: number * UInt64(pageBytes), count: count * pageBytes)
    } catch {
      throw Defect(page: number, reason: "cannot be read")
    }
    guard bytes.withUnsafeBytes({ $0.loadUnaligned(as: UInt64.self) }) == number else {
      throw Defect(page: number, reason: "was overwritten: it bears another number")
    }
    return bytes
  }
}

extension IndexCheck.Defect: CustomStringConvertible {
  var description: String { "page \(page) \(reason)" }

  func asStoreError(_ path: String) -> StoreError {
    StoreError(
      .damaged, operation: "check index",
      message: "the index is damaged (\(self)): stop all processes, then run headwater index restore",
      context: path)
  }
}

extension IndexCheck {
  /// Checks a file that nobody writes to.
  static func run(file: String) throws(StoreError) {
    var check = try IndexCheck(path: file)
    do throws(Defect) {
      let metas = [try check.meta(0), try check.meta(1)]
      if let newest = metas.max(by: { $0.transaction < $1.transaction }) { try check.run(newest) }
    } catch {
      throw error.asStoreError(file)
    }
  }

  /// Checks the two pages that LMDB needs to open a file at all.
  static func runMetas(file: String) throws(StoreError) {
    let check = try IndexCheck(path: file)
    do throws(Defect) {
      for page in 0..<metaPages { _ = try check.meta(page) }
    } catch {
      throw error.asStoreError(file)
    }
  }
}

extension Environment {
  /// Reads the whole structure of the index as of one instant; throws `.damaged` with the page that is wrong.
  ///
  /// Safe beside readers and writers. Reads every page in use once.
  public func check() throws(StoreError) {
    let file = path + "/data.mdb"
    // Two commits of others between the transaction's begin and the reading of its meta page overwrite that page.
    for _ in 0..<100 {
      let transaction = try beginRead()
      var check = try IndexCheck(path: file)
      do throws(IndexCheck.Defect) {
        let meta = try check.meta(transaction.id % IndexCheck.metaPages)
        if meta.transaction != transaction.id { continue }
        try check.run(meta)
        return
      } catch {
        throw error.asStoreError(file)
      }
    }
    throw StoreError(
      .busy, operation: "check index", message: "others write too fast to see one state of it: try again",
      context: path)
  }

  /// Bytes of the index in use.
  var usedBytes: Int {
    var info = MDB_envinfo()
    guard mdb_env_info(handle, &info) == 0 else { return 0 }
    return (info.me_last_pgno + 1) * Int(sysconf(Int32(_SC_PAGESIZE)))
  }
}
