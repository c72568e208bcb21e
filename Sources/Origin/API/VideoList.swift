// `GET /api/v1/videos`: filters, order, pages
//
// The index lists assets by id. In that order a page costs what it looks at: as soon as `mostLookedAt` assets were looked at
// the page ends, full or not, and its cursor goes on from there. Any other order needs all assets of the site for each page:
// the best `limit` behind the cursor are kept while all pass by. It is refused beyond `mostSorted` assets, so that no request
// costs more than about a second of a worker; ids made by the server sort by time, so `id` is the order of making for those.
//
// An item's place is its key: `id`; or 8 bytes of time and the id; or the title in lower case, a zero and the id. Keys compare
// as bytes, and a page begins behind the key of the one before: an item that is added or removed meanwhile moves no other.

import Store

struct VideoList: Sendable {
  static let parameters = ["status", "privacy", "tag", "q", "sort", "cursor", "limit"]
  static let mostLookedAt = 20_000
  static let mostSorted = 100_000
  /// Of a title, in its key.
  private static let titleBytes = 256
  private static let queryCharacters = 200

  enum Order: String, CaseIterable {
    case id
    case created
    case updated
    case title
  }

  struct Page: Sendable {
    var assets: [AssetRecord] = []
    /// Behind what is in it; nil at the end.
    var next: [UInt8]?
  }

  let limit: Int
  let cursor: ListCursor
  private let order: Order
  private let isDescending: Bool
  private let status: AssetStatus?
  private let privacy: Privacy?
  private let tag: String?
  /// Words in lower case, each of which must be in the title or in a tag.
  private let words: [String]
  private let start: [UInt8]?

  /// - Throws: `invalid-parameter`, `invalid-cursor`.
  init(_ request: APIRequest) throws(Problem) {
    let values = try request.queryParameters(Self.parameters)
    limit = try APIRequest.pageLimit(values["limit"])
    let orders = Order.allCases.flatMap { [$0.rawValue, "-\($0.rawValue)"] }
    let sort = try APIRequest.word("sort", values["sort"], of: orders) ?? "-id"
    isDescending = sort.hasPrefix("-")
    order = Order(rawValue: isDescending ? String(sort.dropFirst()) : sort) ?? .id
    let status = try APIRequest.word("status", values["status"], of: AssetStatus.allCases.map { "\($0)" })
    self.status = AssetStatus.allCases.first { "\($0)" == status }
    let privacy = try APIRequest.word("privacy", values["privacy"], of: Privacy.allCases.map { "\($0)" })
    self.privacy = Privacy.allCases.first { "\($0)" == privacy }
    tag = values["tag"]
    let query = values["q"] ?? ""
    guard query.unicodeScalars.count <= Self.queryCharacters else {
      throw .invalidParameter("\"q\" has more than \(Self.queryCharacters) characters.")
    }
    words = query.lowercased().split(whereSeparator: \.isWhitespace).map(String.init)
    cursor = ListCursor(
      list: "videos", site: request.site.name,
      parameters: [sort, status ?? "", privacy ?? "", tag ?? "", words.joined(separator: " ")])
    if let text = values["cursor"] { start = try cursor.key(of: text) } else { start = nil }
  }

  func matches(_ asset: AssetRecord) -> Bool {
    if let status, asset.status != status { return false }
    if let privacy, asset.privacy != privacy { return false }
    if let tag, !asset.tags.contains(tag) { return false }
    if words.isEmpty { return true }
    let texts = [asset.title.lowercased()] + asset.tags.map { $0.lowercased() }
    return words.allSatisfy { word in texts.contains { $0.contains(word) } }
  }

  /// Blocks: for workers.
  func page(of site: String, in store: Store) throws(Problem) -> Page {
    do throws(StoreError) {
      let page = try store.read { (reader) throws(StoreError) in
        order == .id ? try byID(reader, site) : try sorted(reader, site)
      }
      if let page { return page }
    } catch { throw Problem(error) }
    throw Problem(
      status: 422, code: "too-many-to-sort", title: "Too many to sort",
      detail: "This site has more than \(Self.mostSorted) videos: sort them by id.")
  }

  private func byID(_ reader: CatalogReader, _ site: String) throws(StoreError) -> Page {
    var page = Page()
    var after = start.map { String(decoding: $0, as: UTF8.self) }
    // A cursor that was made up.
    if let place = after, !AssetID.isValid(place) { after = nil }
    var left = Self.mostLookedAt
    while left > 0 {
      let batch = try reader.listAssets(
        site: site, after: after, limit: min(left, 256), order: isDescending ? .descending : .ascending)
      for asset in batch {
        after = asset.id
        if matches(asset) { page.assets.append(asset) }
        if page.assets.count > limit {
          page.assets.removeLast()
          page.next = page.assets.last.map { Array($0.id.utf8) }
          return page
        }
      }
      if batch.count < min(left, 256) { return page }
      left -= batch.count
    }
    page.next = after.map { Array($0.utf8) }
    return page
  }

  /// Nil where there are too many.
  private func sorted(_ reader: CatalogReader, _ site: String) throws(StoreError) -> Page? {
    var best: [(key: [UInt8], asset: AssetRecord)] = []
    var after: String?
    var seen = 0
    while true {
      let batch = try reader.listAssets(site: site, after: after, limit: 256)
      seen += batch.count
      if seen > Self.mostSorted { return nil }
      for asset in batch where matches(asset) {
        let key = key(of: asset)
        if let start, !comes(start, before: key) { continue }
        if best.count > limit, let last = best.last, !comes(key, before: last.key) { continue }
        let place = best.firstIndex { comes(key, before: $0.key) } ?? best.count
        best.insert((key, asset), at: place)
        if best.count > limit + 1 { best.removeLast() }
      }
      guard batch.count == 256 else { break }
      after = batch.last?.id
    }
    let hasMore = best.count > limit
    if hasMore { best.removeLast() }
    return Page(assets: best.map(\.asset), next: hasMore ? best.last?.key : nil)
  }

  private func comes(_ left: [UInt8], before right: [UInt8]) -> Bool {
    isDescending ? right.lexicographicallyPrecedes(left) : left.lexicographicallyPrecedes(right)
  }

  private func key(of asset: AssetRecord) -> [UInt8] {
    let id = Array(asset.id.utf8)
    func time(_ milliseconds: Int64) -> [UInt8] {
      // Times before 1970 sort first.
      withUnsafeBytes(of: (UInt64(bitPattern: milliseconds) ^ 1 << 63).bigEndian) { Array($0) } + id
    }
    switch order {
    case .id: return id
    case .created: return time(asset.createdMilliseconds)
    case .updated: return time(asset.updatedMilliseconds)
    case .title: return asset.title.lowercased().utf8.prefix(Self.titleBytes) + [0] + id
    }
  }
}
