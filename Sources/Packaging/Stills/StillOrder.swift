// What `headwater-media stills` is asked for, and how that travels.
//
// The process that decodes gets neither a file nor a container: whoever asks knows from the packaging index which samples
// make a picture, reads just these, and sends them down a pipe. So nothing is scanned, libav's demuxers never see the
// file, and a two-hour film costs what a clip does. What goes down descriptor 3, and then its end:
//
//     "HWST"      4 bytes
//     length      u32, little-endian: of the order
//     order       JSON: a `StillOrder`
//     bytes       the decoder's configuration (`configurationBytes`), then the samples of all pictures, in order
//
// What comes back is the output on descriptor 4 (all made pictures one after the other) and a `StillReport` on 5.

/// Which still pictures to make of one video track.
public struct StillOrder: Sendable, Equatable, Codable {
  public enum Coding: String, Sendable, Codable {
    case h264
    case hevc
    case av1
    case vp9

    /// nil for what is no picture.
    public init?(_ codec: TrackCodec) {
      switch codec {
      case .avc: self = .h264
      case .hevc: self = .hevc
      case .av1: self = .av1
      case .vp9: self = .vp9
      default: return nil
      }
    }
  }

  public enum Format: String, Sendable, Codable {
    case jpeg
    case webp
  }

  public enum Output: String, Sendable, Codable {
    /// Every picture by itself, in the order of the order.
    case each
    /// The one that makes the best poster: light, sharp, never black.
    case best
    /// All of them as tiles of one, row after row.
    case sheet
  }

  /// The samples of one picture: from one that needs no other to the wanted one, in decoding order.
  public struct Picture: Sendable, Equatable, Codable {
    public struct Sample: Sendable, Equatable, Codable {
      public var sizeBytes: UInt32
      /// When it is shown, on any clock that all samples of the picture share.
      public var ticks: Int64

      public init(sizeBytes: UInt32, ticks: Int64) {
        self.sizeBytes = sizeBytes
        self.ticks = ticks
      }
    }

    public var samples: [Sample]
    /// `ticks` of the sample that is wanted.
    public var wantedTicks: Int64

    public init(samples: [Sample], wantedTicks: Int64) {
      self.samples = samples
      self.wantedTicks = wantedTicks
    }
  }

  public var coding: Coding
  /// Length of the decoder's configuration: the body of `avcC`, `hvcC` or `av1C`; 0 for VP9.
  public var configurationBytes: UInt32 = 0
  /// Size of each picture as shown, in pixels; both even.
  public var widthPixels: UInt32
  public var heightPixels: UInt32
  public var turn: PictureTurn
  public var format: Format = .jpeg
  /// 1 to 100, as JPEG encoders count it.
  public var quality: UInt32 = 80
  public var output: Output = .each
  /// Tiles in a row, and rows, of a sheet. Tiles without a picture stay black.
  public var columns: UInt32 = 1
  public var rows: UInt32 = 1
  /// Leaves out what small pictures do not show (the loop filter).
  public var isCoarse = false
  public var pictures: [Picture]

  public init(
    coding: Coding, widthPixels: UInt32, heightPixels: UInt32, turn: PictureTurn = PictureTurn(),
    pictures: [Picture]
  ) {
    self.coding = coding
    self.widthPixels = widthPixels
    self.heightPixels = heightPixels
    self.turn = turn
    self.pictures = pictures
  }

  public static let magic: [UInt8] = Array("HWST".utf8)
  /// Length of what stands before the order.
  public static let headBytes = 8

  /// What one process is asked for at the most, whoever asks.
  public enum Limits {
    public static let orderBytes = 4 << 20
    /// Configuration and samples. 100 key frames of 2160p are about 60 MiB.
    public static let mediaBytes = 256 << 20
    public static let pictures = 400
    /// Either side, and the product, of a coded picture and of what is made of it.
    public static let sidePixels = 8192
    public static let framePixels = 50_000_000
  }
}

/// What became of a `StillOrder`. Like every report of that process, input to its reader and not fact.
public struct StillReport: Sendable, Equatable, Codable {
  public struct Made: Sendable, Equatable, Codable {
    /// Its place in the order; 0 for a sheet.
    public var number: Int
    public var sizeBytes: Int
    public var widthPixels: Int
    public var heightPixels: Int

    public init(number: Int, sizeBytes: Int, widthPixels: Int, heightPixels: Int) {
      self.number = number
      self.sizeBytes = sizeBytes
      self.widthPixels = widthPixels
      self.heightPixels = heightPixels
    }
  }

  /// nil where there is an output. Codes: `damaged`: `no-picture`; `unsupported`: `picture-too-large`, `decoder`;
  /// `environment`: `order`, `encoder`, `no-memory`, `write`, `sandbox-partial`.
  public var failure: RemuxReport.Failure?
  /// One after the other in the output.
  public var made: [Made] = []
  /// Pictures of the order that gave none; a sheet shows the one before in their place.
  public var undecodable: [Int] = []
  /// What the process could not do for its own confinement.
  public var warnings: [RemuxReport.Remark] = []

  public init() {}
}
