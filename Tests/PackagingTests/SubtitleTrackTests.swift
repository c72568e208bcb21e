import Packaging
import Testing

@Suite("Text tracks")
struct SubtitleTrackTests {
  /// A track over samples that lie one behind the other from byte 0 on.
  private func track(
    _ entry: [UInt8], _ samples: [(duration: UInt32, bytes: [UInt8])], timescale: UInt32 = 1000,
    shift: Int64 = 0
  ) -> (MovieTrack, ArraySource) {
    var columns = SampleColumns()
    var bytes: [UInt8] = []
    for sample in samples {
      columns.offsets.append(UInt64(bytes.count))
      columns.sizesBytes.append(UInt32(sample.bytes.count))
      columns.durationsTicks.append(sample.duration)
      bytes += sample.bytes
    }
    let track = Track(
      id: 3, kind: .subtitle, codec: .unsupported(FourCC("tx3g")), sampleEntry: entry, codecString: "tx3g",
      timescale: timescale, language: "en", presentationShiftTicks: shift)
    return (MovieTrack(track: track, columns: columns), ArraySource(bytes))
  }

  private func tx3g(_ text: [UInt8], _ boxes: [UInt8] = []) -> [UInt8] {
    BoxBytes.u16(text.count) + text + boxes
  }

  private func entry(_ code: String, displayFlags: Int = 0, _ boxes: [UInt8] = []) -> [UInt8] {
    BoxBytes.box(
      code, BoxBytes.zeros(6), BoxBytes.u16(1), code == "tx3g" ? BoxBytes.u32(displayFlags) : [], boxes)
  }

