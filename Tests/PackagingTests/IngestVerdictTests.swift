import Foundation
import Packaging
import Testing

@Suite("Verdicts over real media")
struct IngestVerdictTests {
  /// What ingest must say of every file: the packaged codec strings, or the code of the reason.
  static let expected: [String: String] = [
    "aac-audio-only.m4a": "packageable mp4a.40.2 !moov-at-end",
    "aac-count-english.mp4": "packageable mp4a.40.2 !moov-at-end",
    "aac-count-german.mp4": "packageable mp4a.40.2 !moov-at-end",
    "aac-long-elst-audio-only.mp4": "packageable mp4a.40.2 !moov-at-end",
    "aac-two-51-tracks.mp4": "packageable mp4a.40.2+mp4a.40.2",
    "ac3.mp4": "packageable ac-3 !moov-at-end",
    "alac.mp4": "packageable alac !moov-at-end",
    "av1-aac-elst.mp4": "packageable av01.0.05M.08+mp4a.40.2 !moov-at-end",
    "av1.webm": "bytes matroska",
    "bad-empty-stsc.mp4": "refused sample-past-end",
    "bad-invalid-nalu.mp4": "packageable avc1.64001f",
    "bad-mdat-too-long.mp4": "packageable avc1.64001f+mp4a.40.2 !mdat-too-long",
    "bad-missing-stsd.mp4": "packageable avc1.64001f -\\x00\\x00\\x00\\x00:no-sample-description",
    "bad-trailing-junk.mp4": "packageable avc1.64000a !trailing-junk",
    "bbb-720p-5s-51.mp4": "packageable avc1.4d401f+mp4a.40.2 !moov-at-end",
    "cbcs-frag-c608.mp4": "bytes encrypted",
    "cenc-frag.mp4": "bytes encrypted",
    "demo-bbb-480p-30s-51.mp4": "packageable avc1.64001e+mp4a.40.2 !long-gop !moov-at-end",
    "demo-bbb-720p-10s.mp4": "packageable avc1.64001f+mp4a.40.2 !moov-at-end",
    "flac.mp4": "packageable fLaC !moov-at-end",
    "frag-23976-h264.mp4": "packageable avc1.640015",
    "frag-audio-aac.isma": "packageable mp4a.40.2",
    "frag-h264-aac-8s.mp4": "packageable avc1.64001e+mp4a.40.2",
    "frag-h264-aac.mp4": "packageable avc1.64001f+mp4a.40.2",
    "fuzz/seed-36.mp4": "packageable mp4a.40.2 !moov-at-end",
    "fuzz/seed-8.mp4": "packageable mp4a.40.2 !moov-at-end",
    "fuzz/seed-81.mp4": "packageable mp4a.40.2 !moov-at-end",
    "h264-aac-2997.mp4": "packageable avc1.64001e+mp4a.40.2",
    "h264-aac-elst-audio-delay.mp4": "packageable avc1.64001f+mp4a.40.2",
    "h264-aac-moov-end.mp4": "packageable avc1.64001e+mp4a.40.2 !moov-at-end",
    "h264-co64-elst.mp4": "packageable mp4a.40.2+avc1.640034",
    "h264-eac3.mp4": "packageable avc1.64001e+ec-3 !moov-at-end",
    "h264-firstpts-10s.mp4": "packageable avc1.64001f",
    "h264-long-6min-1080p.mp4": "packageable avc1.42c028+mp4a.40.2 !short-audio !moov-at-end",
    "h264-no-stss.mp4": "packageable avc1.64101f !no-stss !moov-at-end",
    "h264-short-audio.mp4": "packageable avc1.42c015+mp4a.40.2 !moov-at-end",
    "h264-sparse-key.mp4": "packageable avc1.64001f !single-key-frame !variable-frame-rate !moov-at-end",
    "h264-video-only.mp4": "packageable avc1.64001f !moov-at-end",
    "heaac.mp4": "packageable mp4a.40.5 !moov-at-end",
    "hevc-hev1.mp4": "packageable hev1.1.6.L63.90+mp4a.40.2 !in-band-parameter-sets",
    "hevc-hvc1-hdr10.mp4": "packageable hvc1.2.4.L63.90+mp4a.40.2 !moov-at-end",
    "hevc-open-gop-720p.mp4": "packageable hev1.1.6.L93.90+mp4a.40.2 !in-band-parameter-sets !moov-at-end",
    "mkv-ass.mkv": "bytes matroska",
    "mkv-av1.mkv": "bytes matroska",
    "mkv-h264-aac-60s-5fps.mkv": "bytes matroska",
    "mkv-pgs.mkv": "bytes matroska",
    "mkv-srt.mkv": "bytes matroska",
    "mov-aac-first.mov": "packageable mp4a.40.2+avc1.4d001e !moov-at-end",
    "mov-pcm-sowt-1080p50.mov": "packageable avc1.64002a -sowt:codec !moov-at-end",
    "multi-2video-2audio-2tx3g.mp4":
      "packageable avc1.64000c+mp4a.40.2+avc1.640015+mp4a.40.2 -tx3g:codec -tx3g:codec !misaligned-key-frames !moov-at-end",
    "rotate-90-1080p-51.mp4": "packageable avc1.640028+mp4a.40.2",
    "sar-pasp.mp4": "packageable avc1.64001e",
    "stpp-frag.mp4": "bytes no-packageable-track",
    "stpp-progressive.mp4": "bytes no-packageable-track",
    "ts-declared-silent-pids.ts": "bytes mpegts",
    "ts-h264-aac-6s.ts": "bytes mpegts",
    "ts-h264-aac-pts-wrap.ts": "bytes mpegts",
    "ts-h264-aac.ts": "bytes mpegts",
    "ts-h264-ac3.ts": "bytes mpegts",
    "ts-h264-cea608.ts": "bytes mpegts",
    "ts-h264-mp3-id3.ts": "bytes mpegts",
    "ts-hevc-aac.ts": "bytes mpegts",
    "ts-live-1080-mp2.ts": "bytes mpegts",
    "ts-live-dvb-a.ts": "bytes mpegts",
    "ts-live-dvb-b.ts": "bytes mpegts",
    "ts-mpeg2-1080p.ts": "bytes mpegts",
    "ts-scte35-mpeg2.ts": "bytes mpegts",
    "vfr-phone-360p.mp4": "packageable avc1.42c01e+mp4a.40.2 !moov-at-end",
    "vfr-screen.mp4": "packageable avc1.64001e+mp4a.40.2 !moov-at-end",
    "vp8-live-no-duration.webm": "bytes matroska",
    "vp8-vorbis.webm": "bytes matroska",
    "vp8-webvtt.webm": "bytes matroska",
    "vp9-aac.mp4": "packageable vp09.00.21.08+mp4a.40.2 !moov-at-end",
    "vp9-opus.webm": "bytes matroska",
    "vvc-unsupported.mp4": "bytes no-packageable-track",
    "wvtt-frag.mp4": "bytes no-packageable-track",
  ]

