import Store

/// What a client may say about a video: the whole of it (PUT), or what is to change (PATCH).
struct VideoMetadata: Sendable, Equatable {
  static let titleCharacters = 500
  static let descriptionCharacters = 20_000
  static let tags = 100
  static let tagCharacters = 100
  /// Four days, as `assets update` has it too.
  static let mostThumbnailMilliseconds: UInt64 = 345_600_000
  static let jsonType = "application/json"
  static let mergePatchType = "application/merge-patch+json"

  /// Nil leaves what there is.
  var title: String?
  var description: String?
  var tags: [String]?
  var privacy: Privacy?
  /// What the poster shows, from the beginning; nil inside: the site's own choice.
  var thumbnailMilliseconds: UInt64??
  /// The members that are changed, for the log.
  private(set) var members: [String] = []

  /// All of it: what is not said is empty, and public.
  init(whole text: [UInt8]) throws(Problem) { try self.init(text, isWhole: true) }

  /// A merge patch (RFC 7396): what is not said stays, `null` takes it away.
  init(patch text: [UInt8]) throws(Problem) { try self.init(text, isWhole: false) }

  private init(_ text: [UInt8], isWhole: Bool) throws(Problem) {
    var fields = try JSONFields(text)
    let members = (
      title: try fields.text("title", most: Self.titleCharacters),
      description: try fields.text("description", most: Self.descriptionCharacters, hasLines: true),
      tags: try fields.texts("tags", most: Self.tags, mostCharacters: Self.tagCharacters),
      privacy: try fields.word("privacy", of: Privacy.allCases.map { "\($0)" }),
      thumbnail: try fields.thousandths("thumbnail_time", most: Self.mostThumbnailMilliseconds)
    )
    try fields.end()
    title = members.title.value(otherwise: "", isWhole: isWhole)
    description = members.description.value(otherwise: "", isWhole: isWhole)
    tags = members.tags.value(otherwise: [], isWhole: isWhole)
    let word = members.privacy.value(otherwise: "\(Privacy.public)", isWhole: isWhole)
    privacy = word.flatMap { word in Privacy.allCases.first { "\($0)" == word } }
    switch members.thumbnail {
    case .absent: thumbnailMilliseconds = isWhole ? .some(nil) : nil
    case .null: thumbnailMilliseconds = .some(nil)
    case .value(let time): thumbnailMilliseconds = time
    }
    self.members = [
      title.map { _ in "title" }, description.map { _ in "description" }, tags.map { _ in "tags" },
      privacy.map { _ in "privacy" }, thumbnailMilliseconds.map { _ in "thumbnail_time" },
    ].compactMap(\.self)
  }

  func apply(to asset: inout AssetRecord) {
    if let title { asset.title = title }
    if let description { asset.description = description }
    if let tags { asset.tags = tags }
    if let privacy { asset.privacy = privacy }
    if let thumbnailMilliseconds { asset.thumbnailMilliseconds = thumbnailMilliseconds }
  }
}

extension JSONFields.Member {
  /// - Parameter isWhole: whether what is absent is taken away, as `null` is.
  fileprivate func value(otherwise empty: Value, isWhole: Bool) -> Value? {
    switch self {
    case .absent: isWhole ? empty : nil
    case .null: empty
    case .value(let value): value
    }
  }
}
