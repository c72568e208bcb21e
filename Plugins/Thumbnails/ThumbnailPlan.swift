// What has to be decoded for an answer, and the name under which it is kept.
//
// A name holds everything that the bytes depend on beside the generation, and the version of the plugin in front. Whoever
// changes a byte of what is made raises the version: old files are then never asked for, and evicted in time.

import Origin
import Packaging
import Store

/// One thing to make: its name, and how.
struct ThumbnailPlan: Sendable {
  static let version = 1

  let key: DerivedFiles.Key
  let mediaType: String
  let produce: @Sendable (ThumbnailMaker) async throws(StillError) -> [UInt8]
}

/// Makes plans for one generation of an asset.
struct ThumbnailPlanner {
  let media: AssetMedia
  let config: ThumbnailsConfig
  /// Opens a blob of the asset.
  let open: (BlobID) throws(Problem) -> BlobFile

  /// How far from its key frame an exact picture may lie.
  private static let mostSamples = 600
  private static let posterCandidates = 10

  private func plan(
    _ name: String, _ ending: String,
    _ produce: @escaping @Sendable (ThumbnailMaker) async throws(StillError) -> [UInt8]
  ) -> ThumbnailPlan {
    let mediaType =
      switch ending {
      case "webp": "image/webp"
      case "bif": "application/octet-stream"
      default: "image/jpeg"
      }
    return ThumbnailPlan(
      key: DerivedFiles.Key(
        asset: media.assetID, generation: media.generation,
        name: "\(ThumbnailPlan.version)-\(name)-q\(config.quality).\(ending)"), mediaType: mediaType,
      produce: produce)
  }

  // MARK: What there is to make

  /// The key frame nearest to an instant, or the very picture of it.
  func thumbnail(
    milliseconds: UInt64, _ format: StillOrder.Format, widthPixels: Int, isExact: Bool
  ) throws(Problem) -> ThumbnailPlan {
    let picture = try picture(widthPixels: widthPixels)
    guard milliseconds < media.presentation.durationMilliseconds else { throw .notFound }
    if isExact {
      guard config.allowsExact else {
        throw Problem(
          status: 404, code: "thumbnail-exact-off", title: "No exact pictures",
          detail: "This site shows key frames only: leave out exact.")
      }
      return exact(milliseconds: milliseconds, format, picture)
    }
    let starts = picture.rendition.keyFrames.map {
      $0.startMilliseconds(timescale: picture.rendition.track.timescale)
    }
    let after = starts.firstIndex { $0 >= milliseconds } ?? starts.count - 1
    let before = max(0, starts[after] > milliseconds ? after - 1 : after)
    let nearest =
      starts[after] < milliseconds
        || milliseconds - min(milliseconds, starts[before]) > starts[after] - milliseconds
      ? after : before
    let frame = picture.rendition.keyFrames[nearest]
    let source = picture.source(format, quality: config.quality, frames: [frame])
    return plan("\(picture.name)-k\(frame.sample)-\(picture.widthPixels)", format.ending) {
      (maker) async throws(StillError) in
      try await maker.studio.makeOne(source)
    }
  }

  private func exact(
    milliseconds: UInt64, _ format: StillOrder.Format, _ picture: Picture
  ) -> ThumbnailPlan {
    let (media, quality) = (media, config.quality)
    let track = picture.rendition.track
    let (high, low) = milliseconds.multipliedFullWidth(by: UInt64(track.timescale))
    let ticks = high < 1000 ? (1000 as UInt64).dividingFullWidth((high, low)).quotient : .max
    // What an edit shows later than its key frame begins no earlier than the track.
    let wanted = max(ticks, UInt64(clamping: track.presentationStartTicks))
    return plan("\(picture.name)-x\(milliseconds)-\(picture.widthPixels)", format.ending) {
      (maker) async throws(StillError) in
      let samples = try await maker.onWorker { () throws(Problem) in
        try media.samples(of: picture.rendition.name, shownAt: wanted, mostSamples: Self.mostSamples)
      }
      guard let samples, samples.reduce(0, { $0 + Int($1.sizeBytes) }) <= 64 << 20 else {
        throw StillError(
          .media, "too-far",
          "The picture is too far from a key frame to be decoded for a thumbnail: leave out exact.")
      }
      return try await maker.studio.makeOne(
        picture.source(
          format, quality: quality,
          samples: samples.map { (media.shownTicks($0, of: picture.rendition.name), $0) }))
    }
  }

