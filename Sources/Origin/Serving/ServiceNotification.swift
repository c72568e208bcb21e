// What a service tells systemd of itself: datagrams of lines to the socket that NOTIFY_SOCKET names (sd_notify(3)). Under
// `Type=notify` it knows by them when the server serves, reloads and stops, and which process is the main one after a
// rolling restart. Without that variable nothing is sent.

import CLinux
import Glibc

/// The state of the service, as its manager is told.
struct ServiceNotification: Sendable {
  enum State: Sendable, Equatable {
    case ready
    /// Between this and the next `ready` the service changes over.
    case reloading
    case stopping
    /// Another process serves now, and is the one to watch.
    case handedOver(to: pid_t)
  }

  private let path: String?

  init(environment: [String: String]) {
    path = environment["NOTIFY_SOCKET"].flatMap { $0.hasPrefix("/") || $0.hasPrefix("@") ? $0 : nil }
  }

  /// Never blocks and never fails: a manager that does not listen is not the server's trouble.
  func send(_ state: State) {
    guard let path else { return }
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    var bytes = Array(path.utf8)
    // A leading @ stands for the NUL of the abstract namespace.
    if bytes[0] == UInt8(ascii: "@") { bytes[0] = 0 }
    guard bytes.count < MemoryLayout.size(ofValue: address.sun_path) else { return }
    withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: bytes) }
    let offset = MemoryLayout<sockaddr_un>.offset(of: \.sun_path) ?? 2
    let descriptor = socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
    guard descriptor >= 0 else { return }
    defer { close(descriptor) }
    let text = Array(Self.text(state).utf8)
    _ = withUnsafeBytes(of: &address) { address in
      sendto(
        descriptor, text, text.count, Int32(MSG_DONTWAIT) | Int32(MSG_NOSIGNAL),
        address.baseAddress?.assumingMemoryBound(to: sockaddr.self), socklen_t(offset + bytes.count))
    }
  }

  private static func text(_ state: State) -> String {
    switch state {
    case .ready: "READY=1\n"
    case .reloading: "RELOADING=1\nMONOTONIC_USEC=\(ExchangeRecord.monotonicNanoseconds() / 1000)\n"
    case .stopping: "STOPPING=1\n"
    case .handedOver(let id): "MAINPID=\(id)\nREADY=1\n"
    }
  }
}
