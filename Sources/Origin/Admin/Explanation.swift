// What makes the answer to a URL, told step by step by the same code that serves it.

import HTTP
import Logging
import Loop
import Packaging
public import Store
import Synchronization

/// The story of one answer, as `headwater explain` prints it.
public struct Explanation: Sendable {
  public struct Entry: Sendable, Encodable {
    public var name: String
    public var value: String
  }

  /// In the order of the request's way through the server.
  public private(set) var entries: [Entry] = []

  /// Follows a URL through the configuration and the store, without a server.
  ///
  /// - Parameters:
  ///   - url: absolute (`http://host/path`), or a path, which then goes to the first site.
  ///   - client: whose request it is, without a port: tokens that are bound to an address and limits go by it. The server
  ///     that runs under this configuration is asked what it counts of that client.
  ///   - admin: where that server's admin pages are, if not where the configuration says.
  public init(
    url: String, client: String? = nil, admin: String? = nil, _ configuration: Configuration,
    _ registry: PluginRegistry, _ store: Store
  ) throws(StoreError) {
    let client = try client.map { text throws(StoreError) in
      guard let address = NetworkAddress(text) else {
        throw StoreError(.invalid, operation: "explain", message: "\(text) is no IP address")
      }
      return address
    }
    let admin = try admin.map { text throws(StoreError) in
      guard let address = ListenAddress(text) else {
        throw StoreError(.invalid, operation: "explain", message: "\(text) is no address with a port")
      }
      return address
    }
    let plugins: PluginSet
    do throws(PluginError) { plugins = try PluginSet(configuration, registry) } catch {
      throw StoreError(.invalid, operation: "configuration", message: "\(error)")
    }
    // Content keys are asked for as in service, on a loop that lives as long.
    let asks = configuration.sites.contains { site in
      site.encryption.keyURL != nil
        || plugins.plugins(of: site.name).contains { $0 is any MetadataProvider }
    }
    let threads = asks ? try? LoopThreads(count: 1) : nil
    let workers = threads.flatMap { _ in try? WorkerPool(threadCount: 1) }
    defer {
      workers?.shutdown()
      threads?.stopAndJoin()
    }
    let sites = SiteTable(
      configuration.sites.enumerated().map { number, site in
        Site(
          site, number: number, plugins: plugins.plugins(of: site.name),
          keyService: threads.flatMap { KeyService(of: site, loop: $0.loops[0], logger: Self.silence) })
      })
    let target = RequestTarget(url)
    var refusal: String?
    let refused = { (error: RequestError?) in
      refusal = error.map { "\($0.status) \($0.message)" } ?? "the URL is not complete"
    }
    try target.withHead(refused: refused) { head throws(StoreError) in
      let host = threads.flatMap { threads in
        workers.map {
          PluginHost(site: "", store: store, workers: $0, loop: threads.loops[0], logger: Self.silence)
        }
      }
      try follow(head, target.host, from: client, sites, plugins, store, host)
    }
    if let refusal { add("refused", refusal) }
    guard let client else { return }
    for line in ClientLimits.lines(for: client, configuration.server)
      + ClientLimits.ask(admin ?? configuration.server.admin, about: client)
    {
      add(line.name, line.value)
    }
  }

  private mutating func follow(
    _ head: borrowing RequestHead, _ host: String, from client: NetworkAddress?, _ sites: SiteTable,
    _ plugins: PluginSet, _ store: Store, _ outgoing: PluginHost?
  ) throws(StoreError) {
    let peer = client.map { SocketAddress(address: $0.bits, isIPv6: $0.isIPv6, port: 0) }
    let found = host.isEmpty ? sites.sites.first : sites.site(for: head.host)
    guard let site = found else {
      return add("site", "none answers for \(host); add it to the hosts of a site")
    }
    add("site", "\(site.name)\(site.configuration.file.map { " (\($0))" } ?? "")")
    var path: [UInt8] = []
    if !site.pipeline.writeName(of: head, to: &path) { path = [UInt8](copying: head.path) }
    add("path", String(decoding: path, as: UTF8.self))
    let names = plugins.members.filter { $0.site == site.name }.map(\.name)
    add("plugins", names.isEmpty ? "none" : names.joined(separator: ", "))
    if site.originSecret != nil {
      add("origin secret", "needed in \(site.configuration.originSecret.header); not looked at here")
    }
    let target = site.pipeline.locate.lazy.compactMap({ $0.locate(path, in: site) }).first
    if case .asset(let asset)? = target, let provider = site.pipeline.metadata, let outgoing {
      describe(asset.id, by: provider, outgoing, site)
    }
    var hasToken = false
    for handler in site.pipeline.access {
      if let signed = handler as? SignedAccess {
        for line in signed.explain(head, from: { peer }) { add(line.name, line.value) }
      }
      let verdict: String
      switch handler.check(head, from: { peer }, in: site) {
      case .pass: verdict = "passes"
      case .grant:
        verdict = "passes with a token"
        hasToken = true
      case .awaiting: verdict = "needs to know more about the video first"
      case .refuse(let problem): verdict = "refuses with \(problem.status) \(problem.code): \(problem.detail)"
      }
      add("access", "\(type(of: handler)) \(verdict)")
    }
    guard let target else {
      return add("answer", "404: no handler knows this path")
    }
    let context = try ContentContext(store: store, site: site)
    _ = try context.reader.renew()
    defer { context.reader.end() }
    context.begin(
      site, nowSeconds: Store.wallClockMilliseconds() / 1000, mayWait: true, hasToken: hasToken)
    do throws(Problem) {
      if case .asset(let asset) = target,
        case .awaiting(let work)? = try context.missingElsewhere(of: asset.id)
      {
        Self.wait(for: work)
        add("key service", "asked for the content key")
      }
      try describe(target, in: context)
      try answer(target, site, context)
    } catch {
      add("answer", "\(error.status) \(error.code): \(error.detail)")
    }
  }

