// Whether the video renditions of an asset go together.
//
// A player changes quality at a segment boundary: it takes segment n of one rendition and n + 1 of another. That is
// seamless where both plans cut at the same instants and the pictures differ in size and quality alone. Tracks of
// one file are compared when the file is read (`DefectReport`); here renditions that came as files of their own are.
//
// Instants are compared as fractions in 128-bit integers. Two that lie within 5 ms are one: clocks of 1000 or 600
// ticks a second round them, and no picture is that short.

/// Compares the video renditions of an asset with the first of them.
public enum RenditionAgreement {
  /// The codes of all notes that `defects` may make.
  public static let codes: Set<String> = [
    "misaligned-key-frames", "hdr-mismatch", "aspect-ratio-mismatch", "frame-rate-mismatch",
  ]

  private static let toleranceMilliseconds: Int128 = 5

  /// What a viewer would notice when a player changes between the renditions; empty where they agree.
  ///
  /// - Parameter renditions: in the order of preference; what is not video is passed over.
  /// - Complexity: linear in the number of segments.
  public static func defects(_ renditions: [PresentationRendition]) -> [Defect] {
    let videos = renditions.filter { $0.track.kind == .video }
    guard let leader = videos.first else { return [] }
    return videos.dropFirst().flatMap { compare($0, with: leader) }
  }

  private static func compare(_ other: PresentationRendition, with leader: PresentationRendition) -> [Defect]
  {
    let names = "Renditions \(leader.name) and \(other.name)"
    var result: [Defect] = []
    if let place = firstDifference(leader, other) {
      result.append(
        Defect(
          code: "misaligned-key-frames",
          message:
            "\(names) are cut at different instants, first at segment \(place): players that change between "
            + "them repeat or skip pictures. Encode both with key frames at the same times."))
    }
    let range = VideoRange(transferCharacteristics: leader.track.transferCharacteristics)
    if VideoRange(transferCharacteristics: other.track.transferCharacteristics) != range {
      result.append(
        Defect(
          code: "hdr-mismatch",
          message:
            "\(names) differ in dynamic range: players keep to one of the two, or change brightness and "
            + "color on the way."))
    }
    let shapes = (PictureShape(leader.track).pictureAspect, PictureShape(other.track).pictureAspect)
    if let left = shapes.0, let right = shapes.1, !left.isNear(right, parts: 100) {
      result.append(
        Defect(
          code: "aspect-ratio-mismatch",
          message:
            "\(names) differ in aspect ratio: the picture changes its shape when players change between them."
        ))
    }
    if let left = FrameRate(leader.track)?.thousandths, let right = FrameRate(other.track)?.thousandths,
      left > right + 20 || right > left + 20
    {
      result.append(
        Defect(
          code: "frame-rate-mismatch",
          message:
            "\(names) differ in frame rate (\(decimal(left)) and \(decimal(right)) pictures a second): some "
            + "televisions stop for a moment when players change between them."))
    }
    return result
  }

  /// The number of the first segment that does not start at the same instant in both; nil where there is none.
  ///
  /// A rendition that ends before a cut need not have it.
  private static func firstDifference(_ left: PresentationRendition, _ right: PresentationRendition) -> Int? {
    func start(_ rendition: PresentationRendition, _ segment: Int) -> UInt64 {
      segment < rendition.segments.count ? rendition.segments[segment].startTicks : rendition.track.endTicks
    }
    // Segment 0 starts where the media does.
    for segment in 1..<max(1, left.segments.count, right.segments.count) {
      let hasEnded = segment >= min(left.segments.count, right.segments.count)
      let ticks = (Int128(start(left, segment)), Int128(start(right, segment)))
      let scales = (Int128(max(1, left.track.timescale)), Int128(max(1, right.track.timescale)))
      // In units of 1 / (left timescale × right timescale).
      let difference = ticks.0 * scales.1 - ticks.1 * scales.0
      let leftIsShorter = left.segments.count < right.segments.count
      if hasEnded, leftIsShorter ? difference <= 0 : difference >= 0 { continue }
      if abs(difference) * 1000 > toleranceMilliseconds * scales.0 * scales.1 { return segment }
    }
    return nil
  }

  private static func decimal(_ thousandths: UInt64) -> String {
    let digits = String(thousandths % 1000)
    return "\(thousandths / 1000)." + String(repeating: "0", count: 3 - digits.count) + digits
  }
}
