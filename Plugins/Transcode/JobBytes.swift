import Glibc
import Origin
import Packaging
import Store

/// A job's source as the packaging module reads it.
struct JobBytes: ByteSource {
  let source: JobSource
  var lengthBytes: UInt64 { source.sizeBytes }

  func read(at offset: UInt64, into buffer: UnsafeMutableRawBufferPointer) throws(MediaError) -> Int {
    guard let start = off_t(exactly: offset) else { return 0 }
    var done = 0
    while done < buffer.count {
      let count = pread(
        source.descriptor, buffer.baseAddress?.advanced(by: done), buffer.count - done, start + off_t(done))
      if count < 0, errno == EINTR { continue }
      guard count >= 0 else {
        throw .sourceUnreadable(
          reason: MediaReason(
            code: "unreadable", message: "The file can't be read: \(String(cString: strerror(errno)))."))
      }
      if count == 0 { break }
      done += count
    }
    return done
  }
}

/// What libav calls a container that our own probe has told.
enum SourceContainer {
  private static let others = [
    "Ogg": "ogg", "FLAC": "flac", "FLV": "flv", "MP3": "mp3", "AAC": "aac", "WAV": "wav", "AVI": "avi",
    "MPEG program stream": "mpeg",
  ]

  static func demuxer(of bytes: JobBytes) throws(JobFailure) -> String {
    let kind: MediaKind
    do throws(MediaError) { kind = try MediaProbe.kind(of: bytes) } catch {
      throw JobFailure(.retryable, code: "source-unreadable", error.message)
    }
    switch kind {
    case .progressiveMP4, .fragmentedMP4: return "mov"
    case .matroska: return "matroska"
    case .mpegTS: return "mpegts"
    case .otherMedia(let name):
      if let demuxer = others[name] { return demuxer }
      throw JobFailure(.permanent, code: "container", "\(name) is not a container that is transcoded.")
    case .hlsPlaylist, .mpd, .image, .text, .unknown:
      throw JobFailure(.permanent, code: "container", "The source is no media that can be transcoded.")
    }
  }
}

extension JobFailure {
  /// What a process reported as its failure.
  init(_ failure: RemuxReport.Failure, log: String = "") {
    let kind: Kind = failure.kind == .environment ? .retryable : .permanent
    self.init(kind, code: "transcode-\(failure.code)", failure.message, log: log)
  }
}
