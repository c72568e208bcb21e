// Posters, thumbnails and seek previews of every asset of a site.
//
// Read this file first, then `ThumbnailRequest` (the names), `ThumbnailContent` (the answers), `ThumbnailPlan` (what is
// decoded for one), `ThumbnailMaker` (once for all who ask) and `StoryboardHandler` (before anybody asks). Decoding itself is `StillStudio` of Origin and
// `headwater-media stills`.

import Loop
public import Origin
public import Store
import Synchronization

public final class ThumbnailsPlugin: CatalogConsumer, JobProvider {
  public static let declaration = PluginDeclaration(
    name: "thumbnails", summary: "Posters, thumbnails on request, and storyboards for seeking.",
    settings: ThumbnailsConfig.section)

  private static let scanInterval = Duration.seconds(600)

  private let site: String
  private let config: ThumbnailsConfig
  private let maker = Mutex<ThumbnailMaker?>(nil)
  private let host = Mutex<PluginHost?>(nil)

  public init(site: String, settings: ConfigTable) throws(PluginError) {
    self.site = site
    config = try ThumbnailsConfig(settings)
  }

  public func provision(_ host: PluginHost) throws(PluginError) {
    do {
      let files = try DerivedFiles(
        host.store, owner: Self.declaration.name, site: site, budgetBytes: config.cacheBytes)
      let studio = try StillStudio.acquire()
      maker.withLock { $0 = ThumbnailMaker(files, studio, host) }
      self.host.withLock { $0 = host }
    } catch {
      throw PluginError("pictures can't be made: \(error)")
    }
  }

  public func join(_ pipeline: inout PipelineBuilder) {
    let content = ThumbnailContent(config: config) { [self] in maker.withLock { $0 } }
    pipeline.add(ThumbnailParameters())
    pipeline.add(content as any ContentHandler)
    if config.isInManifests { pipeline.add(content as any ImageSetProvider) }
  }

  public func run() async {
    guard let maker = maker.withLock({ $0 }) else { return }
    maker.studio.prepareSpare()
    while !Task.isCancelled {
      await maker.scan()
      try? await Task.sleep(for: Self.scanInterval)
    }
  }

  public func consume(_ events: [Event]) async throws {
    guard let maker = maker.withLock({ $0 }) else { return }
    for event in events {
      switch event.kind {
      case .assetRemoved: try await maker.remove(asset: event.subject)
      case .assetReady, .generationReplaced: try await prepare(asset: event.subject)
      default: continue
      }
    }
  }

  public var jobHandlers: [any JobHandler] {
    guard let maker = maker.withLock({ $0 }), let host = host.withLock({ $0 }) else { return [] }
    return [StoryboardHandler(config: config, host: host, maker: maker)]
  }

  /// Has the pictures of an asset made by a job. A generation that comes before the job was begun takes its place.
  private func prepare(asset id: String) async throws {
    guard config.isMadeAhead, let host = host.withLock({ $0 }) else { return }
    let store = host.store
    let asset = try await host.workers.run { [site] in
      try store.read { reader throws(StoreError) in try reader.asset(site: site, id: id) }
    }
    if let asset, let draft = try StoryboardHandler.draft(asset) { try await host.jobs.enqueue([draft]) }
  }

  public func shutDown() async {
    guard maker.withLock({ $0.take() }) != nil else { return }
    StillStudio.release()
  }
}
