import Packaging
public import Store

/// Into how many segments renditions are cut.
public enum SegmentCount {
  /// Blocks on the disk.
  ///
  /// - Parameter targetMilliseconds: the site's segment length, as `PluginHost` has it.
  /// - Returns: nil for what has no packaging index, or none that can be read.
  /// - Complexity: linear in the segments of the blob; in its samples where it was cut for another length.
  public static func of(
    _ rendition: RenditionRecord, in store: Store, targetMilliseconds: UInt32
  ) -> Int? {
    guard rendition.hasIndex,
      let loaded = try? LoadedIndex(of: rendition.blob, in: store, targetMilliseconds),
      rendition.trackIndex < loaded.index.tracks.count
    else { return nil }
    return loaded.index.segments[Int(rendition.trackIndex)].count
  }
}
