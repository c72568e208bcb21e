internal import CLibAV
internal import Packaging

/// One rung of a chunk: scaling and encoding of the pictures that it keeps.
final class RungEncoder {
  let rung: TranscodeRequest.Rung
  let part: LookaheadPart
  let choice: EncoderChoice
  /// Of the group of pictures under way.
  private(set) var session: EncoderSession
  private let makeSession: () throws(CodecError) -> EncoderSession
  private let scale: FilterStage
  /// Times of the pictures that were given key frames, and of those that are in the output.
  private(set) var forcedTicks: [Int64] = []
  private(set) var keyTicks: [Int64] = []
  private(set) var frames: Int64 = 0
  private(set) var packets: Int64 = 0
  private(set) var bytes: Int64 = 0
  private var isForced: Set<Int64> = []
  /// What the encoder is to be told of pictures that are being scaled.
  private var advice: [Int64: PictureAdvice] = [:]
  private var comparison: CodedComparison?

  /// - Parameter comparesPictures: whether what comes out is decoded again and measured, which costs more than the encoding.
  init(
    _ rung: TranscodeRequest.Rung, of request: TranscodeRequest, colour: TranscodeColour,
    part: LookaheadPart, comparesPictures: Bool = false
  ) throws(CodecError) {
    self.rung = rung
    self.part = part
    let choice = try EncoderChoice(rung.encoder)
    self.choice = choice
    let isDeep = request.isDeep(rung)
    let format = isDeep ? AV_PIX_FMT_YUV420P10LE : AV_PIX_FMT_YUV420P
    scale = try PictureScaling.stage(
      upright: (rung.widthPixels, rung.heightPixels), format: isDeep ? "yuv420p10le" : "yuv420p", of: request)
    let isFollower = part.isFollower
    makeSession = { () throws(CodecError) in
      try Self.open(choice, rung, request, colour, format: format, part: isFollower ? .follows : .own)
    }
    session = if case .leads(let lookahead) = part { lookahead.session } else { try makeSession() }
    comparison = comparesPictures ? try CodedComparison(session.context) : nil
  }

  static func open(
    _ choice: EncoderChoice, _ rung: TranscodeRequest.Rung, _ request: TranscodeRequest,
    _ colour: TranscodeColour,
    format: AVPixelFormat, part: EncoderChoice.Part
  ) throws(CodecError) -> EncoderSession {
    let session = try EncoderSession(choice.name, options: choice.options(for: rung, part: part)) { context in
      if case .leads = part { context.pointee.flags |= AV_CODEC_FLAG_PASS1 }
      context.pointee.width = rung.widthPixels
      context.pointee.height = rung.heightPixels
      context.pointee.pix_fmt = format
      context.pointee.sample_aspect_ratio = AVRational(num: 1, den: 1)
      context.pointee.time_base = AVRational(num: 1, den: Int32(clamping: request.timescale))
      context.pointee.framerate = AVRational(
        num: request.framesPerSecondNumerator,
        den: request.framesPerSecondDenominator &* max(1, rung.frameStep))
      context.pointee.gop_size = 1 << 20
      // Two equal distances: no key frames but those that are forced, as libaom and libvpx understand it.
      context.pointee.keyint_min = choice.family == .av1 || choice.family == .vp9 ? 1 << 20 : 1
      context.pointee.rc_max_rate = rung.maxBitsPerSecond
      context.pointee.rc_buffer_size = Int32(clamping: rung.bufferBits)
      context.pointee.rc_initial_buffer_occupancy = Int32(
        clamping: Int64(Double(rung.bufferBits) * TranscodeRequest.Rung.startFill))
      // What constant quality of these two must not exceed.
      if choice.family == .vp9 || choice.name == "libaom-av1" {
        context.pointee.bit_rate = rung.maxBitsPerSecond
      }
      context.pointee.color_range = AVCOL_RANGE_MPEG
      context.pointee.color_primaries = AVColorPrimaries(rawValue: UInt32(colour.primaries))
      context.pointee.color_trc = AVColorTransferCharacteristic(rawValue: UInt32(colour.transfer))
      context.pointee.colorspace = AVColorSpace(rawValue: UInt32(colour.matrix))
    }
    if case .follows = part {
      try session.set(
        "crf",
        EncoderChoice.x264FollowerQuality(rung.quality, framesPerSecond: request.framesPerSecond(of: rung)))
    }
    return session
  }

