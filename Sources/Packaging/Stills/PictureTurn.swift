/// How a decoded picture is laid before the viewer: what the matrix of `tkhd` does, as far as it moves whole pixels.
///
/// A pixel of what is shown, at column X and row Y, is the decoded one at
///
///     x = (isTransposed ? Y : X), counted from the right where `isXReversed`
///     y = (isTransposed ? X : Y), counted from the bottom where `isYReversed`
///
/// Eight turns and mirrorings can be said so. Other matrices (a shear, a turn of 10°) are not applied.
public struct PictureTurn: Sendable, Equatable, Codable {
  public var isTransposed = false
  public var isXReversed = false
  public var isYReversed = false

  public init() {}

  /// - Parameter matrix: of `tkhd`, `a b u c d v x y w`: column X of what is shown is `a·x + c·y`, row Y is `b·x + d·y`
  ///   (ISO/IEC 14496-12 §6.2.2).
  public init(matrix: [Int32]) {
    guard matrix.count == 9 else { return }
    let (a, b, c, d) = (matrix[0], matrix[1], matrix[3], matrix[4])
    if a != 0, d != 0, b == 0, c == 0 {
      isXReversed = a < 0
      isYReversed = d < 0
    } else if a == 0, d == 0, b != 0, c != 0 {
      isTransposed = true
      isXReversed = b < 0
      isYReversed = c < 0
    }
  }

  public var isNone: Bool { self == PictureTurn() }
}