  @Test func timedText() throws {
    let (movieTrack, source) = track(
      entry("tx3g"),
      [
        (500, tx3g([])), (1000, tx3g(Array("one <&>\rtwo".utf8))), (250, tx3g([])),
        (0, tx3g(Array("never".utf8))),
        (1500, tx3g([0xFE, 0xFF, 0, 0x68, 0, 0xE9])),
      ], timescale: 500)
    let parsed = try SubtitleTrackReader.read(movieTrack, from: source, name: "English")
    #expect(summary(parsed.document) == ["1000-3000 one &lt;&amp;&gt;|two", "3500-6500 hé"])
    #expect(parsed.defects.map(\.code) == ["cue-ends-before-start"])
    #expect(
      parsed.document.language == "en" && parsed.document.name == "English" && !parsed.document.isForced)
  }

  @Test func editsMoveAndCutCues() throws {
    let samples: [(UInt32, [UInt8])] = [
      (1000, tx3g(Array("gone".utf8))), (1000, tx3g(Array("cut".utf8))), (1000, tx3g(Array("whole".utf8))),
    ]
    let (early, source) = track(entry("tx3g"), samples, shift: -1500)
    #expect(
      try summary(SubtitleTrackReader.read(early, from: source).document) == ["0-500 cut", "500-1500 whole"])
    let (late, _) = track(entry("tx3g"), samples, shift: 250)
    #expect(try SubtitleTrackReader.read(late, from: source).document.cues[0].startMilliseconds == 250)
  }

  @Test func styleRuns() throws {
    func run(_ start: Int, _ end: Int, _ face: UInt8) -> [UInt8] {
      BoxBytes.u16(start) + BoxBytes.u16(end) + BoxBytes.u16(1) + [face, 18] + BoxBytes.zeros(4)
    }
    func text(_ runs: [[UInt8]], count: Int? = nil) -> String? {
      let styl = BoxBytes.box("styl", BoxBytes.u16(count ?? runs.count), runs.flatMap { $0 })
      return SubtitleCue.fromTX3G(
        sample: tx3g(Array("é1 two 3".utf8), styl), startMilliseconds: 0, endMilliseconds: 1)?.text
    }
    #expect(text([run(0, 2, 2), run(3, 6, 5)]) == "<i>é1</i> <b><u>two</u></b> 3")
    #expect(text([run(0, 2, 2), run(2, 99, 1)]) == "<i>é1</i><b> two 3</b>")
    #expect(text([run(0, 4, 2), run(2, 6, 1), run(9, 9, 1)]) == "<i>é1 t</i>wo 3")
    #expect(text([run(1, 2, 4)], count: 9) == "é<u>1</u> two 3")
    #expect(text([]) == "é1 two 3")
  }

  @Test func forcedTracks() throws {
    let samples: [(UInt32, [UInt8])] = [(1000, tx3g(Array("sign".utf8)))]
    for (flags, isForced) in [(0x8000_0000, true), (0xC000_0000, true), (0x4000_0000, false)] {
      let (movieTrack, source) = track(entry("tx3g", displayFlags: flags), samples)
      #expect(try SubtitleTrackReader.read(movieTrack, from: source).document.isForced == isForced)
    }
  }

  @Test func webVTTSamples() throws {
    func cue(_ text: String, number: Int? = nil, settings: String? = nil, identifier: String? = nil)
      -> [UInt8]
    {
      BoxBytes.box(
        "vttc", number.map { BoxBytes.box("vsid", BoxBytes.u32($0)) } ?? [],
        identifier.map { BoxBytes.box("iden", Array($0.utf8)) } ?? [],
        settings.map { BoxBytes.box("sttg", Array($0.utf8)) } ?? [], BoxBytes.box("payl", Array(text.utf8)))
    }
    let gap = BoxBytes.box("vtte")
    let note = BoxBytes.box("vtta", Array("a note".utf8))
    let (movieTrack, source) = track(
      entry("wvtt", BoxBytes.box("vttC", Array("WEBVTT\n\nSTYLE\n::cue { color: red }\n".utf8))),
      [
        (100, gap),
        // The first cue lasts over three samples, in one of them with another.
        (100, note + cue("long", number: 1, settings: "line:0")),
        (100, cue("long", number: 1, settings: "line:0") + cue("<i>short", identifier: "x")),
        (100, cue("long", number: 1, settings: "line:0")),
        (100, gap),
        (100, cue("long", number: 1, settings: "line:0")),
        (100, cue("again", number: 2)), (100, cue("again", number: 3)),
      ])
    let parsed = try SubtitleTrackReader.read(movieTrack, from: source)
    #expect(
      summary(parsed.document) == [
        "100-400 [line:0] long", "#x 200-300 <i>short</i>", "500-600 [line:0] long", "600-700 again",
        "700-800 again",
      ])
    #expect(parsed.document.headerBlocks == ["STYLE\n::cue { color: red }"])
  }

  @Test func limitsHold() throws {
    var (movieTrack, source) = track(entry("tx3g"), [(1000, tx3g(Array("x".utf8)))])
    let none = track(entry("tx3g"), [(1000, tx3g([]))])
    #expect(throws: MediaError.self) { try SubtitleTrackReader.read(none.0, from: none.1) }
    let other = track(entry("stpp"), [(1000, tx3g(Array("x".utf8)))])
    #expect(throws: MediaError.self) { try SubtitleTrackReader.read(other.0, from: other.1) }
    movieTrack.columns.sizesBytes = [9 << 20]
    let error = #expect(throws: MediaError.self) { try SubtitleTrackReader.read(movieTrack, from: source) }
    #expect(error?.code == "subtitles-too-large")
    // A source that is shorter than its samples gives what it has.
    movieTrack.columns.sizesBytes = [100]
    #expect(try SubtitleTrackReader.read(movieTrack, from: source).document.cues.count == 1)
  }

  // MARK: In movies

  private func movie(handler: String = "sbtl", entry: [UInt8], withVideo: Bool = true) -> MovieBuilder {
    var builder = MovieBuilder()
    var text = MovieBuilder.BuiltTrack()
    text.id = 7
    text.handler = handler
    text.timescale = 1000
    text.entry = entry
    text.sizes = [2, 5]
    text.durations = [500, 500]
    builder.tracks = (withVideo ? [MovieBuilder.video(count: 30)] : []) + [text]
    builder.moovFirst = false
    return builder
  }

  @Test(arguments: [("sbtl", "tx3g"), ("text", "tx3g"), ("text", "text"), ("text", "wvtt"), ("subt", "wvtt")])
  func moviesHaveTextTracks(handler: String, code: String) throws {
    let movie = try MovieReader.read(ArraySource(movie(handler: handler, entry: entry(code)).build()))
    #expect(movie.tracks.map(\.track.kind) == [.video])
    #expect(movie.textTracks.map(\.track.id) == [7])
    #expect(movie.textTracks[0].track.codecString == code)
    #expect(movie.textTracks[0].columns.count == 2)
    #expect(movie.leftOut.isEmpty)
  }

  @Test(arguments: [("subt", "stpp"), ("clcp", "c608"), ("vide", "tx3g")])
  func otherTextIsLeftOut(handler: String, code: String) throws {
    let movie = try MovieReader.read(ArraySource(movie(handler: handler, entry: entry(code)).build()))
    #expect(movie.textTracks.isEmpty)
    #expect(movie.leftOut.map(\.reason.code) == ["codec"])
  }

  @Test func textAloneIsNoMovie() throws {
    let bytes = movie(entry: entry("tx3g"), withVideo: false).build()
    guard case .bytesOnly(let reason) = MediaInspector.inspect(ArraySource(bytes)) else {
      Issue.record("text alone was not kept as bytes")
      return
    }
    #expect(reason.code == "no-packageable-track")
  }

  @Test func brokenTextIsLeftOut() throws {
    var builder = movie(entry: entry("tx3g"))
    builder.tracks[1].edits = [(1000, Int(Int32.max))]
    builder.tracks[1].durations = [-1, -1]
    let movie = try MovieReader.read(ArraySource(builder.build()))
    #expect(movie.tracks.count == 1 && movie.textTracks.isEmpty)
    #expect(movie.leftOut.map(\.reason.code) == ["sample-times"])
  }

  @Test func chapterListsAreLeftOut() throws {
    var bytes = movie(handler: "text", entry: entry("text")).build()
    let reference = BoxBytes.box("tref", BoxBytes.box("chap", BoxBytes.u32(7)))
    // Into the first track, the video: `moov` is last, so no sample moves.
    func grow(_ type: String) throws -> Int {
      let name = Array(type.utf8)
      let at = try #require((4..<bytes.count - 4).first { bytes[$0..<$0 + 4].elementsEqual(name) })
      let size = bytes[at - 4..<at].reduce(0) { $0 << 8 | Int($1) }
      bytes.replaceSubrange(at - 4..<at, with: BoxBytes.u32(size + reference.count))
      return at + 4
    }
    _ = try grow("moov")
    let body = try grow("trak")
    bytes.insert(contentsOf: reference, at: body)
    let movie = try MovieReader.read(ArraySource(bytes))
    #expect(movie.tracks.count == 1 && movie.textTracks.isEmpty)
    #expect(movie.leftOut.map(\.reason.code) == ["chapters"])
  }
}
