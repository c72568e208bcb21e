// A stream of events on an HTTP/2 stream: DATA frames as the client's window lets them go, until the client or the server
// ends it.

import HTTP
import Loop

/// What of the events waits for a window, or what they wait for.
final class HTTP2EventBody {
  let source: EventStream
  fileprivate var bytes: ArraySlice<UInt8> = []
  fileprivate var isAsked = false
  fileprivate var hasEnded = false

  fileprivate init(_ source: EventStream) { self.source = source }
}

extension HTTP2Stream {
  func respond(_ reply: APIReply, events subscription: EventSubscription, site: Site) {
    begin(site, status: reply.status, kind: .api)
    if owner.head.method != .head { events = HTTP2EventBody(EventStream(subscription, on: owner)) }
    submit(writer.write(reply, site: site), ResponseBody(bytes: []))
  }

  /// As `readyBytes(upTo:)`, which leaves streams of events to this.
  func readyEventBytes(of body: HTTP2EventBody, upTo limit: Int) -> Int? {
    if !body.bytes.isEmpty { return min(limit, body.bytes.count) }
    if body.hasEnded { return 0 }
    guard !body.isAsked else { return nil }
    body.isAsked = true
    // Not inside of nghttp2's call.
    owner.loop.schedule(afterMilliseconds: 0) {
      body.source.next(whileWaiting: { self.noteProgress() }) { bytes in
        guard !self.isClosed else { return }
        body.isAsked = false
        if let bytes { body.bytes = bytes[...] } else { body.hasEnded = true }
        self.noteProgress()
        self.connection.resume(self)
      }
    }
    return nil
  }

  func takeEventBytes(of body: HTTP2EventBody, into buffer: UnsafeMutableRawBufferPointer) {
    buffer.copyBytes(from: body.bytes.prefix(buffer.count))
    body.bytes = body.bytes.dropFirst(buffer.count)
  }
}
