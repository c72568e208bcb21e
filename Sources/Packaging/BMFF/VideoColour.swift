/// How colours are coded, in the code points of ISO/IEC 23091-2 (CICP); 2 is "unspecified".
struct VideoColour: Equatable {
  var primaries: UInt16
  var transfer: UInt16
  var matrix: UInt16
  var isFullRange: Bool

  static let unspecified = VideoColour(primaries: 2, transfer: 2, matrix: 2, isFullRange: false)

  init(primaries: UInt16, transfer: UInt16, matrix: UInt16, isFullRange: Bool) {
    self.primaries = primaries
    self.transfer = transfer
    self.matrix = matrix
    self.isFullRange = isFullRange
  }

  /// `colr` (ISO/IEC 14496-12 §12.1.5). `nclx` of ISO files and `nclc` of QuickTime begin alike; only `nclx` states
  /// the range. Nil for colour profiles and for what is cut short.
  init?(colr body: Span<UInt8>) {
    var reader = BoxReader(body)
    guard let type = reader.u32().map(FourCC.init(rawValue:)),
      type == FourCC("nclx") || type == FourCC("nclc"), let primaries = reader.u16(),
      let transfer = reader.u16()
    else { return nil }
    self.init(primaries: primaries, transfer: transfer, matrix: reader.u16() ?? 2, isFullRange: false)
    if type == FourCC("nclx"), let range = reader.u8() { isFullRange = range & 0x80 != 0 }
  }

  /// These colours, or the others where these say nothing.
  func or(_ other: VideoColour?) -> VideoColour {
    primaries == 2 && transfer == 2 && matrix == 2 ? other ?? self : self
  }

  /// Whether a player that is told nothing, and so expects BT.709 in limited range, expects right.
  var isWhatPlayersExpect: Bool {
    [primaries, transfer, matrix].allSatisfy { $0 == 1 || $0 == 2 } && !isFullRange
  }
}
