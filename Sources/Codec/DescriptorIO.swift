internal import CLibAV

#if canImport(Glibc)
internal import Glibc
#elseif canImport(Musl)
internal import Musl
#endif

/// libav's view of a seekable descriptor: read or write, and seek, nothing else.
///
/// The descriptor's own position is moved once, to the end, and never used, so that one descriptor serves several. After the length was
/// asked for at the start, `pread` and `pwrite` are the only system calls it makes.
final class DescriptorIO {
  private static let bufferBytes = 64 << 10
  let context: UnsafeMutablePointer<AVIOContext>
  private let state: UnsafeMutablePointer<State>

  fileprivate struct State {
    var descriptor: Int32
    var offset: Int64 = 0
    var length: Int64
    /// The first error number of a system call, 0 as long as there was none.
    var failure: Int32 = 0
  }

  /// nil where there is no memory, or the descriptor cannot be sought in.
  init?(descriptor: Int32, isWritable: Bool) {
    let length = lseek(descriptor, 0, SEEK_END)
    guard length >= 0, let buffer = av_malloc(Self.bufferBytes) else { return nil }
    let state = UnsafeMutablePointer<State>.allocate(capacity: 1)
    state.initialize(to: State(descriptor: descriptor, length: Int64(length)))
    let bytes = buffer.assumingMemoryBound(to: UInt8.self)
    guard
      let made = avio_alloc_context(
        bytes, Int32(Self.bufferBytes), isWritable ? 1 : 0, state, Self.read, isWritable ? Self.write : nil,
        Self.seek)
    else {
      av_free(buffer)
      state.deallocate()
      return nil
    }
    context = made
    self.state = state
  }

  deinit {
    // libav may have put another buffer in place of ours: free the one it holds now.
    av_free(context.pointee.buffer)
    var doomed: UnsafeMutablePointer<AVIOContext>? = context
    avio_context_free(&doomed)
    state.deallocate()
  }

  /// The first error number of a system call, nil as long as there was none.
  var failure: Int32? { state.pointee.failure == 0 ? nil : state.pointee.failure }

  private static let read:
    @convention(c) (UnsafeMutableRawPointer?, UnsafeMutablePointer<UInt8>?, Int32) -> Int32 = {
      opaque, buffer, count in
      guard let state = opaque?.assumingMemoryBound(to: State.self), let buffer else {
        return clibav_error_permission
      }
      var result = -1
      repeat {
        result = pread(state.pointee.descriptor, buffer, Int(count), off_t(state.pointee.offset))
      } while result < 0 && errno == EINTR
      if result == 0 { return clibav_error_eof }
      guard result > 0 else {
        state.pointee.failure = errno
        return -errno
      }
      state.pointee.offset += Int64(result)
      return Int32(result)
    }

  private static let write:
    @convention(c) (UnsafeMutableRawPointer?, UnsafeMutablePointer<UInt8>?, Int32) -> Int32 = {
      opaque, buffer, count in
      guard let state = opaque?.assumingMemoryBound(to: State.self), let buffer else {
        return clibav_error_permission
      }
      var done = 0
      while done < Int(count) {
        let result = pwrite(
          state.pointee.descriptor, buffer + done, Int(count) - done, off_t(state.pointee.offset))
        guard result >= 0 || errno == EINTR else {
          if state.pointee.failure == 0 { state.pointee.failure = errno }
          return -errno
        }
        done += max(result, 0)
        state.pointee.offset += Int64(max(result, 0))
        state.pointee.length = max(state.pointee.length, state.pointee.offset)
      }
      return count
    }

  private static let seek: @convention(c) (UnsafeMutableRawPointer?, Int64, Int32) -> Int64 = {
    opaque, offset, whence in
    guard let state = opaque?.assumingMemoryBound(to: State.self) else {
      return Int64(clibav_error_permission)
    }
    let wanted: (partialValue: Int64, overflow: Bool)
    switch whence & ~Int32(clibav_seek_force) {
    case Int32(clibav_seek_size): return state.pointee.length
    case SEEK_SET: wanted = (offset, false)
    case SEEK_CUR: wanted = state.pointee.offset.addingReportingOverflow(offset)
    case SEEK_END: wanted = state.pointee.length.addingReportingOverflow(offset)
    default: return Int64(-EINVAL)
    }
    // Room is left so that no later addition of a count overflows.
    guard !wanted.overflow, (0...Int64.max >> 1).contains(wanted.partialValue) else { return Int64(-EINVAL) }
    state.pointee.offset = wanted.partialValue
    return wanted.partialValue
  }
}