  /// What the site's own systems say about a video.
  private mutating func describe(
    _ id: String, by provider: any MetadataProvider, _ host: PluginHost, _ site: Site
  ) {
    let host = PluginHost(
      site: site.name, store: host.store, workers: host.workers, loop: host.loop, logger: host.logger)
    let lines = Lines()
    Self.wait {
      let entries = await provider.explain(id, in: host).map { Entry(name: $0.name, value: $0.value) }
      lines.told.withLock { $0 = entries }
    }
    for line in lines.told.withLock({ $0 }) { add(line.name, line.value) }
  }

  private final class Lines: Sendable {
    let told = Mutex<[Entry]>([])
  }

  private static let silence = Logger(label: "explain") { _ in SwiftLogNoOpLogHandler() }

  /// Blocks: there is no loop to hold up.
  private static func wait(for work: @escaping @Sendable () async -> Void) {
    let done = Semaphore()
    Task.detached {
      await work()
      done.signal()
    }
    done.wait()
  }

  private mutating func describe(_ target: Target, in context: ContentContext) throws(Problem) {
    switch target {
    case .file(let path): add("file", String(decoding: path, as: UTF8.self))
    case .blob(let id): add("blob", id.hex)
    case .video(let id): add("video", id)
    case .plugin(let name, let path): add("plugin \(name)", String(decoding: path, as: UTF8.self))
    case .asset(let asset):
      add("asset", asset.id)
      let edition = try Edition(asset, in: context)
      add(
        "generation", "\(edition.generation.hex)\(edition.isPinned ? ", pinned by the path" : ", the newest")"
      )
      if let until = edition.replacedUntilSeconds {
        add("replaced", "served until \(AccessRecord.iso8601(until * 1000))")
      }
      add("source", "\(edition.source.hex) \(edition.mediaType)")
      let packaged = edition.renditions.filter { $0.hasIndex && $0.blob != edition.source }
      for blob in Set(packaged.map(\.blob.hex)).sorted() { add("packaged from", blob) }
      if let protection = edition.protection {
        add("encryption", "below enc/\(protection.name)/ with \(protection.key)")
      }
      if let reason = edition.reason { return add("bytes only", reason) }
      if let clip = edition.clip {
        add("clip", "\(clip.startMilliseconds) ms to \(clip.endMilliseconds) ms, widened to key frames")
      }
      for defect in try context.defects(ofAsset: asset.id) { add("defect", defect) }
      for record in edition.renditions {
        switch record.kind {
        case .video, .audio: try describe(record, of: edition, asset.resource, in: context)
        case .subtitle: add("rendition", "\(record.name): WebVTT, language \(record.language ?? "und")")
        case .file: continue
        }
      }
    }
  }

  private mutating func describe(
    _ record: RenditionRecord, of edition: Edition, _ resource: AssetResource, in context: ContentContext
  ) throws(Problem) {
    let indexed = try edition.track(record.name, in: context)
    let (track, segments) = (indexed.track, indexed.segments)
    add(
      "rendition",
      "\(record.name): track \(indexed.number), \(track.codecString), timescale \(track.timescale), \(segments.count) segments, shift \(track.presentationShiftTicks) ticks"
    )
    guard case .rendition(record.name, let part) = resource else { return }
    switch part {
    case .segment(let number, _):
      guard segments.indices.contains(number) else {
        return add("segment", "\(number) does not exist; the last is \(segments.count - 1)")
      }
      add("segment", Self.segment(segments[number], number, track))
    case .playlist:
      for (number, segment) in segments.enumerated() {
        add("segment", Self.segment(segment, number, track))
      }
    case .iFrame, .iFramePlaylist:
      for (number, frame) in try indexed.keyFrames().enumerated() {
        add(
          "key frame", "\(number): sample \(frame.sample), tick \(frame.startTicks), \(frame.sizeBytes) bytes"
        )
      }
    default: return
    }
  }

  private static func segment(_ segment: Segment, _ number: Int, _ track: Track) -> String {
    let scale = UInt64(track.timescale)
    func seconds(_ ticks: UInt64) -> String {
      let (whole, rest) = ticks.quotientAndRemainder(dividingBy: scale)
      let thousandths = (rest * 1000 + scale / 2) / scale
      let fraction = String(thousandths % 1000)
      return "\(whole + thousandths / 1000).\(String(repeating: "0", count: 3 - fraction.count))\(fraction)"
    }
    return
      "\(number): \(seconds(segment.startTicks)) s to \(seconds(segment.startTicks + segment.durationTicks)) s, samples \(segment.firstSample) to \(UInt64(segment.firstSample) + UInt64(segment.sampleCount)), \(segment.mediaBytes) media bytes"
  }

  private mutating func answer(_ target: Target, _ site: Site, _ context: ContentContext) throws(Problem) {
    for handler in site.pipeline.content {
      switch try handler.content(for: target, in: context) {
      case .declined: continue
      case .cold, .awaiting, .suspended:
        return add("answer", "\(type(of: handler)) makes it in the background")
      case .representation(let made):
        add(
          "answer", "200 by \(type(of: handler)), \(made.lengthBytes) bytes in \(made.slices.count) slice(s)")
        add("class", "\(made.info.kind.rawValue)\(made.info.isImmutable ? ", immutable under this URL" : "")")
        for line in String(decoding: made.fieldLines, as: UTF8.self).split(separator: "\r\n") {
          add("header", String(line))
        }
        return
      }
    }
    add("answer", "404: no handler makes this")
  }

  private mutating func add(_ name: String, _ value: String) {
    entries.append(Entry(name: name, value: value))
  }
}
