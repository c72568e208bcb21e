// What a finished job does to the catalog, inside the transaction of its end.
extension Store {
  /// Applies a change; returns why it does not fit, and then nothing was written.
  func apply(
    _ change: AssetChange, site: String, _ transaction: borrowing WriteTransaction, nowMilliseconds now: Int64
  ) throws(StoreError) -> JobError? {
    switch change {
    case .renditions(let id, let source, let added, let removed, let status):
      guard AssetID.isValid(id), let old = try currentAsset(transaction.view, site: site, id: id) else {
        return JobError(code: JobError.outdated, message: "The asset is not there any more.")
      }
      guard old.source == source else {
        return JobError(code: JobError.outdated, message: "The asset has another source by now.")
      }
      for blob in change.blobs { try requireBlob(blob, transaction, nowMilliseconds: now) }
      let replaced = Set(removed).union(added.map(\.name))
      var draft = AssetDraft(of: old)
      draft.renditions = old.renditions.filter { !replaced.contains($0.name) } + added
      // Pictures first, then sound: players begin with the first of a kind.
      draft.renditions = ([.video, .audio, .subtitle, .file] as [RenditionKind]).flatMap { kind in
        draft.renditions.filter { $0.kind == kind }
      }
      // A source that can't be packaged no longer keeps the asset from playing.
      if let reason = draft.reason,
        draft.renditions.contains(where: { $0.kind == .video || $0.kind == .audio })
      {
        draft.reason = nil
        draft.defects.append("source-not-packaged: \(reason)")
      }
      if let status { draft.status = status }
      var new = Store.merge(draft, into: old, nowMilliseconds: now)
      if new == old { return nil }
      new.updatedMilliseconds = max(now, old.updatedMilliseconds &+ 1)
      try write(new, replacing: old, transaction, nowMilliseconds: now)
      return nil
    }
  }
}

extension AssetDraft {
  /// What would leave an asset as it is.
  public init(of asset: AssetRecord) {
    self.init(
      site: asset.site, id: asset.id, title: asset.title, description: asset.description, tags: asset.tags,
      privacy: asset.privacy, status: asset.status, source: asset.source, sourceName: asset.sourceName,
      mediaType: asset.mediaType, renditions: asset.renditions, reason: asset.reason, defects: asset.defects)
  }
}
