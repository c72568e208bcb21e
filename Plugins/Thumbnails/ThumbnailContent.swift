import Origin
import Packaging
import Store

/// Answers the names of `ThumbnailRequest` below an asset, and says what manifests name.
struct ThumbnailContent: ContentHandler, ImageSetProvider {
  let config: ThumbnailsConfig
  /// Gives nil before the plugin is provisioned, and where answers are only described.
  let maker: @Sendable () -> ThumbnailMaker?

  func content(for target: Target, in context: ContentContext) throws(Problem) -> ContentOutcome {
    guard case .asset(let asset) = target, case .other(let name) = asset.resource,
      let request = ThumbnailRequest(name: name)
    else { return .declined }
    guard asset.clip == nil else { throw .notFound }
    let media: AssetMedia
    switch try context.media(of: asset) {
    case .wait(let outcome): return outcome
    case .media(let found): media = found
    }
    let planner = ThumbnailPlanner(media: media, config: config) { (blob) throws(Problem) in
      try context.blob(blob)
    }
    switch request {
    case .storyboardText(let text): return .representation(try self.text(text, planner, context))
    case .poster(let format, let wished):
      let width = try width(wished, config.posterWidthPixels, context)
      // The choice may change, and the generation stays.
      return try picture(planner.poster(format, widthPixels: width), media, isLasting: false, context)
    case .thumbnail(let milliseconds, let format, let wished, let isExact):
      let width = try width(wished, config.defaultWidthPixels, context)
      return try picture(
        planner.thumbnail(milliseconds: milliseconds, format, widthPixels: width, isExact: isExact), media,
        context)
    case .sheet(let number):
      return try picture(planner.sheet(number, of: try board(media)), media, context)
    case .trickPlay(let wished):
      let width = try width(wished, config.tileWidthPixels, context)
      return try picture(planner.trickPlay(of: try board(media), widthPixels: width), media, context)
    }
  }

  private func width(_ wished: Int?, _ fallback: Int, _ context: ContentContext) throws(Problem) -> Int {
    try config.width(wished, fallback: fallback) { () throws(Problem) in try context.requireToken() }
  }

  private func board(_ media: AssetMedia) throws(Problem) -> Storyboard {
    guard let board = Storyboard(media.presentation, config) else {
      throw Problem(
        status: 404, code: "no-picture", title: "No picture",
        detail: "This asset has no pictures that a storyboard could be made of.")
    }
    return board
  }

  private func picture(
    _ plan: ThumbnailPlan, _ media: AssetMedia, isLasting: Bool = true, _ context: ContentContext
  ) throws(Problem) -> ContentOutcome {
    guard let maker = maker() else { return .awaiting {} }
    switch maker.lookup(plan.key) {
    case .failed(let problem): throw problem
    case .unknown:
      // After so many turns in which it was made and had gone again.
      guard context.mayWait else { throw .thumbnailsBusy }
      return .awaiting {
        await maker.make(plan.key) { () async throws(StillError) in try await plan.produce(maker) }
      }
    case .made(let made):
      return .representation(
        context.representation(
          info(.thumbnail, media, isLasting: isLasting, context), contentType: plan.mediaType,
          etag: Array("\(media.generation.hex)-\(made.digest.hex.prefix(16))".utf8),
          lastModifiedMilliseconds: media.ingestedMilliseconds, slices: made.slices,
          validUntilSeconds: media.validUntilSeconds))
    }
  }

  private func text(
    _ text: ThumbnailRequest.Text, _ planner: ThumbnailPlanner, _ context: ContentContext
  ) throws(Problem) -> Representation {
    let media = planner.media
    let board = try board(media)
    let (prefix, suffix) = (media.childPrefix, context.tokenMark)
    let bytes: [UInt8]
    let mediaType: String
    switch text {
    case .webVTT:
      (bytes, mediaType) = (board.webVTT(prefix: prefix, suffix: suffix), "text/vtt; charset=utf-8")
    case .playlist:
      (bytes, mediaType) = (board.playlist(prefix: prefix, suffix: suffix), "application/vnd.apple.mpegurl")
    case .index:
      (bytes, mediaType) = (
        board.index(prefix: prefix, suffix: suffix, times: try planner.times(of: board)), "application/json"
      )
    }
    return context.manifest(
      info(.manifest, media, context), contentType: mediaType,
      etag: Array("\(media.generation.hex)-\(BlobID.digest(of: bytes).hex.prefix(16))".utf8),
      lastModifiedMilliseconds: media.ingestedMilliseconds, bytes: bytes,
      validUntilSeconds: media.validUntilSeconds)
  }

  /// - Parameter isLasting: whether the answer is the same as long as the generation is.
  private func info(
    _ kind: AnswerKind, _ media: AssetMedia, isLasting: Bool = true, _ context: ContentContext
  ) -> AnswerInfo {
    AnswerInfo(
      site: context.site.name, kind: kind, isImmutable: media.isPinned && isLasting, assetID: media.assetID)
  }

  // MARK: Manifests

  var identity: String {
    "storyboard \(ThumbnailPlan.version) \(config.tileWidthPixels) \(config.columns)x\(config.rows) \(config.intervalMilliseconds)"
  }

  func imageSet(for presentation: Presentation) -> ImageSet? {
    Storyboard(presentation, config)?.imageSet()
  }
}
