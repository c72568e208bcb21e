// What `headwater-media` is told about an encoding, and what it says back. The words between a job and its process.
//
// Requests come from us and are arguments of the command line, as JSON. Reports cross a trust boundary: libav has had its
// hands on the bytes that they were made from, so a reader takes them as input. What was encoded is in any case read by
// `MovieReader` like an upload before anything of it is served.
//
// All times of a request are ticks of `timescale` on the asset's presentation timeline, the one that `Track` speaks of.

/// One chunk of a source: which pictures of it to decode, once, and the rungs to encode them to.
public struct TranscodeRequest: Sendable, Equatable, Codable {
  /// Which stream: `track_ID` of an MP4; nil takes the one that players would show.
  public var trackID: UInt32?
  /// Ticks per second of every time below and of the tracks that are written.
  public var timescale: UInt32
  /// Time zero of the presentation on libav's clock, in `timescale`.
  public var zeroTicks: Int64
  /// First time of the chunk, and the first one behind it; nil goes on to the end of the stream.
  public var startTicks: Int64
  public var endTicks: Int64?
  /// Ascending, the first is `startTicks`: the first picture at or behind each becomes a key frame in every rung; no other
  /// picture does.
  public var keyTicks: [Int64]
  /// Mean frame rate of the source, for rate control.
  public var framesPerSecondNumerator: Int32
  public var framesPerSecondDenominator: Int32
  /// Clockwise, applied to the pictures: 0, 90, 180 or 270.
  public var rotationDegrees: Int32
  /// Turns pictures that are marked as two fields into one.
  public var deinterlaces: Bool
  /// Maps high dynamic range to standard, in rungs that do not keep it.
  public var isHDR: Bool
  /// What the pictures of the source are coloured by, as far as it is known before they are read.
  public var colour: TranscodeColour?
  public var rungs: [Rung]

  /// One encoding.
  public struct Rung: Sendable, Equatable, Codable {
    public var name: String
    /// Upright size in square pixels; both even.
    public var widthPixels: Int32
    public var heightPixels: Int32
    /// libav's name of the encoder.
    public var encoder: String
    /// The encoder's own word for speed; empty leaves it to the encoder.
    public var preset: String
    /// Constant rate factor.
    public var quality: Double
    /// What the rate may never exceed over `bufferBits`.
    public var maxBitsPerSecond: Int64
    public var bufferBits: Int64
    /// Of so many pictures one is kept, counted from each key frame.
    public var frameStep: Int32
    public var keepsHDR: Bool

    public init(
      name: String, widthPixels: Int32, heightPixels: Int32, encoder: String, preset: String, quality: Double,
      maxBitsPerSecond: Int64, bufferBits: Int64, frameStep: Int32 = 1, keepsHDR: Bool = false
    ) {
      self.name = name
      self.widthPixels = widthPixels
      self.heightPixels = heightPixels
      self.encoder = encoder
      self.preset = preset
      self.quality = quality
      self.maxBitsPerSecond = maxBitsPerSecond
      self.bufferBits = bufferBits
      self.frameStep = frameStep
      self.keepsHDR = keepsHDR
    }

    /// How full the decoder's buffer is thought to be when a chunk begins.
    ///
    /// Under a cap encoders come back to about half of it, so a chunk that begins there gives nothing away. One that begins with a
    /// full buffer, as encoders do by themselves, spends the half of it, and a title of many chunks exceeds its cap.
    public static let startFill = 0.5
  }

  public init(
    trackID: UInt32?, timescale: UInt32, zeroTicks: Int64 = 0, startTicks: Int64, endTicks: Int64?,
    keyTicks: [Int64], framesPerSecondNumerator: Int32, framesPerSecondDenominator: Int32,
    rotationDegrees: Int32 = 0, deinterlaces: Bool = false, isHDR: Bool = false,
    colour: TranscodeColour? = nil, rungs: [Rung]
  ) {
    self.trackID = trackID
    self.timescale = timescale
    self.zeroTicks = zeroTicks
    self.startTicks = startTicks
    self.endTicks = endTicks
    self.keyTicks = keyTicks
    self.framesPerSecondNumerator = framesPerSecondNumerator
    self.framesPerSecondDenominator = framesPerSecondDenominator
    self.rotationDegrees = rotationDegrees
    self.deinterlaces = deinterlaces
    self.isHDR = isHDR
    self.colour = colour
    self.rungs = rungs
  }
}

/// What a rung says of its colour, as CICP code points (ITU-T H.273).
public struct TranscodeColour: Sendable, Equatable, Codable {
  public var primaries: Int32
  public var transfer: Int32
  public var matrix: Int32

  public init(primaries: Int32, transfer: Int32, matrix: Int32) {
    self.primaries = primaries
    self.transfer = transfer
    self.matrix = matrix
  }
}

/// A chunk that is encoded to find out what it takes, and thrown away.
public struct TranscodeProbe: Sendable, Equatable, Codable {
  /// The same rung may stand in it several times, with other qualities.
  public var request: TranscodeRequest
  /// Whether pictures are compared with the source, too.
  public var comparesPictures: Bool

  public init(_ request: TranscodeRequest, comparesPictures: Bool) {
    self.request = request
    self.comparesPictures = comparesPictures
  }
}

