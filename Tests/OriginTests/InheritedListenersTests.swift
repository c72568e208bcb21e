import Glibc
import Loop
import Testing

@testable import Origin

@Suite struct InheritedListenersTests {
  @Test func whatOneProcessWritesTheNextReads() throws {
    let groups: [InheritedListeners.Group] = [
      .init(role: .listen, address: "127.0.0.1:0", descriptors: [3, 4]),
      .init(role: .listen, address: "127.0.0.1:0", descriptors: [5]),
      .init(role: .listen, address: "[::1]:8080", descriptors: [6]),
      .init(role: .admin, address: "127.0.0.1:9090", descriptors: [7]),
    ]
    let text = InheritedListeners.text(groups, ready: 8)
    #expect(
      text
        == "listen@127.0.0.1:0=3,4;listen@127.0.0.1:0=5;listen@[::1]:8080=6;admin@127.0.0.1:9090=7;ready=8")
    var inherited = try InheritedListeners(text: text)
    #expect(inherited.groups == groups && inherited.ready == 8)
    // Equal addresses take theirs in order; an address that was not there before has none.
    let any = ListenAddress(host: "127.0.0.1", port: 0)
    #expect(inherited.take(.listen, any) == [3, 4])
    #expect(inherited.take(.listen, any) == [5])
    #expect(inherited.take(.listen, any) == [])
    #expect(inherited.take(.listen, ListenAddress(host: "::1", port: 8080)) == [6])
    #expect(
      inherited.take(.listen, ListenAddress(host: "127.0.0.1", port: 9090)) == [], "that is the admin's")
    #expect(inherited.take(.admin, ListenAddress(host: "127.0.0.1", port: 9090)) == [7])
  }

  @Test(arguments: [
    "", ";", "ready", "ready=", "ready=2", "ready=x", "ready=3;ready=4", "listen@127.0.0.1:80",
    "listen@127.0.0.1:80=", "listen@127.0.0.1:80=3,", "listen@127.0.0.1:80=3,3", "listen@localhost:80=3",
    "other@127.0.0.1:80=3", "listen@127.0.0.1:80=3;", "listen@127.0.0.1:80=3=4",
    "listen@127.0.0.1:80=99999999999",
  ]) func anythingElseIsRefused(_ text: String) {
    #expect(throws: InheritanceError.self) { try InheritedListeners(text: text) }
  }

  @Test func aDescriptorThatDoesNotListenIsRefused() {
    let plain = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    defer { close(plain) }
    #expect(throws: InheritanceError.self) {
      try InheritedListeners(environment: ["HEADWATER_LISTENERS": "listen@127.0.0.1:80=\(plain)"])
    }
  }

  @Test func socketsForAnotherProcessAreNotTaken() throws {
    let inherited = try InheritedListeners(environment: ["LISTEN_FDS": "1", "LISTEN_PID": "1"])
    #expect(inherited == InheritedListeners())
    #expect(throws: InheritanceError.self) {
      try InheritedListeners(environment: ["LISTEN_FDS": "-1", "LISTEN_PID": "\(getpid())"])
    }
  }
}
