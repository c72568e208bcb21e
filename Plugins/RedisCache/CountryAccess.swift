import HTTP
import Loop
import Origin

/// Refuses videos to viewers in countries where they may not be had.
///
/// The viewer's country is what the CDN says in a header; a request without one is of an unknown country. Where answers may be kept by
/// caches they say that they depend on it (`Vary`); segments do not, since each country would have a copy of its own: whoever knows
/// their names has them from the CDN.
struct CountryAccess: AccessHandler, HeaderFilter {
  /// In lower case.
  let field: String
  let provider: any MetadataProvider
  /// Finds out about a video that anybody may have made up.
  let load: @Sendable (String) async -> Void

  func check(
    _ request: borrowing RequestHead, from client: () -> SocketAddress?, in site: Site
  ) -> AccessVerdict {
    guard let id = Self.video(in: request.path) else { return .pass }
    switch provider.metadata(ofVideo: id) {
    case .unknown: return .awaiting { [load] in await load(id) }
    case .unavailable(let refusal?): return .refuse(refusal)
    case .unavailable, .known(nil, _): return .pass
    case .known(let facts?, _):
      guard facts.rights.countries != nil || !facts.rights.blockedCountries.isEmpty else { return .pass }
      return facts.rights.allows(country: country(of: request)) ? .pass : .refuse(Self.refusal)
    }
  }

  func filter(_ fields: inout HeaderFields, of answer: AnswerInfo) {
    guard answer.assetID != nil, answer.kind != .segment, answer.kind != .api else { return }
    let known = fields["Vary"].map { String(decoding: $0, as: UTF8.self) + ", " } ?? ""
    fields.set("Vary", known + field)
  }

  /// The id below `/v/`; nil for other paths.
  static func video(in path: Span<UInt8>) -> String? {
    guard path.count > 3, path[0] == 0x2F, path[1] == UInt8(ascii: "v"), path[2] == 0x2F else { return nil }
    var id: [UInt8] = []
    var index = 3
    while index < path.count, path[index] != 0x2F {
      id.append(path[index])
      index += 1
    }
    guard index < path.count else { return nil }
    return String(validating: id, as: UTF8.self)
  }

  private func country(of request: borrowing RequestHead) -> String? {
    for index in 0..<request.fieldCount {
      let name = request.fieldName(at: index).withUnsafeBytes { [UInt8]($0) }
      guard name.count == field.utf8.count, String(decoding: name, as: UTF8.self).lowercased() == field else {
        continue
      }
      let bytes = request.fieldValue(at: index).withUnsafeBytes { [UInt8]($0) }
      let value = String(decoding: bytes, as: UTF8.self).uppercased()
      return value.utf8.count == 2 ? value : nil
    }
    return nil
  }

  static let refusal = Problem(
    status: 403, code: "country-not-allowed", title: "Not available here",
    detail: "This video is not delivered to the country that the request comes from.")
}