/// The sound of a whole source, to be encoded once.
public struct TranscodeAudioRequest: Sendable, Equatable, Codable {
  /// `track_ID` of an MP4; nil takes the stream that players would choose.
  public var trackID: UInt32?
  /// Time zero of the presentation on libav's clock, in microseconds. What is heard before it is cut off; where the sound
  /// begins later it begins with silence.
  public var zeroMicroseconds: Int64
  public var bitsPerSecond: Int64
  /// Further channels are mixed down to so many.
  public var mostChannels: Int32
  /// Integrated loudness to bring it to, in LUFS (EBU R 128); nil leaves it as it is.
  public var loudness: Double?

  public init(
    trackID: UInt32?, zeroMicroseconds: Int64 = 0, bitsPerSecond: Int64 = 128_000, mostChannels: Int32 = 2,
    loudness: Double? = nil
  ) {
    self.trackID = trackID
    self.zeroMicroseconds = zeroMicroseconds
    self.bitsPerSecond = bitsPerSecond
    self.mostChannels = mostChannels
    self.loudness = loudness
  }
}

/// The last line that `headwater-media transcode` and `transcode-audio` report. See `RemuxReport` for what the ways in
/// which the process may end mean.
public struct TranscodeReport: Sendable, Equatable, Codable {
  /// nil where there is an output: an MP4 whose tracks are the rungs in the order of the request.
  public var failure: RemuxReport.Failure?
  /// Pictures or samples of sound that were decoded inside of the chunk.
  public var frames: Int64 = 0
  /// Packets that the decoder refused.
  public var damagedPackets = 0
  /// What else is worth knowing: `encoder-replaced`, `sandbox-partial`.
  public var warnings: [RemuxReport.Remark] = []
  /// Of a probe: in the order of its rungs.
  public var measures: [Measure]?

  public init() {}

  /// What one encoding of a probe came to.
  public struct Measure: Sendable, Equatable, Codable {
    public var name: String
    public var quality: Double
    public var bytes: Int64
    /// Pictures that were encoded.
    public var frames: Int64
    /// Mean structural similarity to the scaled source, where it was asked for.
    public var similarity: Double?

    public init(name: String, quality: Double, bytes: Int64, frames: Int64, similarity: Double? = nil) {
      self.name = name
      self.quality = quality
      self.bytes = bytes
      self.frames = frames
      self.similarity = similarity
    }
  }
}

/// What `headwater-media survey` finds out about a file before it is transcoded.
public struct TranscodeSurvey: Sendable, Equatable, Codable {
  public var failure: RemuxReport.Failure?
  public var video: Video?
  public var audio: Audio?
  public var warnings: [RemuxReport.Remark] = []

  public init() {}

  /// The video stream that would be transcoded. `VideoDescription` of the Codec module says what the numbers are.
  public struct Video: Sendable, Equatable, Codable {
    public var codecName: String
    /// In square pixels, upright.
    public var displayWidthPixels: Int32
    public var displayHeightPixels: Int32
    public var rotationDegrees: Int32
    public var framesPerSecondNumerator: Int32
    public var framesPerSecondDenominator: Int32
    /// Ticks per second in which every picture's time is exact.
    public var timescale: UInt32
    /// Presentation time of the first picture on libav's clock, in `timescale`.
    public var firstTicks: Int64
    /// Length as the container says it, nil where it does not.
    public var durationTicks: Int64?
    /// Pictures made of two fields were seen among the first.
    public var isInterlaced: Bool
    public var isHDR: Bool
    /// nil in what an older version has found.
    public var colour: TranscodeColour?

    public init(
      codecName: String, displayWidthPixels: Int32, displayHeightPixels: Int32, rotationDegrees: Int32,
      framesPerSecondNumerator: Int32, framesPerSecondDenominator: Int32, timescale: UInt32,
      firstTicks: Int64,
      durationTicks: Int64?, isInterlaced: Bool, isHDR: Bool, colour: TranscodeColour? = nil
    ) {
      self.codecName = codecName
      self.displayWidthPixels = displayWidthPixels
      self.displayHeightPixels = displayHeightPixels
      self.rotationDegrees = rotationDegrees
      self.framesPerSecondNumerator = framesPerSecondNumerator
      self.framesPerSecondDenominator = framesPerSecondDenominator
      self.timescale = timescale
      self.firstTicks = firstTicks
      self.durationTicks = durationTicks
      self.isInterlaced = isInterlaced
      self.isHDR = isHDR
      self.colour = colour
    }
  }

  /// The audio stream that would be transcoded.
  public struct Audio: Sendable, Equatable, Codable {
    public var codecName: String
    public var channelCount: Int32
    public var sampleRateHertz: Int32
    /// Presentation time of the first sound on libav's clock, in microseconds.
    public var firstMicroseconds: Int64
    /// As the container says it, mostly ISO 639-2.
    public var language: String?

    public init(
      codecName: String, channelCount: Int32, sampleRateHertz: Int32, firstMicroseconds: Int64,
      language: String?
    ) {
      self.codecName = codecName
      self.channelCount = channelCount
      self.sampleRateHertz = sampleRateHertz
      self.firstMicroseconds = firstMicroseconds
      self.language = language
    }
  }
}
