/// `vpcC` (VP Codec ISO Media File Format Binding, version 1): profile, level and the shape of samples. Version 0 was a
/// draft with other fields and is not read.
struct VP9ConfigurationBox {
  var profile: UInt8
  /// Ten times the level: 31 is 3.1.
  var level: UInt8
  var bitDepth: UInt8
  /// 0 and 1 are 4:2:0 (vertical, colocated with luma), 2 is 4:2:2, 3 is 4:4:4.
  var chromaSubsampling: UInt8
  var colour: VideoColour

  init?(_ box: borrowing FullBox) {
    var reader = BoxReader(box.body)
    guard box.version == 1, let profile = reader.u8(), let level = reader.u8(), let shape = reader.u8(),
      let primaries = reader.u8(), let transfer = reader.u8(), let matrix = reader.u8(), profile <= 3,
      [8, 10, 12].contains(shape >> 4), shape >> 1 & 7 <= 3
    else { return nil }
    self.profile = profile
    self.level = level
    bitDepth = shape >> 4
    chromaSubsampling = shape >> 1 & 7
    colour = VideoColour(
      primaries: UInt16(primaries), transfer: UInt16(transfer), matrix: UInt16(matrix),
      isFullRange: shape & 1 != 0)
  }
}
