import Packaging
import Store

// What the jobs of the plugin tell one another, as JSON: a payload has at most 16 KiB, so lists of chunks stand in the
// dependencies of a job and not in its payload.

/// `transcode.plan` and `transcode.choose`: which media of an asset to transcode.
struct PlanPayload: Codable, Equatable {
  var asset: String
  var source: String
  /// The MP4 that is packaged: the source itself, or what was made of it.
  var packaged: String?
  /// The tracks of that, counted as the packaging index counts them.
  var videoTrack: UInt32?
  var audioTrack: UInt32?
  /// Of the event that brought it about: what makes the jobs of one change of an asset different from those of another.
  var occasion: UInt64
}

/// `transcode.chunk`. The result is a `ChunkResult`.
struct ChunkPayload: Codable, Equatable {
  var blob: String
  var demuxer: String
  var request: TranscodeRequest
  var mediaSeconds: Double
}

/// `transcode.audio`. The result is a `ChunkResult` too.
struct SoundPayload: Codable, Equatable {
  var blob: String
  var demuxer: String
  var request: TranscodeAudioRequest
  var mediaSeconds: Double
}

/// `transcode.probe`. The result is a `ProbeResult`.
struct ProbePayload: Codable, Equatable {
  var blob: String
  var demuxer: String
  var probe: TranscodeProbe
  var mediaSeconds: Double
}

struct ProbeResult: Codable, Equatable {
  var measures: [TranscodeReport.Measure]
}

struct ChunkResult: Codable, Equatable {
  /// An MP4 of a track for each rung, in their order, times counted from the start of the chunk. Nil of a chunk without
  /// pictures.
  var blob: String?
  /// Pictures decoded, or samples of sound encoded.
  var frames: Int64
  /// What the process remarked, such as an encoder that another took the place of.
  var warnings: [RemuxReport.Remark]?
}

/// `transcode.join`: waits for all chunks of its rungs, in their order, and the sound after them.
struct JoinPayload: Codable, Equatable {
  enum Sound: Codable, Equatable {
    case none
    /// A track of a blob, as it is.
    case kept(blob: String, track: UInt32)
    /// The last dependency.
    case encoded
  }

  var asset: String
  var source: String
  /// The names of the renditions, in the order of the tracks of each chunk; empty for sound alone.
  var rungs: [String]
  /// When the last picture ends, in ticks of the chunks' timescale.
  var endTicks: Int64?
  var sound: Sound
  /// Renditions that are not needed any more once these are there.
  var removed: [String]
  /// Nothing is left to do for the asset.
  var isLast: Bool
}

extension BlobID {
  /// From JSON.
  static func parse(_ text: String) throws(JobFailure) -> BlobID {
    guard let blob = BlobID(hex: text) else {
      throw JobFailure(.permanent, code: "job-json", "A blob in a job is none: \(text).")
    }
    return blob
  }
}
