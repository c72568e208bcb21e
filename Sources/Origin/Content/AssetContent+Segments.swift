// Init segments, media segments in their forms, single pictures, and the file of all fragments.

import Packaging
import Store

extension AssetContent {
  static func mediaType(_ track: Track) -> String {
    track.kind == .audio ? "audio/mp4" : "video/mp4"
  }

  func initSegment(
    of name: String, _ edition: Edition, _ context: ContentContext
  ) throws(Problem) -> MadeAnswer {
    let indexed = try edition.track(name, in: context)
    let bytes: [UInt8]
    if let protection = edition.protection, let scheme = protection.method.scheme {
      bytes = try protectedInitSegment(indexed, protection, scheme, edition, context)
    } else {
      bytes = InitSegment.bytes(for: indexed.track, firstDecodeTicks: indexed.firstDecodeTicks)
    }
    return MadeAnswer(kind: .segment, mediaType: Self.mediaType(indexed.track), slices: [.bytes(bytes)])
  }

  func segment(
    _ number: Int, of name: String, _ edition: Edition, _ context: ContentContext
  ) throws(Problem) -> MadeAnswer {
    let indexed = try edition.track(name, in: context)
    let body = FragmentBody(indexed, blob: try context.blob(indexed.blob), segment: number)
    return MadeAnswer(kind: .segment, mediaType: Self.mediaType(indexed.track), slices: try body.slices())
  }

  func iFrame(
    _ number: Int, _ form: DeliveryForm, of name: String, _ edition: Edition, _ context: ContentContext
  ) throws(Problem) -> MadeAnswer {
    let indexed = try edition.track(name, in: context)
    let keyFrames = try indexed.keyFrames()
    guard keyFrames.indices.contains(number) else { throw .notFound }
    let blob = try context.blob(indexed.blob)
    if form == .transport {
      let stream = try TransportBody.stream(indexed.track)
      let sample = Sample(indexed.track, keyFrames[number])
      let body = try TransportBody(
        TransportSegment.iFrame(stream, sample), picture: blob, sound: blob)
      return MadeAnswer(kind: .segment, mediaType: TransportBody.mediaType, slices: try body.answer())
    }
    let made = IFrameSegment.make(
      track: indexed.track, keyFrame: keyFrames[number], number: number,
      firstDecodeTicks: indexed.firstDecodeTicks)
    return MadeAnswer(
      kind: .segment, mediaType: Self.mediaType(indexed.track), slices: made.bodySlices(of: blob))
  }

  func transportSegment(
    _ number: Int, of name: String, _ edition: Edition, _ context: ContentContext
  ) throws(Problem) -> MadeAnswer {
    let presentation = try edition.presentation(in: context, listsKeyFrames: false)
    guard let rendition = presentation.renditions.first(where: { $0.name == name }) else { throw .notFound }
    let indexed = try edition.track(name, in: context)
    try requireTransport(indexed.track)
    let blob = try context.blob(indexed.blob)
    var parts = [
      TransportSegment.Part(
        stream: try TransportBody.stream(indexed.track),
        samples: number < indexed.segments.count ? try indexed.samples(segment: number) : [])
    ]
    var soundBlob = blob
    if let muxed = presentation.muxedSound(of: rendition) {
      let sound = try edition.track(muxed.name, in: context)
      soundBlob = try context.blob(sound.blob)
      parts.append(
        TransportSegment.Part(
          stream: try TransportBody.stream(muxed.track),
          samples: number < sound.segments.count ? try sound.samples(segment: number) : []))
    }
    guard parts.contains(where: { !$0.samples.isEmpty }) else { throw .notFound }
    let segment = TransportSegment(parts, sequenceNumber: UInt64(number))
    let body = try TransportBody(segment, picture: blob, sound: soundBlob)
    return MadeAnswer(kind: .segment, mediaType: TransportBody.mediaType, slices: try body.answer())
  }

  func fragmentedFile(
    of name: String, _ edition: Edition, _ context: ContentContext
  ) throws(Problem) -> MadeAnswer {
    let indexed = try edition.track(name, in: context)
    let blob = try context.blob(indexed.blob)
    let file = CMAFFile(
      track: indexed.track, segments: indexed.segments, firstDecodeTicks: indexed.firstDecodeTicks)
    var slices: [BodySlice] = [.bytes(file.head)]
    slices.reserveCapacity(indexed.segments.count + 1)
    for number in indexed.segments.indices {
      slices.append(.deferred(FragmentBody(indexed, blob: blob, segment: number)))
    }
    return MadeAnswer(kind: .progressive, mediaType: Self.mediaType(indexed.track), slices: slices)
  }
}

extension MediaSegment {
  func bodySlices(of blob: BlobFile) -> [BodySlice] {
    var parts: [BodySlice] = [.bytes(head)]
    parts.reserveCapacity(slices.count + 1)
    for slice in slices { parts.append(.blob(blob, offset: slice.offset, count: slice.count)) }
    return parts
  }
}

extension Sample {
  /// A picture by itself, presented when its key frame is.
  fileprivate init(_ track: Track, _ frame: KeyFrame) {
    let decode = Int64(clamping: frame.startTicks).subtractingReportingOverflow(track.presentationShiftTicks)
    self.init(
      offset: frame.offset, sizeBytes: frame.sizeBytes, durationTicks: UInt32(clamping: frame.durationTicks),
      decodeTicks: decode.overflow ? 0 : UInt64(max(0, decode.partialValue)), compositionOffsetTicks: 0,
      isSync: true)
  }
}
