internal import COpenSSL
internal import Glibc

/// A running SHA-256, over OpenSSL's EVP interface; owns its C context.
public struct SHA256Hasher: ~Copyable, Sendable {
  // Unsafe only in that a pointer never is Sendable: this noncopyable value alone owns the context, so two
  // threads cannot reach it at once.
  nonisolated(unsafe) private let context: OpaquePointer

  /// Throws `.io` (ENOMEM) where OpenSSL cannot give a context.
  public init() throws(StoreError) {
    guard let context = EVP_MD_CTX_new() else {
      throw .system(ENOMEM, operation: "start SHA-256")
    }
    guard EVP_DigestInit_ex(context, EVP_sha256(), nil) == 1 else {
      EVP_MD_CTX_free(context)
      throw .system(ENOMEM, operation: "start SHA-256")
    }
    self.context = context
  }

  deinit { EVP_MD_CTX_free(context) }

  /// Adds bytes. About 2 GB/s with SHA extensions, 0.5 GB/s without.
  public mutating func update(_ bytes: UnsafeRawBufferPointer) {
    guard let base = bytes.baseAddress else { return }
    // Fails only for a context that was never initialised.
    let done = EVP_DigestUpdate(context, base, bytes.count)
    precondition(done == 1, "SHA-256 context is unusable")
  }

  /// The id of all bytes added; ends the hasher.
  public consuming func finish() -> BlobID {
    var output: (UInt64, UInt64, UInt64, UInt64) = (0, 0, 0, 0)
    let done = withUnsafeMutableBytes(of: &output) {
      EVP_DigestFinal_ex(context, $0.baseAddress!.assumingMemoryBound(to: UInt8.self), nil)
    }
    precondition(done == 1, "SHA-256 context is unusable")
    return BlobID(
      words: (
        output.0.bigEndian, output.1.bigEndian, output.2.bigEndian, output.3.bigEndian
      ))
  }
}
