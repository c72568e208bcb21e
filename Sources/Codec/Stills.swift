internal import CLibAV
internal import FoundationEssentials
public import Packaging

#if canImport(Glibc)
internal import Glibc
#elseif canImport(Musl)
internal import Musl
#endif

/// Makes the pictures of a `StillOrder`. See there for what comes in and goes out.
///
/// Every number of the order is checked before libav sees a byte; sizes of coded pictures are held against the same limits
/// by the decoder, before it allocates one. A picture that can't be decoded is not the end: only where none can, there is a
/// failure.
public enum Stills {
  /// - Parameters:
  ///   - input: read to its end.
  ///   - output: written from its start.
  public static func run(input: Int32, output: Int32) -> StillReport {
    var report = StillReport()
    do throws(StillFailure) {
      let bytes = try read(input)
      let made = try bytes.withUnsafeBytes { buffer in
        Result { () throws(StillFailure) in try make(buffer, &report) }
      }.get()
      var offset = 0
      for picture in made {
        try write(picture, at: offset, to: output)
        offset += picture.count
      }
    } catch {
      report.failure = error.failure
      report.made = []
    }
    return report
  }

  // MARK: Input and output

  private static func read(_ input: Int32) throws(StillFailure) -> [UInt8] {
    let limit = StillOrder.headBytes + StillOrder.Limits.orderBytes + StillOrder.Limits.mediaBytes
    var bytes: [UInt8] = []
    let chunk = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 20, alignment: 16)
    defer { chunk.deallocate() }
    while true {
      let count = systemRead(input, chunk.baseAddress, chunk.count)
      if count == 0 { return bytes }
      if count < 0 {
        if errno == EINTR { continue }
        throw StillFailure(.environment, "order", "The order could not be read.")
      }
      guard bytes.count + count <= limit else {
        throw StillFailure(.environment, "order", "The order is larger than \(limit) bytes.")
      }
      bytes += chunk[..<count]
    }
  }

  private static func write(_ bytes: [UInt8], at offset: Int, to output: Int32) throws(StillFailure) {
    var done = 0
    while done < bytes.count {
      let count = bytes.withUnsafeBytes {
        pwrite(output, $0.baseAddress.map { $0 + done }, bytes.count - done, off_t(offset + done))
      }
      if count > 0 {
        done += count
      } else if count == 0 || errno != EINTR {
        throw StillFailure(.environment, "write", "The pictures could not be written.")
      }
    }
  }

  // MARK: The work

  private static func make(
    _ bytes: UnsafeRawBufferPointer, _ report: inout StillReport
  ) throws(StillFailure) -> [[UInt8]] {
    let (order, configuration, media) = try parse(bytes)
    do throws(CodecError) {
      let decoder = try StillDecoder(order.coding, configuration: configuration, isCoarse: order.isCoarse)
      var work = StillWork(order, decoder)
      var offset = 0
      for (number, picture) in order.pictures.enumerated() {
        let count = picture.samples.reduce(0) { $0 + Int($1.sizeBytes) }
        let part = UnsafeRawBufferPointer(rebasing: media[offset..<offset + count])
        offset += count
        if try !work.take(picture, part, number: number) { report.undecodable.append(number) }
      }
      let made = try work.finish()
      guard !made.isEmpty else {
        throw CodecError(
          code: "no-picture", underlying: 0,
          message: "None of the wanted pictures could be decoded: the file is damaged there.")
      }
      report.made = made.map { $0.entry }
      return made.map { $0.bytes }
    } catch {
      throw StillFailure(error)
    }
  }

  /// The order, the decoder's configuration, and the samples.
  private static func parse(
    _ bytes: UnsafeRawBufferPointer
  ) throws(StillFailure) -> (StillOrder, UnsafeRawBufferPointer, UnsafeRawBufferPointer) {
    let head = StillOrder.headBytes
    guard bytes.count >= head, bytes.prefix(4).elementsEqual(StillOrder.magic) else {
      throw StillFailure(.environment, "order", "What came is no order for still pictures.")
    }
    let length = Int(UInt32(littleEndian: bytes.loadUnaligned(fromByteOffset: 4, as: UInt32.self)))
    guard length <= StillOrder.Limits.orderBytes, length <= bytes.count - head,
      let order = try? JSONDecoder().decode(StillOrder.self, from: Data(bytes[head..<head + length]))
    else { throw StillFailure(.environment, "order", "The order for still pictures can't be understood.") }
    try check(order)
    let rest = UnsafeRawBufferPointer(rebasing: bytes[(head + length)...])
    var wanted = UInt64(order.configurationBytes)
    for picture in order.pictures {
      for sample in picture.samples { wanted += UInt64(sample.sizeBytes) }
    }
    guard wanted == UInt64(rest.count) else {
      throw StillFailure(.environment, "order", "The order names \(wanted) bytes, and \(rest.count) came.")
    }
    let configurationBytes = Int(order.configurationBytes)
    return (
      order, UnsafeRawBufferPointer(rebasing: rest[..<configurationBytes]),
      UnsafeRawBufferPointer(rebasing: rest[configurationBytes...])
    )
  }

  private static func check(_ order: StillOrder) throws(StillFailure) {
    let most = UInt32(StillOrder.Limits.sidePixels)
    let (width, height) = (order.widthPixels, order.heightPixels)
    guard (2...most).contains(width), (2...most).contains(height), width % 2 == 0, height % 2 == 0,
      (1...100).contains(order.quality), (1...StillOrder.Limits.pictures).contains(order.pictures.count),
      order.pictures.allSatisfy({ !$0.samples.isEmpty })
    else {
      throw StillFailure(.environment, "order", "The order for still pictures is outside of its limits.")
    }
    guard order.output == .sheet else { return }
    let (columns, rows) = (UInt64(order.columns), UInt64(order.rows))
    guard (1...UInt64(most)).contains(columns), (1...UInt64(most)).contains(rows),
      columns * rows >= UInt64(order.pictures.count), columns * UInt64(width) <= UInt64(most),
      rows * UInt64(height) <= UInt64(most),
      columns * UInt64(width) * rows * UInt64(height) <= UInt64(StillOrder.Limits.framePixels)
    else {
      throw StillFailure(
        .unsupported, "picture-too-large", "The sheet would be too large, or its tiles too few.")
    }
  }
}

