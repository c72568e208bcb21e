// Bodies that are made when they are sent: fragments inside a file of all fragments, and transport streams.

import Packaging
import Store

/// One fragmented MP4 segment: its head made, its samples sent from the blob.
struct FragmentBody: DeferredBody {
  private let loaded: LoadedIndex
  private let track: Int
  private let segment: Int
  private let blob: BlobFile
  let lengthBytes: UInt64

  init(_ indexed: IndexedTrack, blob: BlobFile, segment: Int) {
    loaded = indexed.loaded
    track = indexed.number
    self.segment = segment
    self.blob = blob
    lengthBytes = indexed.segments.indices.contains(segment) ? indexed.segments[segment].totalBytes : 0
  }

  func slices() throws(Problem) -> [BodySlice] {
    MediaSegment.make(
      track: loaded.index.tracks[track], sequenceNumber: UInt32(segment) + 1,
      samples: try loaded.samples(track: track, segment: segment),
      firstDecodeTicks: loaded.firstDecodeTicks(track: track)
    ).bodySlices(of: blob)
  }
}

/// A transport stream segment, of which all bytes are written anew.
struct TransportBody: DeferredBody {
  static let mediaType = "video/mp2t"

  private let segment: TransportSegment
  private let picture: BlobFile
  private let sound: BlobFile
  let lengthBytes: UInt64
  /// Whether `lengthBytes` is known before the bytes are.
  private let isSized: Bool

  /// - Parameters:
  ///   - picture: the blob of the first stream, whatever it carries.
  ///   - sound: the blob of the second.
  init(_ segment: TransportSegment, picture: BlobFile, sound: BlobFile) throws(Problem) {
    self.segment = segment
    self.picture = picture
    self.sound = sound
    lengthBytes = segment.totalBytes ?? 0
    isSized = segment.totalBytes != nil
    guard lengthBytes <= TransportSegment.maximumBytes else {
      throw .unpackageable("The segment is too long for MPEG-TS: use the fragmented MP4 form.")
    }
  }

  static func stream(_ track: Track) throws(Problem) -> TransportStream {
    do throws(MediaError) { return try TransportStream(track) } catch {
      throw .unpackageable("\(error.message) Use the fragmented MP4 form.")
    }
  }

  /// The body: deferred, or made at once where its length depends on what is in the samples.
  func answer() throws(Problem) -> [BodySlice] { isSized ? [.deferred(self)] : try slices() }

  func slices() throws(Problem) -> [BodySlice] {
    do throws(MediaError) {
      return [.bytes(try segment.bytes(reading: FileBytes(picture), sound: FileBytes(sound)))]
    } catch {
      throw .damaged("\(error.message) Run scrub.")
    }
  }
}
