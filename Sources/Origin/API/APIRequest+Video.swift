import Store

extension APIRequest {
  /// How long a video of the site lasts; nil where it is not packaged.
  ///
  /// - Throws: `video-unknown`; 503 where too much waits for workers.
  public nonisolated(nonsending) func durationMilliseconds(
    ofVideo id: String
  ) async throws(Problem) -> UInt64? {
    let site = site
    return try await onWorker { store throws(Problem) in
      let asset: AssetRecord?
      do throws(StoreError) {
        asset = try store.read { (reader) throws(StoreError) in try reader.asset(site: site.name, id: id) }
      } catch { throw Problem(error) }
      guard let asset else { throw .unknown("video") }
      return asset.renditions.compactMap { record in
        site.api.facts.facts(of: record.blob, isPackaged: record.hasIndex, in: store)?.durationMilliseconds
      }.max()
    }
  }
}