  /// - Parameters:
  ///   - frame: nil at the end.
  ///   - isKey: whether it begins a group of pictures.
  ///   - advice: to a follower.
  func push(
    _ frame: MediaFrame?, isKey: Bool, advice: PictureAdvice? = nil,
    _ take: (UnsafeMutablePointer<AVPacket>) throws(CodecError) -> Void
  ) throws(CodecError) {
    if let frame, isKey {
      isForced.insert(frame.pointer.pointee.pts)
      forcedTicks.append(frame.pointer.pointee.pts)
    }
    if let frame, let advice { self.advice[frame.pointer.pointee.pts] = advice }
    try scale.push(frame) { scaled throws(CodecError) in
      let ticks = scaled.pointer.pointee.pts
      // What the source made of the picture is no advice to the encoder.
      let isKey = isForced.remove(ticks) != nil
      if isKey, frames > 0, choice.ignoresForcedKeys {
        try encode(nil, take)
        session = try makeSession()
      }
      let forced = isKey && !choice.ignoresForcedKeys
      scaled.pointer.pointee.pict_type = forced ? AV_PICTURE_TYPE_I : AV_PICTURE_TYPE_NONE
      try self.advice.removeValue(forKey: ticks)?.give(to: scaled)
      if case .leads(let lookahead) = part { lookahead.given(scaled) }
      frames += 1
      try comparison?.given(scaled)
      try encode(scaled, take)
    }
    if frame == nil { try encode(nil, take) }
  }

  private func encode(
    _ frame: MediaFrame?, _ take: (UnsafeMutablePointer<AVPacket>) throws(CodecError) -> Void
  ) throws(CodecError) {
    try session.push(frame) { packet throws(CodecError) in
      packets += 1
      bytes += Int64(packet.pointee.size)
      if packet.pointee.flags & AV_PKT_FLAG_KEY != 0 { keyTicks.append(packet.pointee.pts) }
      try comparison?.made(packet)
      if case .leads(let lookahead) = part { try lookahead.made(packet) }
      try take(packet)
    }
  }

  /// What the encoding took, and how much of the picture is left. To be asked once, at the end.
  func measure() throws(CodecError) -> TranscodeReport.Measure {
    TranscodeReport.Measure(
      name: rung.name, quality: rung.quality, bytes: bytes, frames: frames,
      similarity: try comparison?.mean() ?? nil)
  }

  /// Looks at what came out, not at what was asked for.
  /// - Throws: `key-frames` where the encoder has set others than were wanted, or lost a picture.
  func verify() throws(CodecError) {
    guard keyTicks.sorted() == forcedTicks, packets == frames else {
      throw CodecError(
        code: "key-frames", underlying: 0,
        message:
          "\(choice.name) made \(packets) pictures of \(frames) and \(keyTicks.count) key frames where \(forcedTicks.count) were asked for (\(rung.name))."
      )
    }
  }
}

extension TranscodeColour {
  /// Of pictures that come without tone mapping. A player guesses what is not stated from the size, and a smaller rung would
  /// be guessed differently from its source: so the guess is made once, by the source's size.
  init(_ source: VideoDescription) {
    let isHighDefinition = min(source.widthPixels, source.heightPixels) >= 720
    let guess: Int32 = isHighDefinition ? 1 : 6
    self.init(
      primaries: source.primaries == 2 ? guess : source.primaries,
      transfer: source.transfer == 2 ? guess : source.transfer,
      matrix: source.matrix == 2 || source.matrix == 0 ? guess : source.matrix)
  }

  static let toneMapped = TranscodeColour(primaries: 1, transfer: 1, matrix: 1)
}
