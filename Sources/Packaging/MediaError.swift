/// Why media is damaged, unsupported or left out: a stable code for programs and a sentence for people.
public struct MediaReason: Sendable, Equatable, CustomStringConvertible {
  /// Lower-case words joined by hyphens, for example `sample-past-end`. Never reused for another meaning.
  public var code: String
  /// One sentence that says what was found and, where it helps, what to do.
  public var message: String

  public init(code: String, message: String) {
    self.code = code
    self.message = message
  }

  public var description: String { "\(code): \(message)" }
}

/// Something about a file that an operator may want to know although it is packaged all the same.
public typealias Defect = MediaReason

/// What keeps a file from being read as a movie.
public enum MediaError: Error, Sendable, Equatable {
  /// The bytes are no media: an image, text, a manifest or nothing known. Refuse the file.
  case notMedia(reason: MediaReason)
  /// The file is media but broken: its own tables contradict it. Refuse the file.
  case damaged(reason: MediaReason)
  /// Sound media of a form that this version does not package. Keep the bytes and serve them as they are.
  case unsupported(reason: MediaReason)
  /// The source failed to deliver bytes it has. Says nothing about the media: try again.
  case sourceUnreadable(reason: MediaReason)

  public var reason: MediaReason {
    switch self {
    case .notMedia(let reason), .damaged(let reason), .unsupported(let reason), .sourceUnreadable(let reason):
      return reason
    }
  }

  /// The stable code of the reason.
  public var code: String { reason.code }
  /// The sentence of the reason.
  public var message: String { reason.message }

  static func damaged(_ code: String, _ message: String) -> MediaError {
    .damaged(reason: MediaReason(code: code, message: message))
  }

  static func unsupported(_ code: String, _ message: String) -> MediaError {
    .unsupported(reason: MediaReason(code: code, message: message))
  }
}

/// Upper bounds on what reading one file may cost, whatever the file claims.
public struct MediaLimits: Sendable, Equatable {
  /// Largest `moov` box that is read into memory, in bytes.
  public var moovBytes: Int = 512 << 20
  public var tracks: Int = 64
  /// Samples of one packaged track. 4 million are 18 hours at 60 pictures a second.
  public var samplesPerTrack: Int = 4_000_000
  /// Samples of all packaged tracks together; each takes about 21 bytes while the file is read.
  public var samplesTotal: Int = 16_000_000
  /// Boxes at the top level that are visited while looking for `moov`.
  public var topLevelBoxes: Int = 65_536
  /// `moof` boxes of one file. 500 000 are 34 hours of half-second fragments of two tracks apart.
  public var fragments: Int = 500_000
  /// Largest `moof` box that is read into memory, in bytes.
  public var moofBytes: Int = 64 << 20

  public init() {}
}
