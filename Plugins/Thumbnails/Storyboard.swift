// Which tiles a storyboard has, where they lie, and which key frame each shows.
//
// All of it follows from the presentation and the settings alone, so that manifests, text files and sheets agree without
// having been made together.
//
//     interval   the setting; where all tiles would not fill one sheet, the whole second that does (at least one); where
//                there would be more than 2,000, the whole second that avoids it
//     tile i     stands for [i·interval, (i+1)·interval) and shows the first key frame in it, else the last one before
//     sheet n    tiles n·columns·rows and on, row after row; a video of one sheet has no more rows than it needs

import Packaging

/// The geometry of one presentation's storyboard.
struct Storyboard: Sendable, Equatable {
  static let mostTiles: UInt64 = 2000

  let rendition: String
  let widthPixels: Int
  let heightPixels: Int
  let columns: Int
  let rows: Int
  let intervalMilliseconds: UInt64
  let durationMilliseconds: UInt64
  let tileCount: Int

  /// nil for a presentation without pictures, or whose tiles would be higher than a sheet may be.
  init?(_ presentation: Presentation, _ config: ThumbnailsConfig) {
    let duration = presentation.durationMilliseconds
    guard duration > 0,
      let rendition = presentation.stillRendition(widthPixels: config.tileWidthPixels),
      let size = rendition.track.stillSize(widthPixels: UInt32(clamping: config.tileWidthPixels))
    else { return nil }
    self.rendition = rendition.name
    widthPixels = Int(size.widthPixels)
    heightPixels = Int(size.heightPixels)
    func wholeSeconds(_ parts: UInt64) -> UInt64 { max(1, (duration / parts + 999) / 1000) * 1000 }
    let tilesOfSheet = UInt64(config.columns * config.rows)
    intervalMilliseconds = max(
      min(config.intervalMilliseconds, wholeSeconds(tilesOfSheet)),
      duration > Self.mostTiles * 1000 ? wholeSeconds(Self.mostTiles) : 0)
    durationMilliseconds = duration
    tileCount = Int(clamping: (duration + intervalMilliseconds - 1) / intervalMilliseconds)
    columns = min(config.columns, tileCount)
    rows = min(config.rows, (tileCount + columns - 1) / columns, StillOrder.Limits.sidePixels / heightPixels)
    guard rows > 0 else { return nil }
  }

  var tilesOfSheet: Int { columns * rows }
  var sheetCount: Int { (tileCount + tilesOfSheet - 1) / tilesOfSheet }

  /// The tiles of sheet `number`; empty where there is none.
  func tiles(ofSheet number: Int) -> Range<Int> {
    guard (0..<sheetCount).contains(number) else { return 0..<0 }
    return number * tilesOfSheet..<min(tileCount, (number + 1) * tilesOfSheet)
  }

  func startMilliseconds(_ tile: Int) -> UInt64 { UInt64(tile) * intervalMilliseconds }
  func endMilliseconds(_ tile: Int) -> UInt64 {
    min(durationMilliseconds, UInt64(tile + 1) * intervalMilliseconds)
  }

  /// Its left upper corner on its sheet.
  func place(_ tile: Int) -> (x: Int, y: Int) {
    let number = tile % tilesOfSheet
    return (number % columns * widthPixels, number / columns * heightPixels)
  }

  /// The key frame that each tile shows, by its place in `keyFrames`.
  ///
  /// - Parameters:
  ///   - keyFrames: of the rendition, in order; not empty.
  /// - Complexity: linear in both.
  func choose(_ tiles: Range<Int>, from keyFrames: [KeyFrame], timescale: UInt32) -> [Int] {
    let starts = keyFrames.map { $0.startMilliseconds(timescale: timescale) }
    var next = 0
    return tiles.map { tile in
      while next < starts.count, starts[next] < startMilliseconds(tile) { next += 1 }
      if next < starts.count, starts[next] < UInt64(tile + 1) * intervalMilliseconds { return next }
      return max(0, next - 1)
    }
  }

  /// What manifests say. The bytes of a sheet are not known before it is made: a bit and a half for each pixel is what
  /// JPEG needs for most pictures at the usual quality, and players take it for an upper bound.
  func imageSet() -> ImageSet {
    let bits = UInt64(widthPixels * heightPixels) * 3 / 2
    return ImageSet(
      playlistName: "storyboard.m3u8", sheetPrefix: "storyboard_", sheetSuffix: ".jpg",
      widthPixels: UInt32(widthPixels), heightPixels: UInt32(heightPixels), columns: UInt32(columns),
      rows: UInt32(rows), tileMilliseconds: intervalMilliseconds,
      bandwidth: max(1, bits * 1000 / intervalMilliseconds))
  }
}

extension KeyFrame {
  /// Rounded down.
  func startMilliseconds(timescale: UInt32) -> UInt64 {
    let (high, low) = startTicks.multipliedFullWidth(by: 1000)
    guard timescale > 0, high < UInt64(timescale) else { return .max }
    return UInt64(timescale).dividingFullWidth((high, low)).quotient
  }
}

extension Presentation {
  /// The rendition that pictures of a width are made of: the smallest that is wide enough, since it is decoded fastest, else
  /// the widest. One of standard dynamic range goes before others; one that can't be decoded is none.
  func stillRendition(widthPixels: Int) -> PresentationRendition? {
    let able = renditions.filter {
      $0.track.kind == .video && !$0.keyFrames.isEmpty && StillOrder.Coding($0.track.codec) != nil
        && $0.track.displayWidthPixels > 1 && $0.track.displayHeightPixels > 1
    }
    let standard = able.filter { ![16, 18].contains($0.track.transferCharacteristics) }
    let candidates = standard.isEmpty ? able : standard
    let wide = candidates.filter { Int($0.track.displayWidthPixels) >= widthPixels }
    // Of equals the first: `min` and `max` of the library take different ones.
    return wide.min { $0.track.displayWidthPixels < $1.track.displayWidthPixels }
      ?? candidates.enumerated().max {
        ($0.element.track.displayWidthPixels, $1.offset) < ($1.element.track.displayWidthPixels, $0.offset)
      }?.element
  }
}