  /// The picture for the whole: what the asset's metadata say, else the site's choice.
  func poster(_ format: StillOrder.Format, widthPixels: Int) throws(Problem) -> ThumbnailPlan {
    let duration = media.presentation.durationMilliseconds
    if let wished = media.thumbnailMilliseconds {
      // Whoever chose an instant saw a picture: that one, where the site makes exact ones.
      return try thumbnail(
        milliseconds: min(wished, max(1, duration) - 1), format, widthPixels: widthPixels,
        isExact: config.allowsExact)
    }
    if case .time(let milliseconds) = config.poster {
      return try thumbnail(
        milliseconds: min(milliseconds, max(1, duration) - 1), format, widthPixels: widthPixels,
        isExact: false)
    }
    let picture = try picture(widthPixels: widthPixels)
    let frames = picture.rendition.keyFrames
    let starts = frames.map { $0.startMilliseconds(timescale: picture.rendition.track.timescale) }
    var chosen: [Int] = []
    for number in 0..<Self.posterCandidates {
      let instant = duration * UInt64(2 * number + 1) / UInt64(2 * Self.posterCandidates)
      let frame = (starts.firstIndex { $0 >= instant } ?? starts.count) - 1
      if chosen.last != max(0, frame) { chosen.append(max(0, frame)) }
    }
    let source = picture.source(
      format, quality: config.quality, frames: chosen.map { frames[$0] }, output: .best)
    return plan("\(picture.name)-best-\(picture.widthPixels)", format.ending) {
      (maker) async throws(StillError) in
      try await maker.studio.makeOne(source)
    }
  }

  func sheet(_ number: Int, of board: Storyboard) throws(Problem) -> ThumbnailPlan {
    let tiles = board.tiles(ofSheet: number)
    guard !tiles.isEmpty else { throw .notFound }
    let picture = try picture(widthPixels: board.widthPixels)
    var source = picture.source(
      .jpeg, quality: config.quality, frames: frames(tiles, of: board, picture), output: .sheet)
    source.order.columns = UInt32(board.columns)
    source.order.rows = UInt32(board.rows)
    source.order.isCoarse = Self.isCoarse(picture)
    let made = source
    return plan("\(picture.name)-sheet\(number)-\(board.name)", "jpg") { (maker) async throws(StillError) in
      try await maker.studio.makeOne(made)
    }
  }

  func trickPlay(of board: Storyboard, widthPixels: Int) throws(Problem) -> ThumbnailPlan {
    let picture = try picture(widthPixels: widthPixels)
    let quality = config.quality
    let frames = frames(0..<board.tileCount, of: board, picture)
    let isCoarse = Self.isCoarse(picture)
    return plan("\(picture.name)-bif-\(picture.widthPixels)-\(board.intervalMilliseconds)", "bif") {
      (maker) async throws(StillError) in
      var pictures: [[UInt8]] = []
      var rest = frames[...]
      while !rest.isEmpty {
        let part = Array(rest.prefix(100))
        rest = rest.dropFirst(part.count)
        var source = picture.source(.jpeg, quality: quality, frames: part)
        source.order.isCoarse = isCoarse
        let made = try await maker.studio.make(source)
        // A picture that could not be decoded shows the one before it.
        for number in part.indices {
          if let image = made.last(where: { $0.number <= number }) ?? made.first {
            pictures.append(image.bytes)
          }
        }
      }
      guard
        let file = TrickPlayFile.bytes(
          pictures, intervalMilliseconds: UInt32(clamping: board.intervalMilliseconds))
      else { throw StillError(.media, "too-long", "The pictures of this video do not fit into one file.") }
      return file
    }
  }

  /// When the picture of each tile is shown, in milliseconds.
  func times(of board: Storyboard) throws(Problem) -> [UInt64] {
    let picture = try picture(widthPixels: board.widthPixels)
    let timescale = picture.rendition.track.timescale
    return frames(0..<board.tileCount, of: board, picture).map { $0.startMilliseconds(timescale: timescale) }
  }