/// The pictures of one order on their way from decoder to encoder.
private struct StillWork {
  struct Made {
    var bytes: [UInt8]
    var entry: StillReport.Made
  }

  private let order: StillOrder
  private let decoder: StillDecoder
  private let scaler: StillScaler
  private var made: [Made] = []
  private var sheet: MediaFrame?
  private var lastTile: MediaFrame?
  private var best: (frame: MediaFrame, number: Int, score: Double)?

  /// Enough to judge a picture by.
  private static let scoredWidthPixels = 160

  init(_ order: StillOrder, _ decoder: StillDecoder) {
    self.order = order
    self.decoder = decoder
    scaler = StillScaler(order.format, turn: order.turn)
  }

  private var width: Int { Int(order.widthPixels) }
  private var height: Int { Int(order.heightPixels) }

  /// - Returns: false where the samples gave no picture.
  mutating func take(
    _ picture: StillOrder.Picture, _ bytes: UnsafeRawBufferPointer, number: Int
  ) throws(CodecError) -> Bool {
    let frame = try decoder.decode(picture, bytes)
    switch order.output {
    case .each:
      guard let frame else { return false }
      try add(scaler.scale(frame, widthPixels: width, heightPixels: height), number: number)
    case .best:
      guard let frame else { return false }
      let scored = min(Self.scoredWidthPixels, width)
      let small = try StillScaler(.jpeg, turn: order.turn).scale(
        frame, widthPixels: scored & ~1, heightPixels: max(2, height * scored / width & ~1))
      let score = StillScore.score(small)
      if best.map({ score > $0.score }) ?? true { best = (frame, number, score) }
    case .sheet:
      if let frame { lastTile = try scaler.scale(frame, widthPixels: width, heightPixels: height) }
      guard let tile = lastTile else { return false }
      try lay(tile, number: number)
      return frame != nil
    }
    return true
  }

  mutating func finish() throws(CodecError) -> [Made] {
    if let best {
      try add(scaler.scale(best.frame, widthPixels: width, heightPixels: height), number: best.number)
    }
    if let sheet { try add(sheet, number: 0) }
    return made
  }

  private mutating func add(_ frame: MediaFrame, number: Int) throws(CodecError) {
    let bytes = try StillEncoder.encode(frame, order.format, quality: order.quality)
    made.append(
      Made(
        bytes: bytes,
        entry: StillReport.Made(
          number: number, sizeBytes: bytes.count, widthPixels: frame.widthPixels,
          heightPixels: frame.heightPixels)))
  }

  /// Copies a tile to its place.
  private mutating func lay(_ tile: MediaFrame, number: Int) throws(CodecError) {
    let target: MediaFrame
    if let sheet {
      target = sheet
    } else {
      target = try MediaFrame(
        widthPixels: width * Int(order.columns), heightPixels: height * Int(order.rows), format: tile.format)
      let black: UInt8 = order.format == .jpeg ? 0 : 16
      for plane in 0..<3 {
        guard let (bytes, stride) = target.plane(plane) else { throw .noMemory }
        let rows = plane == 0 ? target.heightPixels : target.heightPixels / 2
        memset(bytes, plane == 0 ? Int32(black) : 128, stride * rows)
      }
      sheet = target
    }
    let (column, row) = (number % Int(order.columns), number / Int(order.columns))
    for plane in 0..<3 {
      guard let from = tile.plane(plane), let to = target.plane(plane) else { throw .noMemory }
      let shift = plane == 0 ? 0 : 1
      let (columns, rows) = (width >> shift, height >> shift)
      for line in 0..<rows {
        memcpy(
          to.bytes + (row * rows + line) * to.stride + column * columns, from.bytes + line * from.stride,
          columns)
      }
    }
  }
}

/// Why there is no picture, as the report says it.
private struct StillFailure: Error {
  let failure: RemuxReport.Failure

  init(_ kind: RemuxReport.Failure.Kind, _ code: String, _ message: String) {
    failure = RemuxReport.Failure(kind: kind, code: code, message: message)
  }

  init(_ error: CodecError) {
    let kind: RemuxReport.Failure.Kind =
      switch error.code {
      case "no-picture": .damaged
      case "decoder", "scale": .unsupported
      default: .environment
      }
    self.init(kind, error.code, error.message)
  }
}

private func systemRead(_ descriptor: Int32, _ bytes: UnsafeMutableRawPointer?, _ count: Int) -> Int {
  read(descriptor, bytes, count)
}
