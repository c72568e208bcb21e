// The admin listener: health, readiness, metrics, what limits say of a client, and a page for people. Never public.

import HTTP
import Loop
import Store
import Synchronization

final class AdminRouter: Router {
  private let state: ServerState
  private let origin: OriginLoop

  init(_ state: ServerState, _ origin: OriginLoop) {
    self.state = state
    self.origin = origin
  }

  func answer(
    _ request: borrowing RequestHead, from client: () -> SocketAddress?, mayWait: Bool
  ) -> Answer {
    guard request.method == .get || request.method == .head else { return .problem(.methodNotAllowed, nil) }
    switch String(decoding: [UInt8](copying: request.path), as: UTF8.self) {
    case "/healthz":
      return page("text/plain; charset=utf-8", "ok\n")
    case "/readyz":
      if let reason = notReady() {
        return .problem(
          Problem(
            status: 503, code: "not-ready", title: "Not ready", detail: reason,
            fields: [.init("Retry-After", "1")]), nil)
      }
      return page("text/plain; charset=utf-8", "ready\n")
    case "/metrics":
      // The queue may be elsewhere: it is asked first, and then so is this again.
      guard let figures = state.jobFigures.take() else {
        return .awaiting { [state] in await state.jobFigures.ask(state.jobs, state.logger) }
      }
      return page("text/plain; version=0.0.4; charset=utf-8", Metrics.text(state, origin.snapshot, figures))
    case "/limits":
      guard let client = Self.client(request.query) else {
        return .problem(
          Problem(
            status: 400, code: "address-missing", title: "No address",
            detail: "Ask for /limits?client= with an IPv4 or IPv6 address."), nil)
      }
      let lines = ClientLimits.lines(
        for: client, state, origin.snapshot.configuration.server,
        nowMicroseconds: ExchangeRecord.monotonicNanoseconds() / 1000)
      return page("text/plain; charset=utf-8", ClientLimits.page(lines))
    case "/":
      return page("text/html; charset=utf-8", Console.page(state, origin.snapshot))
    default:
      return .problem(.notFound, nil)
    }
  }

  private static func client(_ query: Span<UInt8>?) -> NetworkAddress? {
    guard let query else { return nil }
    let text = String(decoding: [UInt8](copying: query), as: UTF8.self)
    return text.hasPrefix("client=") ? NetworkAddress(String(text.dropFirst(7))) : nil
  }

  private func notReady() -> String? {
    if state.isDraining.load(ordering: .relaxed) { return "The server is draining." }
    do throws(StoreError) {
      _ = try state.store.usage()
      return nil
    } catch {
      return "The store can't be read: \(error.code.rawValue)."
    }
  }

  private func page(_ contentType: String, _ text: String) -> Answer {
    var fields = HeaderFields()
    fields.set("Cache-Control", "no-store")
    fields.set("X-Content-Type-Options", "nosniff")
    fields.set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'")
    let bytes = Array(text.utf8)
    let info = AnswerInfo(site: "", kind: .file)
    return .representation(
      Representation(
        info: info, fields: fields, contentType: Array(contentType.utf8),
        etag: Array("\(UInt(bitPattern: text.hashValue))".utf8), lastModifiedSeconds: origin.loop.wallSeconds,
        slices: [.bytes(bytes)]), nil)
  }
}
