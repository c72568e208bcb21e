// What of a track a still picture needs: the configuration of its decoder, and the size at which it is shown.

extension Track {
  /// What a decoder is configured with: the body of the configuration box of the sample entry. Empty for VP9, which has
  /// all in its frames; nil for what has none though it needs one, and for what is no picture.
  public var decoderConfiguration: [UInt8]? {
    let wanted: FourCC
    switch codec {
    case .avc: wanted = FourCC("avcC")
    case .hevc: wanted = FourCC("hvcC")
    case .av1: wanted = FourCC("av1C")
    case .vp9: return []
    default: return nil
    }
    // 8 bytes of box head and 78 of visual sample entry (ISO/IEC 14496-12 §12.1.3).
    guard sampleEntry.count > 86 else { return nil }
    var reader = BoxReader(sampleEntry.span.extracting(86...))
    while let box = reader.box() {
      guard box.type == wanted else { continue }
      return box.body.copied()
    }
    return nil
  }

  /// The size of a still picture of the track: as wide as asked for, or as the track is shown where that is less, in the
  /// shape in which it is shown. Even numbers, as pictures of 4:2:0 are made of pairs. nil for a track without picture.
  public func stillSize(widthPixels: UInt32) -> (widthPixels: UInt32, heightPixels: UInt32)? {
    let shown = (width: UInt64(displayWidthPixels), height: UInt64(displayHeightPixels))
    guard shown.width > 0, shown.height > 0, widthPixels > 1 else { return nil }
    let largest = UInt64(StillOrder.Limits.sidePixels)
    var width = max(2, min(UInt64(widthPixels), shown.width, largest) & ~1)
    var height = max(2, (width * shown.height + shown.width / 2) / shown.width & ~1)
    if height > largest {
      height = largest
      width = max(2, height * shown.width / shown.height & ~1)
    }
    return (UInt32(width), UInt32(height))
  }

  /// An order for pictures of this track; nil for what cannot be decoded.
  public func stillOrder(
    widthPixels: UInt32, heightPixels: UInt32, pictures: [StillOrder.Picture]
  ) -> StillOrder? {
    guard let coding = StillOrder.Coding(codec), let configuration = decoderConfiguration else { return nil }
    var order = StillOrder(
      coding: coding, widthPixels: widthPixels, heightPixels: heightPixels, turn: PictureTurn(matrix: matrix),
      pictures: pictures)
    order.configurationBytes = UInt32(clamping: configuration.count)
    return order
  }
}
