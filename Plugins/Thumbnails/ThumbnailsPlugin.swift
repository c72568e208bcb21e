// Posters, thumbnails and seek previews of every asset of a site.
//
// Read this file first, then `ThumbnailRequest` (the names), `ThumbnailContent` (the answers), `ThumbnailPlan` (what is
// decoded for one) and `ThumbnailMaker` (once for all who ask). Decoding itself is `StillStudio` of Origin and
// `headwater-media stills`.

public import Origin
public import Store
import Synchronization

public final class ThumbnailsPlugin: CatalogConsumer {
  public static let declaration = PluginDeclaration(
    name: "thumbnails", summary: "Posters, thumbnails on request, and storyboards for seeking.",
    settings: ThumbnailsConfig.section)

  private static let scanInterval = Duration.seconds(600)

  private let site: String
  private let config: ThumbnailsConfig
  private let maker = Mutex<ThumbnailMaker?>(nil)

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
    for event in events where event.kind == .assetRemoved { try await maker.remove(asset: event.subject) }
  }

  public func shutDown() async {
    guard maker.withLock({ $0.take() }) != nil else { return }
    StillStudio.release()
  }
}
