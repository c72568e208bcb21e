internal import CLinux
internal import Codec

#if canImport(Glibc)
internal import Glibc
#elseif canImport(Musl)
internal import Musl
#endif

/// `headwater-media sandbox-check --file PATH --port N [--threads yes]`: does inside of the whole sandbox, put up as for a job,
/// what somebody would try who has taken a decoder over. One line for each attempt; the status is 0 if all were refused.
///
/// `SandboxCheck` tells that each layer holds by itself; this tells that a job is behind all of them, in each of the two forms:
/// that for most work, and the one for encoders that need threads.
enum SandboxSiege {
  /// - Parameters:
  ///   - file: one that exists and is nobody's business in here.
  ///   - port: on loopback, where somebody listens.
  static func run(_ options: MediaOptions, file: String, port: UInt16, allowsThreads: Bool) -> Int32 {
    let path = Array(file.utf8) + [0]
    let parent = Int(getppid())
    let missing = Sandbox.enter(options.limits, options.descriptors, allowsThreads: allowsThreads)
    guard missing.allSatisfy({ $0 == .account }) else {
      // Without a layer some of this would succeed.
      for layer in missing { say("the kernel offers no \(layer.rawValue)") }
      return 1
    }
    var isSound = true
    func expect(_ name: String, _ attempt: () -> Int) {
      errno = 0
      let result = attempt()
      if result != -1 { isSound = false }
      say("\(name): \(result == -1 ? "refused (\(String(cString: strerror(errno))))" : "NOT REFUSED")")
    }
    path.withUnsafeBytes { path in
      let file = Int(bitPattern: path.baseAddress)
      expect("read a file") { call(SYS_openat, here, file, Int(O_RDONLY)) }
      expect("write a file") { call(SYS_openat, here, file, Int(O_WRONLY)) }
      expect("remove a file") { call(SYS_unlinkat, here, file) }
      expect("rename a file") { call(SYS_renameat2, here, file, here, file) }
    }
    expect("read /etc/passwd") { call(SYS_openat, here, text("/etc/passwd"), Int(O_RDONLY)) }
    expect("list /") { call(SYS_openat, here, text("/"), Int(O_RDONLY | O_DIRECTORY)) }
    expect("make a file in memory") { call(SYS_memfd_create, text("x")) }
    expect("connect") { connect(port) }
    expect("make a socket of this machine") { call(SYS_socket, 1, 1) }
    expect("run a program") {
      let arguments: [Int] = [text("/bin/true"), 0]
      return arguments.withUnsafeBytes {
        call(SYS_execve, text("/bin/true"), Int(bitPattern: $0.baseAddress))
      }
    }
    expect("start processes") {
      // Every one of them would start as many.
      for _ in 0..<64 {
        let child = call(SYS_clone, 17)
        if child == 0 { exit(0) }
        if child > 0 { return 0 }
      }
      return -1
    }
    expect("trace the parent") { call(SYS_ptrace, 16, parent) }
    expect("read the parent's memory") {
      var buffer: UInt64 = 0
      return withUnsafeMutableBytes(of: &buffer) { bytes in
        let own = [Int(bitPattern: bytes.baseAddress), 8]
        let other = [4096, 8]
        return own.withUnsafeBytes { own in
          other.withUnsafeBytes { other in
            clinux_call(
              Int(SYS_process_vm_readv), parent, Int(bitPattern: own.baseAddress), 1,
              Int(bitPattern: other.baseAddress))
          }
        }
      }
    }
    expect("kill the parent") { call(SYS_kill, parent, Int(SIGKILL)) }
    expect("kill the parent by its thread") { call(SYS_tgkill, parent, parent, Int(SIGKILL)) }
    expect("signal everybody") { call(SYS_kill, -1, 0) }
    expect("hold on to a process") { call(434, parent) }
    expect("leave the name spaces") { call(SYS_unshare, 0x1000_0000) }
    expect("mount") { call(SYS_mount, 0, 0, 0) }
    expect("ask by io_uring") { call(425, 8) }
    expect("load a program into the kernel") { call(SYS_bpf, 0) }
    expect("write down keys") { call(SYS_add_key, text("user"), text("x"), 0, 0) }
    expect("run what it writes") { call(SYS_mmap, 0, 4096, 7, 0x22) }
    expect("raise its limits") { call(SYS_prlimit64, 0, 1, 0, 0) }
    if let output = options.descriptors.outputs.first {
      expect("write 10 GB") { write(10 << 30, to: output) }
      expect("make it 10 GB long") { call(SYS_ftruncate, Int(output), 10 << 30) }
    }
    return isSound ? 0 : 1
  }

  /// As much as goes.
  /// - Returns: -1 where the end came before all of it was written.
  private static func write(_ sizeBytes: Int, to output: Int32) -> Int {
    let chunk = [UInt8](repeating: 0x78, count: 1 << 20)
    var offset = 0
    while offset < sizeBytes {
      let count = chunk.withUnsafeBytes { pwrite(output, $0.baseAddress, $0.count, off_t(offset)) }
      if count <= 0 { return -1 }
      offset += count
    }
    return 0
  }

  private static func connect(_ port: UInt16) -> Int {
    let descriptor = call(SYS_socket, 2, 1)
    guard descriptor >= 0 else { return -1 }
    let address: [UInt8] = [
      2, 0, UInt8(port >> 8), UInt8(truncatingIfNeeded: port), 127, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0,
    ]
    return address.withUnsafeBytes { call(SYS_connect, descriptor, Int(bitPattern: $0.baseAddress), 16) }
  }

  /// AT_FDCWD.
  private static let here = -100

  private static func text(_ text: StaticString) -> Int { Int(bitPattern: text.utf8Start) }

  private static func call(_ number: Int32, _ a: Int = 0, _ b: Int = 0, _ c: Int = 0, _ d: Int = 0) -> Int {
    clinux_call(Int(number), a, b, c, d)
  }

  private static func say(_ line: String) {
    MediaCommand.write(Array((line + "\n").utf8), to: STDOUT_FILENO)
  }
}
