import Support
import Testing

/// What becomes of a media file.
enum Outcome: Sendable, Equatable {
  /// Every form plays exactly the frames of the source.
  case plays
  /// The same for the tracks named (`v:0`, `a:0`); the others are left out for the reason.
  case playsInPart([String], String)
  /// Plays from the first key frame on: what is before it, or broken by the recording, can't be shown.
  case playsFromKeyFrame(String)
  /// Refused at import, or kept as bytes whose manifests are refused; the reason says why.
  case isNotPackaged(String)
}

struct MediaCase: Sendable, CustomTestStringConvertible {
  let name: String
  let outcome: Outcome
  /// What GStreamer can't do with it, of the file or of our answers alike; nil where it must play.
  var withoutGStreamer: String?
  /// Why pictures decode otherwise from a transport stream; nil where they must be the same.
  var differsInTransport: String?
  /// The same for the DASH that is not on demand.
  var differsInDASH: String?
  /// Why there is no transport stream of it although its codecs could travel in one.
  var withoutTransport: String?
  /// How much too late ffmpeg shows the pictures of the source, in seconds.
  var sourceLatenessSeconds = 0.0
  /// The track of the source that is the first of its kind here, where it isn't the first there.
  var sourceTracks: [String: String] = [:]

  init(_ name: String, _ outcome: Outcome = .plays) { (self.name, self.outcome) = (name, outcome) }

  /// The case with one property changed.
  func with<Value>(_ property: WritableKeyPath<MediaCase, Value>, _ value: Value) -> MediaCase {
    var copy = self
    copy[keyPath: property] = value
    return copy
  }

  var testDescription: String { name }
  var isMP4: Bool { ["mp4", "m4a", "mov", "isma"].contains { name.hasSuffix(".\($0)") } }
}

/// Files of many makers; `SharedMedia` says where they lie.
let sharedMedia: [MediaCase] =
  [
    "demo-bbb-720p-10s.mp4", "demo-bbb-480p-30s-51.mp4", "bbb-720p-5s-51.mp4", "h264-aac-2997.mp4",
    "h264-aac-moov-end.mp4", "h264-aac-elst-audio-delay.mp4", "h264-co64-elst.mp4", "h264-firstpts-10s.mp4",
    "h264-no-stss.mp4", "h264-video-only.mp4", "h264-short-audio.mp4", "h264-long-6min-1080p.mp4",
    "h264-sparse-key.mp4", "aac-count-english.mp4", "aac-count-german.mp4", "aac-audio-only.m4a",
    "aac-long-elst-audio-only.mp4", "heaac.mp4", "aac-two-51-tracks.mp4", "multi-2video-2audio-2tx3g.mp4",
    "hevc-hev1.mp4", "hevc-hvc1-hdr10.mp4", "hevc-open-gop-720p.mp4", "vfr-phone-360p.mp4", "vfr-screen.mp4",
    "fuzz/seed-8.mp4", "fuzz/seed-36.mp4", "fuzz/seed-81.mp4", "bad-mdat-too-long.mp4",
    "bad-trailing-junk.mp4",
    // Codecs beyond H.264, HEVC and AAC.
    "h264-eac3.mp4", "ac3.mp4", "flac.mp4", "alac.mp4", "av1-aac-elst.mp4", "vp9-aac.mp4",
    // Fragmented.
    "frag-h264-aac.mp4", "frag-h264-aac-8s.mp4", "frag-23976-h264.mp4", "frag-audio-aac.isma",
    "sar-pasp.mp4",
    // Other containers.
    "mkv-ass.mkv", "mkv-srt.mkv", "mkv-pgs.mkv", "mkv-h264-aac-60s-5fps.mkv", "mkv-av1.mkv", "vp9-opus.webm",
    "av1.webm", "ts-h264-aac.ts", "ts-h264-aac-pts-wrap.ts", "ts-hevc-aac.ts", "ts-h264-ac3.ts",
    "ts-h264-cea608.ts", "ts-h264-aac-6s.ts", "ts-h264-mp3-id3.ts",
  ].map { MediaCase($0) } + [
    MediaCase("rotate-90-1080p-51.mp4").with(\.sourceLatenessSeconds, 2.0 / 24)
      .with(\.withoutTransport, "the picture is to be turned"),
    MediaCase("mov-aac-first.mov")
      .with(\.differsInTransport, "it does not announce that pictures are reordered, and ffmpeg has to guess")
      .with(\.differsInDASH, "the same guess, made from the first packets of all its sets"),
    MediaCase("bad-invalid-nalu.mp4").with(\.differsInTransport, "a NAL unit longer than its picture"),
    MediaCase("mov-pcm-sowt-1080p50.mov", .playsInPart(["v:0"], "PCM sound")),
    MediaCase("bad-missing-stsd.mp4", .playsInPart(["v:0"], "a track without a description")),
    MediaCase("ts-live-1080-mp2.ts", .playsInPart(["v:0"], "MP2 sound")),
    MediaCase("ts-live-dvb-a.ts", .playsFromKeyFrame("a cut of a broadcast")),
    MediaCase("ts-live-dvb-b.ts", .playsFromKeyFrame("a cut of a broadcast")),
    MediaCase("ts-declared-silent-pids.ts", .playsFromKeyFrame("one of its five streams has data"))
      .with(\.sourceTracks, ["a:0": "a:2", "v:0": "none"]),
    MediaCase("vvc-unsupported.mp4", .isNotPackaged("VVC")),
    MediaCase("stpp-progressive.mp4", .isNotPackaged("subtitles only")),
    MediaCase("wvtt-frag.mp4", .isNotPackaged("subtitles only")),
    MediaCase("stpp-frag.mp4", .isNotPackaged("subtitles only")),
    MediaCase("bad-empty-stsc.mp4", .isNotPackaged("no samples")),
    MediaCase("cenc-frag.mp4", .isNotPackaged("encrypted")),
    MediaCase("cbcs-frag-c608.mp4", .isNotPackaged("encrypted")),
    MediaCase("vp8-vorbis.webm", .isNotPackaged("VP8, Vorbis")),
    MediaCase("vp8-live-no-duration.webm", .isNotPackaged("VP8, Vorbis")),
    MediaCase("vp8-webvtt.webm", .isNotPackaged("VP8, Vorbis")),
    MediaCase("ts-scte35-mpeg2.ts", .isNotPackaged("MPEG-2")),
    MediaCase("ts-mpeg2-1080p.ts", .isNotPackaged("MPEG-2")),
  ]

/// What `scripts/make-fixtures.sh` makes.
let ownMedia: [MediaCase] =
  [
    "h264-aac-moov-end.mp4", "h264-aac-faststart.mp4", "h264-aac-2997.mp4", "h264-aac-co64.mp4",
    "h264-aac.mov", "video-only.mp4", "audio-only.m4a", "audio-delay.mp4", "two-audio.mp4", "hevc-aac.mp4",
    "fragmented.mp4",
  ].map { MediaCase($0) } + [
    MediaCase("truncated-index.mp4", .isNotPackaged("the index is cut off")),
    MediaCase("garbage.mp4", .isNotPackaged("no media")), MediaCase("empty.mp4", .isNotPackaged("empty")),
    MediaCase("playlist-in-disguise.mp4", .isNotPackaged("a playlist")),
    MediaCase("notes.txt", .isNotPackaged("text")),
  ]
