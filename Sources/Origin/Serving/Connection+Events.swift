// A stream of events on an HTTP/1.1 connection: chunks (RFC 9112 §7.1) until the client or the server ends. It is the last
// answer on its connection.
//
//     head ──► next bytes ──► sent whole ──► next bytes …
//                        └──► socket full: wait for it, within the send timeout, then the rest, then the next

import HTTP
import Loop

extension Connection {
  func respond(_ reply: APIReply, events subscription: EventSubscription, site: Site) {
    keepsAlive = false
    begin(site, status: reply.status, kind: .api)
    let writer = ResponseWriter(owner, keepsAlive: false, exchange: exchange)
    var reply = reply
    // HTTP/1.0 knows no chunks: there the end of the connection is the end of the body.
    let isChunked = owner.head.versionMinor > 0
    if isChunked { reply.fields.set("Transfer-Encoding", "chunked") }
    let isHead = owner.head.method == .head
    guard let count = writer.write(reply, site: site) else {
      owner.log(.headTooLarge, nil)
      return abort()
    }
    let head = Array(UnsafeRawBufferPointer(rebasing: owner.output[..<count]))
    if isHead { return send(count) }
    events = EventStream(subscription, on: owner, isChunked: isChunked)
    // So that the client's end is noticed.
    socket.startReading(self)
    sendEventBytes(head)
  }

  /// Sends bytes, then what comes next.
  private func sendEventBytes(_ bytes: [UInt8]) {
    guard state == .responding, events != nil else { return }
    owner.counters.sentBytes.add(UInt64(bytes.count))
    answerBytes += UInt64(bytes.count)
    sendEventRest(bytes[...])
  }

  private func sendEventRest(_ bytes: ArraySlice<UInt8>) {
    guard state == .responding, let events else { return }
    var rest = bytes
    while !rest.isEmpty {
      switch rest.withUnsafeBytes({ socket.send($0, more: false) }) {
      case .sent(let count) where count > 0: rest = rest.dropFirst(count)
      case .sent, .wouldBlock:
        owner.deadlines.arm(deadline, .send)
        return socket.whenWritable { self.sendEventRest(rest) }
      case .failed: return abort()
      }
    }
    guard !socket.hasBacklog else {
      owner.deadlines.arm(deadline, .send)
      return socket.whenWritable { self.sendEventRest([]) }
    }
    socket.stopWaiting()
    owner.deadlines.cancel(deadline)
    // In a turn of its own, so that a long log neither deepens the stack nor keeps the loop.
    owner.loop.schedule(afterMilliseconds: 0) {
      events.next(whileWaiting: {}) { self.sendEvents($0) }
    }
  }

  private func sendEvents(_ bytes: [UInt8]?) {
    guard state == .responding else { return }
    let isChunked = events?.isChunked == true
    guard let bytes else {
      endEvents()
      let last = isChunked ? Array("0\r\n\r\n".utf8) : []
      guard case .sent(last.count) = last.withUnsafeBytes({ socket.send($0, more: false) }) else {
        return abort()
      }
      return finish()
    }
    guard isChunked else { return sendEventBytes(bytes) }
    sendEventBytes(Array("\(String(bytes.count, radix: 16))\r\n".utf8) + bytes + [0x0D, 0x0A])
  }

  func endEvents() {
    events?.end()
    events = nil
  }
}
