// Pictures for seeking, as manifests name them: sheets of tiles, each tile standing for a stretch of time.
//
// In a multivariant playlist a line of the community's own extension, which players that do not know it pass over:
//
//     #EXT-X-IMAGE-STREAM-INF:BANDWIDTH=17280,RESOLUTION=320x180,CODECS="jpeg",URI="storyboard.m3u8"
//
// In an MPD an AdaptationSet of images (DASH-IF IOP, "Tiles of thumbnail images"):
//
//     <AdaptationSet id="5" contentType="image" mimeType="image/jpeg">
//       <SegmentTemplate media="storyboard_$Number$.jpg" duration="250" startNumber="0"/>
//       <Representation id="storyboard" bandwidth="17280" width="1600" height="900">
//         <EssentialProperty schemeIdUri="http://dashif.org/guidelines/thumbnail_tile" value="5x5"/>
//       </Representation>
//     </AdaptationSet>
//
// A sheet is a segment, so its length in time is that of all its tiles.

/// Sheets of tiles that a player shows while a viewer seeks.
public struct ImageSet: Sendable, Equatable {
  /// Names below the asset: the playlist of images, and what stands before and behind the number of a sheet.
  public var playlistName: String
  public var sheetPrefix: String
  public var sheetSuffix: String
  /// Of one tile, in pixels.
  public var widthPixels: UInt32
  public var heightPixels: UInt32
  public var columns: UInt32
  public var rows: UInt32
  /// How long a tile stands for.
  public var tileMilliseconds: UInt64
  /// Most bits in a second, as far as is known before the sheets are made.
  public var bandwidth: UInt64

  public init(
    playlistName: String, sheetPrefix: String, sheetSuffix: String, widthPixels: UInt32, heightPixels: UInt32,
    columns: UInt32, rows: UInt32, tileMilliseconds: UInt64, bandwidth: UInt64
  ) {
    self.playlistName = playlistName
    self.sheetPrefix = sheetPrefix
    self.sheetSuffix = sheetSuffix
    self.widthPixels = widthPixels
    self.heightPixels = heightPixels
    self.columns = columns
    self.rows = rows
    self.tileMilliseconds = tileMilliseconds
    self.bandwidth = bandwidth
  }

  public var sheetMilliseconds: UInt64 {
    tileMilliseconds.multipliedSaturating(by: UInt64(columns).multipliedSaturating(by: UInt64(rows)))
  }
}

extension MPD {
  static func images(
    _ set: ImageSet, identifier: UInt64, context: Context, into writer: inout TextWriter
  ) {
    writer.literal("    <AdaptationSet id=\"")
    writer.decimal(identifier)
    writer.literal("\" contentType=\"image\" mimeType=\"image/jpeg\">\n      <SegmentTemplate media=\"")
    writer.escaped(URIText.reference(set.sheetPrefix))
    writer.literal("$Number$")
    writer.escaped(URIText.reference(set.sheetSuffix))
    writer.raw(context.templateSuffix)
    writer.literal("\" timescale=\"1000\" duration=\"")
    writer.decimal(set.sheetMilliseconds)
    writer.literal("\" startNumber=\"0\"/>\n      <Representation id=\"storyboard\" bandwidth=\"")
    writer.decimal(set.bandwidth)
    writer.literal("\" width=\"")
    writer.decimal(UInt64(set.widthPixels).multipliedSaturating(by: UInt64(set.columns)))
    writer.literal("\" height=\"")
    writer.decimal(UInt64(set.heightPixels).multipliedSaturating(by: UInt64(set.rows)))
    writer.literal(
      "\">\n        <EssentialProperty schemeIdUri=\"http://dashif.org/guidelines/thumbnail_tile\" value=\"")
    writer.decimal(UInt64(set.columns))
    writer.literal("x")
    writer.decimal(UInt64(set.rows))
    writer.literal("\"/>\n      </Representation>\n    </AdaptationSet>\n")
  }
}
