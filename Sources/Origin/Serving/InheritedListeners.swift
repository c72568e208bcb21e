// Listening sockets that this process did not open itself
//
// Two givers hand them over, both by inheritance: the descriptors are open when the program starts, and variables of the
// environment say which they are.
//
//   systemd          socket activation. LISTEN_FDS descriptors from 3 on, for the process LISTEN_PID; LISTEN_FDNAMES has a name
//                    for each, by colons (sd_listen_fds(3)). One named "admin" is for the admin pages; the others are told
//                    by the address they are bound to.
//   the predecessor  a rolling restart (Successor.swift). HEADWATER_LISTENERS has an entry for each configured address, by
//                    semicolons, and last the pipe on which the new process says that it serves:
//
//                        listen@127.0.0.1:8080=3,4;admin@127.0.0.1:9090=5;ready=6
//
// An address of the configuration takes the sockets that are its own, and is opened anew where there are none. A socket of
// the predecessor that nobody takes is closed: the configuration has changed. One of systemd's is an error, since its clients
// would wait for ever.

import Glibc
import Loop

/// What the process was given to listen on. Each address takes its own; what is left is an error or closed.
struct InheritedListeners: Sendable, Equatable {
  enum Role: String, Sendable { case listen, admin }

  /// The sockets of one address, one for each loop of who opened them.
  struct Group: Sendable, Equatable {
    var role: Role
    /// As the configuration has it, so that port 0 finds its sockets again.
    var address: String
    var descriptors: [Int32]
  }

  static let variable = "HEADWATER_LISTENERS"
  /// The variables that hold for one process alone and are not passed on.
  static let variables = [variable, "LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES"]
  static let firstDescriptor: Int32 = 3
  private static let mostDescriptors = 65_536

  private(set) var groups: [Group] = []
  /// Where the predecessor waits for a byte; nil without one.
  private(set) var ready: Int32?
  private var comesFromSystemd = false

  init() {}

  /// Reads what the environment says and checks that each descriptor listens.
  ///
  /// - Throws: when what it says is not so. The process should not start then: somebody counts on these sockets.
  init(environment: [String: String]) throws(InheritanceError) {
    if let text = environment[Self.variable] {
      try self.init(text: text)
    } else if let count = environment["LISTEN_FDS"], environment["LISTEN_PID"] == "\(getpid())" {
      try self.init(systemdCount: count, names: environment["LISTEN_FDNAMES"] ?? "")
    } else {
      self.init()
    }
    for descriptor in groups.flatMap(\.descriptors) {
      _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC)
      guard Listener.address(listenedOnBy: descriptor) != nil else {
        throw InheritanceError("descriptor \(descriptor), which was handed over, is no listening TCP socket")
      }
    }
    if let ready { _ = fcntl(ready, F_SETFD, FD_CLOEXEC) }
  }

  private init(systemdCount: String, names: String) throws(InheritanceError) {
    guard let count = Int32(systemdCount), count >= 0, count <= Self.mostDescriptors else {
      throw InheritanceError("LISTEN_FDS is not a number of descriptors")
    }
    comesFromSystemd = true
    let names = names.split(separator: ":", omittingEmptySubsequences: false)
    for index in 0..<count {
      let descriptor = Self.firstDescriptor + index
      let isAdmin = Int(index) < names.count && names[Int(index)] == "admin"
      let address = Listener.address(listenedOnBy: descriptor)?.description ?? ""
      groups.append(Group(role: isAdmin ? .admin : .listen, address: address, descriptors: [descriptor]))
    }
  }

  /// - Throws: for anything that ``text(_:ready:)`` does not write.
  init(text: String) throws(InheritanceError) {
    var seen: Set<Int32> = []
    func number(_ text: Substring) throws(InheritanceError) -> Int32 {
      guard let number = Int32(text), number >= Self.firstDescriptor, seen.insert(number).inserted else {
        throw InheritanceError("\(Self.variable) is malformed")
      }
      return number
    }
    for entry in text.split(separator: ";", omittingEmptySubsequences: false) {
      let parts = entry.split(separator: "=", omittingEmptySubsequences: false)
      guard parts.count == 2 else { throw InheritanceError("\(Self.variable) is malformed") }
      if parts[0] == "ready", ready == nil {
        ready = try number(parts[1])
        continue
      }
      let words = parts[0].split(separator: "@", omittingEmptySubsequences: false)
      guard words.count == 2, let role = Role(rawValue: String(words[0])),
        ListenAddress(String(words[1])) != nil
      else { throw InheritanceError("\(Self.variable) is malformed") }
      var descriptors: [Int32] = []
      for part in parts[1].split(separator: ",", omittingEmptySubsequences: false) {
        descriptors.append(try number(part))
      }
      groups.append(Group(role: role, address: String(words[1]), descriptors: descriptors))
    }
  }

  /// The form that ``init(text:)`` reads.
  static func text(_ groups: [Group], ready: Int32) -> String {
    let entries = groups.map { group in
      "\(group.role.rawValue)@\(group.address)=\(group.descriptors.map(String.init).joined(separator: ","))"
    }
    return (entries + ["ready=\(ready)"]).joined(separator: ";")
  }

  /// The descriptors for an address, whose owner the caller becomes; empty where none were handed over.
  ///
  /// Addresses that are equal (port 0) get them in their order.
  mutating func take(_ role: Role, _ address: ListenAddress) -> [Int32] {
    let text = address.description
    if comesFromSystemd {
      // Several sockets may be bound to one address, and one that is not named "admin" may be the admin address's.
      let found = groups.filter { $0.address == text || (role == .admin && $0.role == .admin) }
      groups.removeAll { found.contains($0) }
      return found.flatMap(\.descriptors)
    }
    guard let index = groups.firstIndex(where: { $0.role == role && $0.address == text }) else { return [] }
    return groups.remove(at: index).descriptors
  }

  /// To be called when all addresses have taken theirs.
  mutating func finish() throws(InheritanceError) {
    if comesFromSystemd, let left = groups.first {
      throw InheritanceError(
        "systemd handed over a socket for \(left.address), which is neither in listen nor admin: add it there, or take it out of the .socket unit"
      )
    }
    for descriptor in groups.flatMap(\.descriptors) { close(descriptor) }
    groups = []
  }

  /// Tells the predecessor that this process serves, so that it drains.
  mutating func sayReady() {
    guard let ready else { return }
    var byte: UInt8 = 1
    _ = write(ready, &byte, 1)
    close(ready)
    self.ready = nil
  }
}

/// What is wrong with sockets that were handed over.
struct InheritanceError: Error, Equatable, CustomStringConvertible {
  let description: String

  init(_ description: String) { self.description = description }
}
