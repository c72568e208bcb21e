// The init segment of one track: `ftyp` and a `moov` without samples, after CMAF (ISO/IEC 23000-19 §7.3).
//
//     ftyp  iso6 cmfc dash
//     moov
//       mvhd
//       trak
//         tkhd                 identifier 1, matrix and size of the picture
//         edts/elst            only where `FragmentTiming` asks for it
//         mdia
//           mdhd hdlr [elng]
//           minf
//             vmhd | smhd | sthd | nmhd
//             dinf/dref        one entry: the media is in this file
//             stbl             stsd with the source's sample entry; all tables empty
//       mvex/trex              all defaults 0: every fragment states its own, as CMAF asks
//       [pssh]                 of protected tracks alone, see `ProtectedTrack`
//
// The movie runs on the track's timescale, so nothing is rounded. Creation times are 0: the bytes depend
// on the track alone.

/// Makes CMAF init segments.
public enum InitSegment {
  /// The identifier the one track has in everything we write, whatever it was in the source.
  static let trackIdentifier: UInt32 = 1

  /// The init segment of `track`: to be followed by the track's media segments in any order.
  ///
  /// The sample entry is copied as it is, but for its data reference, which names the only one we write.
  ///
  /// - Parameter firstDecodeTicks: `decodeTicks` of the track's segment 0; the value given to
  ///   `MediaSegment.make` must be the same. See `FragmentTiming`.
  /// - Complexity: some hundred bytes and the sample entry; one allocation.
  public static func bytes(for track: Track, firstDecodeTicks: UInt64 = 0) -> [UInt8] {
    bytes(for: track, firstDecodeTicks: firstDecodeTicks, movieBoxes: [])
  }

  /// The same with whole boxes at the end of `moov`.
  static func bytes(for track: Track, firstDecodeTicks: UInt64, movieBoxes: [UInt8]) -> [UInt8] {
    let timing = FragmentTiming(track: track, firstDecodeTicks: firstDecodeTicks)
    var writer = BoxWriter(capacityBytes: 768 + track.sampleEntry.count + movieBoxes.count)

    let ftyp = writer.begin("ftyp")
    writer.fourCC("iso6")
    writer.u32(0)
    writer.fourCC("iso6")
    writer.fourCC("cmfc")
    writer.fourCC("dash")
    writer.end(ftyp)

    let moov = writer.begin("moov")
    writer.movieHeader(timescale: track.timescale, durationTicks: 0, nextTrackID: trackIdentifier + 1)
    let trak = writer.begin("trak")
    writer.trackHeader(track, id: trackIdentifier, durationTicks: 0)
    if let mediaTicks = timing.editMediaTicks {
      // A length of 0: to the end of the fragments.
      writer.editList([EditListBox.Entry(durationTicks: 0, mediaTicks: mediaTicks)])
    }
    let mdia = writer.begin("mdia")
    writer.mediaHeader(track, durationTicks: 0)
    let minf = writer.begin("minf")
    writer.mediaInformationHeader(track.kind)
    emptySampleTable(track, into: &writer)
    writer.end(minf)
    writer.end(mdia)
    writer.end(trak)
    let mvex = writer.begin("mvex")
    let trex = writer.begin("trex", version: 0, flags: 0)
    writer.u32(trackIdentifier)
    writer.u32(1)  // sample description
    writer.zeros(12)  // duration, size and flags: each fragment states its own
    writer.end(trex)
    writer.end(mvex)
    writer.raw(movieBoxes)
    writer.end(moov)
    return writer.bytes
  }

  private static func emptySampleTable(_ track: Track, into writer: inout BoxWriter) {
    let stbl = writer.begin("stbl")
    writer.sampleDescription(track)
    for table in ["stts", "stsc", "stco"] as [StaticString] {
      let box = writer.begin(table, version: 0, flags: 0)
      writer.u32(0)
      writer.end(box)
    }
    let stsz = writer.begin("stsz", version: 0, flags: 0)
    writer.zeros(8)
    writer.end(stsz)
    writer.end(stbl)
  }
}
