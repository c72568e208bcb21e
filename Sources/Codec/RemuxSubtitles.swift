internal import CLibAV
internal import Packaging

/// Collects the text subtitles of a source while it is read, within bounds.
struct RemuxSubtitles {
  /// Cues of all streams. A film of two hours has about 1,500.
  static let mostCues = 200_000
  /// Text of all streams, in bytes.
  static let mostBytes = 32 << 20

  private struct Stream {
    var report: RemuxReport.Subtitles
    var base: TimeBase
  }

  private var streams: [Int: Stream] = [:]
  private var cues = 0
  private var bytes = 0
  /// Streams that were given up because of a bound.
  private(set) var givenUp: [Int] = []

  init(_ chosen: RemuxStreams, of demuxer: Demuxer) {
    let all = demuxer.streams
    for (index, format) in chosen.subtitles where index < all.count {
      let stream = all[index]
      let parameters = stream.pointee.codecpar.pointee
      var header = ""
      if format == .ass, let data = parameters.extradata, parameters.extradata_size > 0 {
        header = Self.text(UnsafeRawBufferPointer(start: data, count: Int(parameters.extradata_size)))
      }
      streams[index] = Stream(
        report: RemuxReport.Subtitles(
          streamIndex: index, language: RemuxStreams.language(stream),
          title: RemuxStreams.tag("title", stream, most: 256),
          isForced: stream.pointee.disposition & AV_DISPOSITION_FORCED != 0,
          isDefault: stream.pointee.disposition & AV_DISPOSITION_DEFAULT != 0, format: format, header: header,
          cues: []),
        base: TimeBase(
          numerator: stream.pointee.time_base.num, denominator: stream.pointee.time_base.den))
      spend(header.utf8.count, on: index)
    }
  }

  /// Takes the packet if it is one of the streams' and has a time.
  mutating func take(_ packet: UnsafeMutablePointer<AVPacket>) {
    let index = Int(packet.pointee.stream_index)
    guard let stream = streams[index] else { return }
    let ticks = packet.pointee.pts != clibav_no_pts ? packet.pointee.pts : packet.pointee.dts
    guard ticks != clibav_no_pts, let start = stream.base.scale(ticks, to: 1_000_000),
      let data = packet.pointee.data, packet.pointee.size > 0
    else { return }
    let length = max(stream.base.scale(max(packet.pointee.duration, 0), to: 1_000_000) ?? 0, 0)
    var body = UnsafeRawBufferPointer(start: data, count: Int(packet.pointee.size))
    if stream.report.format == .movText {
      // A length of 16 bits, the text, boxes of styles.
      guard body.count > 2 else { return }
      let count = Int(body[0]) << 8 | Int(body[1])
      guard count > 0, count <= body.count - 2 else { return }
      body = UnsafeRawBufferPointer(rebasing: body[2..<2 + count])
    }
    let text = Self.text(body)
    let settings = Self.settings(of: packet)
    spend(text.utf8.count + settings.utf8.count, on: index)
    cues += 1
    // In microseconds until the start of the file is known.
    streams[index]?.report.cues.append(
      RemuxReport.Cue(
        startMilliseconds: start, endMilliseconds: start + length, text: text, settings: settings))
  }

  /// The subtitles on a clock that begins at `startMicroseconds` of the source's.
  consuming func finish(startMicroseconds: Int64) -> [RemuxReport.Subtitles] {
    func milliseconds(_ microseconds: Int64) -> Int64 {
      TimeBase.divide(Int128(microseconds - startMicroseconds), by: 1000) ?? 0
    }
    return streams.sorted { $0.key < $1.key }.map { entry in
      var report = entry.value.report
      for position in report.cues.indices {
        report.cues[position].startMilliseconds = milliseconds(report.cues[position].startMilliseconds)
        report.cues[position].endMilliseconds = milliseconds(report.cues[position].endMilliseconds)
      }
      return report
    }
  }

  private mutating func spend(_ count: Int, on index: Int) {
    bytes += count
    guard bytes > Self.mostBytes || cues >= Self.mostCues else { return }
    streams[index] = nil
    givenUp.append(index)
  }

  private static func settings(of packet: UnsafeMutablePointer<AVPacket>) -> String {
    var size = 0
    guard let data = av_packet_get_side_data(packet, AV_PKT_DATA_WEBVTT_SETTINGS, &size), size > 0 else {
      return ""
    }
    return text(UnsafeRawBufferPointer(start: data, count: size))
  }

  /// Up to the first zero, what is no UTF-8 replaced.
  private static func text(_ bytes: UnsafeRawBufferPointer) -> String {
    String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
  }
}