  private func frames(_ tiles: Range<Int>, of board: Storyboard, _ picture: Picture) -> [KeyFrame] {
    let frames = picture.rendition.keyFrames
    return board.choose(tiles, from: frames, timescale: picture.rendition.track.timescale).map { frames[$0] }
  }

  /// Whether what the loop filter does is lost in shrinking.
  private static func isCoarse(_ picture: Picture) -> Bool {
    Int(picture.rendition.track.displayWidthPixels) >= 3 * picture.widthPixels
  }

  // MARK: Where the samples are

  /// A rendition, the size of pictures of it, and its blob.
  struct Picture: Sendable {
    let rendition: PresentationRendition
    let name: String
    let widthPixels: Int
    let file: BlobFile
    let order: StillOrder
    let configuration: [UInt8]

    /// Pictures that need one sample each.
    func source(
      _ format: StillOrder.Format, quality: UInt32, frames: [KeyFrame], output: StillOrder.Output = .each
    ) -> StillSource {
      source(
        format, quality: quality, output,
        frames.map {
          StillOrder.Picture(samples: [.init(sizeBytes: $0.sizeBytes, ticks: 0)], wantedTicks: 0)
        }, frames.map { ($0.offset, $0.sizeBytes) })
    }

    /// One picture, the last of the samples.
    func source(
      _ format: StillOrder.Format, quality: UInt32, samples: [(ticks: Int64, sample: Sample)]
    ) -> StillSource {
      let picture = StillOrder.Picture(
        samples: samples.map { .init(sizeBytes: $0.sample.sizeBytes, ticks: $0.ticks) },
        wantedTicks: samples.last?.ticks ?? 0)
      return source(
        format, quality: quality, .each, [picture], samples.map { ($0.sample.offset, $0.sample.sizeBytes) })
    }

    private func source(
      _ format: StillOrder.Format, quality: UInt32, _ output: StillOrder.Output,
      _ pictures: [StillOrder.Picture],
      _ ranges: [(offset: UInt64, sizeBytes: UInt32)]
    ) -> StillSource {
      var order = order
      order.format = format
      order.quality = quality
      order.output = output
      order.pictures = pictures
      return StillSource(order: order, configuration: configuration, file: file, ranges: ranges)
    }
  }

  private func picture(widthPixels: Int) throws(Problem) -> Picture {
    let renditions = media.presentation.renditions
    guard renditions.contains(where: { $0.track.kind == .video }) else {
      throw Problem(
        status: 404, code: "no-picture", title: "No picture",
        detail: "This asset is sound alone: it has no pictures.")
    }
    guard let rendition = media.presentation.stillRendition(widthPixels: widthPixels),
      let number = renditions.firstIndex(where: { $0.name == rendition.name }),
      let size = rendition.track.stillSize(widthPixels: UInt32(clamping: widthPixels)),
      let order = rendition.track.stillOrder(
        widthPixels: size.widthPixels, heightPixels: size.heightPixels, pictures: []),
      let configuration = rendition.track.decoderConfiguration, let blob = media.blob(of: rendition.name)
    else {
      throw Problem(
        status: 422, code: "thumbnail-undecodable", title: "No picture can be made",
        detail: "The pictures of this asset have no key frame that can be decoded by itself.")
    }
    return Picture(
      rendition: rendition, name: "r\(number)", widthPixels: Int(size.widthPixels),
      file: try open(blob),
      order: order, configuration: configuration)
  }
}

extension Storyboard {
  /// Everything about it, for the names of its sheets.
  var name: String { "\(widthPixels)x\(heightPixels)-\(columns)x\(rows)-\(intervalMilliseconds)" }
}

extension StillOrder.Format {
  var ending: String { self == .jpeg ? "jpg" : "webp" }
}

extension StillStudio {
  /// For orders of one picture.
  nonisolated(nonsending) func makeOne(_ source: StillSource) async throws(StillError) -> [UInt8] {
    let made = try await make(source)
    guard let first = made.first else {
      throw StillError(.server, "media-program-failed", "The program that decodes made no picture.")
    }
    return first.bytes
  }
}
