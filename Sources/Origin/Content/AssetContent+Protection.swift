// Encrypted media, and the content key.

import Loop
import Packaging
import Store

extension AssetContent {
  /// `key`: the 16 bytes, for players that fetch them themselves.
  func contentKey(_ edition: Edition, _ context: ContentContext) throws(Problem) -> MadeAnswer {
    guard let protection = edition.protection else { throw .notFound }
    guard protection.settings.servesKey else { throw .keyNotServed }
    return MadeAnswer(
      kind: .key, mediaType: "application/octet-stream", slices: [.bytes(protection.key.key)])
  }

  /// A media segment or a picture under Common Encryption, to be made by a worker; nil for everything else.
  ///
  /// How long it is depends on the NAL units in it, so there is no head to send before it is made. One that is made a second
  /// time is kept (`OriginLoop.keeping`).
  func suspendedMedia(
    _ resource: AssetResource, _ edition: Edition, _ context: ContentContext
  ) throws(Problem) -> ContentOutcome? {
    guard case .rendition(let name, let part) = resource, let protection = edition.protection,
      let scheme = protection.method.scheme, try edition.record(name).kind != .subtitle
    else { return nil }
    let indexed = try edition.track(name, in: context)
    let body: ProtectedBody
    switch part {
    case .segment(let number, _):
      guard indexed.segments.indices.contains(number) else { throw .notFound }
      body = ProtectedBody(
        track: try protection.track(
          indexed.track, indexed, isPicture: false, scheme, edition, in: context),
        samples: try indexed.samples(segment: number), sequenceNumber: UInt32(number) + 1,
        firstSampleIndex: UInt64(indexed.segments[number].firstSample),
        firstDecodeTicks: indexed.firstDecodeTicks, blob: try context.blob(indexed.blob))
    case .iFrame(let number, _):
      let keyFrames = try indexed.keyFrames()
      guard keyFrames.indices.contains(number) else { throw .notFound }
      let picture = IFrameSegment.picture(
        keyFrames[number], of: indexed.track, firstDecodeTicks: indexed.firstDecodeTicks)
      body = ProtectedBody(
        track: try protection.track(picture.track, indexed, isPicture: true, scheme, edition, in: context),
        samples: [picture.sample], sequenceNumber: IFrameSegment.sequenceNumber(number),
        firstSampleIndex: UInt64(number), firstDecodeTicks: 0, blob: try context.blob(indexed.blob))
    default: return nil
    }
    let empty = representation(
      MadeAnswer(kind: .segment, mediaType: Self.mediaType(indexed.track), slices: []), of: resource, name,
      edition, context)
    let workers = context.workers
    return .suspended { () async throws(Problem) -> Representation in
      let made: Result<[BodySlice], Problem>
      do { made = try await workers?.run { body.made } ?? body.made } catch { throw .overloaded }
      return Representation(empty, slices: try made.get())
    }
  }

  /// The init segment of a track under Common Encryption.
  func protectedInitSegment(
    _ indexed: IndexedTrack, _ protection: Protection, _ scheme: ProtectionScheme, _ edition: Edition,
    _ context: ContentContext
  ) throws(Problem) -> [UInt8] {
    try protection.track(indexed.track, indexed, isPicture: false, scheme, edition, in: context)
      .initSegment(firstDecodeTicks: indexed.firstDecodeTicks)
  }
}

extension MadeAnswer {
  /// The same resource under HLS AES-128, where the site wants that.
  func encrypted(of name: String, _ edition: Edition, _ context: ContentContext) throws(Problem) -> MadeAnswer
  {
    guard let protection = edition.protection, protection.method == .aes128 else { return self }
    let iv = protection.vector(of: try edition.track(name, in: context), edition, in: context)
    let body = EncryptedBody(clear: slices, key: protection.key, iv: iv)
    guard body.lengthBytes <= ProtectedTrack.largestSegmentBytes else {
      throw .unpackageable("The segment is too large to be encrypted in memory; use shorter segments.")
    }
    // What lies in memory anyway is not kept in clear beside its encrypted form.
    let isThere = slices.allSatisfy { if case .bytes = $0.source { true } else { false } }
    return MadeAnswer(
      kind: kind, mediaType: mediaType, slices: isThere ? try body.slices() : [.deferred(body)])
  }
}

/// A resource under HLS AES-128, whose length follows from that of the clear one.
private struct EncryptedBody: DeferredBody {
  let clear: [BodySlice]
  let key: ContentKey
  let iv: [UInt8]
  let lengthBytes: UInt64

  init(clear: [BodySlice], key: ContentKey, iv: [UInt8]) {
    self.clear = clear
    self.key = key
    self.iv = iv
    lengthBytes = SegmentCipher.encryptedBytes(clear.reduce(0) { $0 + $1.count })
  }

  func slices() throws(Problem) -> [BodySlice] {
    do throws(StoreError) {
      let resource = try Assembly.bytes(of: clear)
      return [.bytes(SegmentCipher.encrypt(resource, iv: iv, cipher: OpenSSLCipher(key)))]
    } catch {
      throw Problem(error)
    }
  }
}

/// A segment under Common Encryption. Reads from the disk: for workers.
private struct ProtectedBody: Sendable {
  let track: ProtectedTrack
  let samples: [Sample]
  let sequenceNumber: UInt32
  let firstSampleIndex: UInt64
  let firstDecodeTicks: UInt64
  let blob: BlobFile

  var made: Result<[BodySlice], Problem> {
    do throws(MediaError) {
      let segment = try track.segment(
        sequenceNumber: sequenceNumber, samples: samples, firstSampleIndex: firstSampleIndex,
        firstDecodeTicks: firstDecodeTicks, reading: FileBytes(blob), cipher: OpenSSLCipher(track.key))
      return .success([.bytes(segment.head), .bytes(segment.media)])
    } catch .unsupported(let reason) {
      return .failure(.unpackageable(reason.message))
    } catch {
      return .failure(.damaged("\(error.message) Run scrub."))
    }
  }
}