  static func summary(_ verdict: IngestVerdict) -> String {
    switch verdict {
    case .packageable(let movie):
      let tracks = movie.tracks.map(\.track.codecString).joined(separator: "+")
      let leftOut = movie.leftOut.map { " -\($0.codec):\($0.reason.code)" }.joined()
      let defects = movie.defects.map { " !\($0.code)" }.joined()
      return "packageable " + tracks + leftOut + defects
    case .bytesOnly(let reason): return "bytes " + reason.code
    case .refused(let error): return "refused " + error.code
    }
  }

  @Test func everyFileIsInTheTable() {
    guard !MediaFolder.names.isEmpty else { return }
    #expect(Set(MediaFolder.names) == Set(Self.expected.keys))
  }

  @Test(arguments: MediaFolder.names)
  func verdict(name: String) throws {
    guard let bytes = try MediaFolder.bytes(name) else { return }
    #expect(Self.summary(MediaInspector.inspect(ArraySource(bytes))) == Self.expected[name])
  }

  /// Presentation shift, start and duration in ticks, samples; worked out by hand from the edit lists and fragments.
  @Test(arguments: [
    ("h264-aac-2997.mp4", 0, [-2002, 0, 82082, 82]),
    ("h264-aac-2997.mp4", 1, [-1024, -1024, 120832, 119]),
    ("h264-aac-elst-audio-delay.mp4", 1, [1940, 1940, 45124, 45]),
    ("h264-firstpts-10s.mp4", 0, [152576, 153600, 61440, 120]),
    ("aac-long-elst-audio-only.mp4", 0, [-26342, -26342, 68282, 93]),
    ("aac-audio-only.m4a", 0, [0, 0, 186368, 182]),
    ("heaac.mp4", 0, [-5058, -5058, 121856, 62]),
    ("mov-aac-first.mov", 0, [1940, 1940, 44032, 43]),
    ("vfr-screen.mp4", 0, [-6024, 0, 502986, 167]),
    ("frag-h264-aac-8s.mp4", 0, [-6000, 0, 720000, 240]),
    ("frag-h264-aac.mp4", 0, [0, 2002, 30030, 30]),
    ("frag-h264-aac.mp4", 1, [0, 0, 47104, 46]),
    ("frag-audio-aac.isma", 0, [0, 0, 50_133_333, 235]),
    ("sar-pasp.mp4", 0, [-2002, 0, 30030, 30]),
  ])
  func timeline(name: String, track: Int, expected: [Int]) throws {
    guard let bytes = try MediaFolder.bytes(name) else { return }
    let movie = try MovieReader.read(ArraySource(bytes))
    let found = movie.tracks[track].track
    #expect(
      [
        Int(found.presentationShiftTicks), Int(found.presentationStartTicks), Int(found.durationTicks),
        Int(found.sampleCount),
      ] == expected)
  }

  @Test func quickTimeSoundEntriesAreRewritten() throws {
    guard let bytes = try MediaFolder.bytes("mov-aac-first.mov") else { return }
    let track = try MovieReader.read(ArraySource(bytes)).tracks[0].track
    #expect(track.codecString == "mp4a.40.2")
    // 36 bytes of an ISO entry, then esds; version 0 where QuickTime has 1.
    #expect(Array(track.sampleEntry[36 + 4..<36 + 8]) == Array("esds".utf8))
    #expect(Array(track.sampleEntry[16..<18]) == [0, 0])
    #expect(track.sampleEntry.count == Int(track.sampleEntry[2]) << 8 | Int(track.sampleEntry[3]))
  }
}
