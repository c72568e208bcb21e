internal import Foundation
internal import Glibc

/// Steers `Tests/Faults/fault_shim.c`, which makes the disk of a program under test fail; see there.
///
/// Give `environment` to the program. What is armed holds for all programs that have it, from the next call on.
public final class FaultShim: Sendable {
  /// In the order of `enum kind` of the shim. `malloc` is apart: it needs a library's name.
  public enum Call: Int, CaseIterable, Sendable {
    case open, read, pread, write, pwrite, fsync, fdatasync, rename, link, unlink, mkdir, ftruncate,
      fallocate, mmap
    case sendfile, stat, opendir, malloc

    /// All that touch files.
    public static let files = allCases.filter { $0 != .malloc }
  }

  public enum Fault: Sendable {
    case fail(Int32)
    /// Half of the bytes asked for, in reads and writes.
    case short
    case delay(milliseconds: UInt32)
    /// SIGKILL in place of the call.
    case kill
  }

  private static let pageBytes = 4096
  /// Offsets in `struct control`.
  private enum Offset {
    static let (mode, kinds, error, delay, countdown, sticky, perMille, seed) = (0, 4, 8, 12, 16, 24, 28, 32)
    static let (clock, faults, counts) = (40, 48, 56)
    static let (folder, trace, lastPath, only, library) = (248, 1272, 2296, 3320, 3576)
  }

  private let ownFolder: TemporaryFolder
  // One page shared with the programs under test, unmapped with this object.
  private nonisolated(unsafe) let control: UnsafeMutableRawPointer
  private let libraryPath: String

  /// - Parameters:
  ///   - folder: the absolute path below which calls count.
  ///   - isTracing: write all changes below it to `tracePath`.
  public init(below folder: String, isTracing: Bool = false) throws {
    libraryPath = try Self.built.get()
    ownFolder = try TemporaryFolder("faults")
    let file = try ownFolder.write("control", [UInt8](repeating: 0, count: Self.pageBytes))
    let descriptor = open(file, O_RDWR | O_CLOEXEC)
    guard descriptor >= 0 else { throw SupportError("cannot open \(file)") }
    defer { close(descriptor) }
    let page = mmap(nil, Self.pageBytes, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0)
    guard let page, page != MAP_FAILED else { throw SupportError("cannot map \(file)") }
    control = page
    put(folder, at: Offset.folder, room: 1024)
    if isTracing {
      try ownFolder.write("trace", [UInt8]())
      put(tracePath, at: Offset.trace, room: 1024)
    }
  }

  deinit { munmap(control, Self.pageBytes) }

  /// What makes a program load the shim.
  public var environment: [String: String] {
    ["LD_PRELOAD": libraryPath, "HEADWATER_FAULTS": ownFolder.path("control")]
  }

  public var tracePath: String { ownFolder.path("trace") }

  /// Has a fault come at the `nth` of these calls from now on, counted together from 1.
  ///
  /// - Parameters:
  ///   - isSticky: at all calls after it, too.
  ///   - only: part of the path, such as `/blobs/`; empty is any.
  ///   - library: part of the file name of the library whose allocations fail, for `malloc`.
  public func arm(
    _ fault: Fault, at calls: [Call], nth: Int, isSticky: Bool = false, only: String = "",
    library: String = ""
  ) {
    arm(fault, calls, only: only, library: library) {
      control.storeBytes(of: Int64(nth), toByteOffset: Offset.countdown, as: Int64.self)
      control.storeBytes(of: isSticky ? 1 : 0, toByteOffset: Offset.sticky, as: UInt32.self)
      control.storeBytes(of: 0, toByteOffset: Offset.perMille, as: UInt32.self)
    }
  }

  /// Has a fault come at a share of these calls.
  public func arm(_ fault: Fault, at calls: [Call], perMille: UInt32, seed: UInt64) {
    arm(fault, calls, only: "", library: "") {
      control.storeBytes(of: perMille, toByteOffset: Offset.perMille, as: UInt32.self)
      control.storeBytes(of: seed, toByteOffset: Offset.seed, as: UInt64.self)
    }
  }

  private func arm(_ fault: Fault, _ calls: [Call], only: String, library: String, _ set: () -> Void) {
    disarm()
    put(only, at: Offset.only, room: 256)
    put(library, at: Offset.library, room: 128)
    set()
    control.storeBytes(
      of: calls.reduce(0) { $0 | 1 << UInt32($1.rawValue) }, toByteOffset: Offset.kinds, as: UInt32.self)
    let mode: UInt32
    switch fault {
    case .fail(let error):
      control.storeBytes(of: error, toByteOffset: Offset.error, as: Int32.self)
      mode = 1
    case .short: mode = 2
    case .delay(let milliseconds):
      control.storeBytes(of: milliseconds, toByteOffset: Offset.delay, as: UInt32.self)
      mode = 3
    case .kill: mode = 4
    }
    control.storeBytes(of: mode, toByteOffset: Offset.mode, as: UInt32.self)
  }

  /// All calls succeed again.
  public func disarm() { control.storeBytes(of: 0, toByteOffset: Offset.mode, as: UInt32.self) }

  /// Calls of a kind since the last `resetCounts`.
  public func count(_ call: Call) -> Int {
    Int(control.load(fromByteOffset: Offset.counts + 8 * call.rawValue, as: UInt64.self))
  }

  /// Calls that met a fault since the last `resetCounts`.
  public var faults: Int { Int(control.load(fromByteOffset: Offset.faults, as: UInt64.self)) }

  public func resetCounts() {
    memset(control + Offset.faults, 0, 8 + 24 * 8)
  }

  /// The path of the last call that met a fault.
  public var lastPath: String {
    String(cString: (control + Offset.lastPath).assumingMemoryBound(to: CChar.self))
  }

  /// What the programs' wall clock is ahead of the system's.
  public var clockOffsetSeconds: Int64 {
    get { control.load(fromByteOffset: Offset.clock, as: Int64.self) }
    set { control.storeBytes(of: newValue, toByteOffset: Offset.clock, as: Int64.self) }
  }

  private func put(_ text: String, at offset: Int, room: Int) {
    let bytes = Array(text.utf8.prefix(room - 1)) + [0]
    (control + offset).copyMemory(from: bytes, byteCount: bytes.count)
  }

  /// The library, built once for each state of its source.
  private static let built = Result<String, SupportError> { () throws(SupportError) in
    let source = Checkout.root.appending(path: "Tests/Faults/fault_shim.c").path
    let folder = Checkout.root.appending(path: ".build/faults").path
    guard let compiler = Checkout.tool("clang") ?? Checkout.tool("cc") else {
      throw SupportError("no C compiler on PATH for the fault shim")
    }
    do {
      try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
      let fresh = "\(folder)/fault_shim-\(getpid()).so"
      let done = try Command.run(
        compiler, ["-shared", "-fPIC", "-O2", "-Wall", "-Wextra", "-Werror", "-o", fresh, source, "-ldl"])
      guard done.status == 0 else { throw SupportError("the fault shim does not build: \(done.errors)") }
      let library = "\(folder)/fault_shim.so"
      guard rename(fresh, library) == 0 else { throw SupportError("cannot rename \(fresh)") }
      return library
    } catch {
      throw error as? SupportError ?? SupportError("\(error)")
    }
  }
}
